//! Wakes those who read the outbox when there is something new in it.
//!
//! A `NOTIFY` in the transaction of a change would make commits wait for each other, so that they could not share a
//! flush of the log. It is sent after the commit instead, once for all changes of some milliseconds; a change whose
//! process died in between is found by looking from time to time.

use std::time::Duration;

use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::sync::watch;

/// The channel of `LISTEN` and `NOTIFY`.
const CHANNEL: &str = "catalog_outbox";

/// The least time between two notifications.
const PAUSE: Duration = Duration::from_millis(20);

/// How long to wait before the database is asked again after a failure.
const RETRY: Duration = Duration::from_millis(500);

/// Rung after each change; clones ring together.
#[derive(Clone, Debug)]
pub struct Bell {
    /// Changes of this process, to be passed on.
    own: watch::Sender<()>,
    /// Changes of all processes.
    all: watch::Sender<()>,
}

impl Default for Bell {
    fn default() -> Self {
        Self {
            own: watch::Sender::new(()),
            all: watch::Sender::new(()),
        }
    }
}

impl Bell {
    /// Says that this process has made a change.
    pub fn ring(&self) {
        self.own.send_replace(());
        self.all.send_replace(());
    }

    /// Hears of changes, from now on.
    pub fn listen(&self) -> watch::Receiver<()> {
        self.all.subscribe()
    }

    /// Passes the changes of this process on to the others, and theirs to this one. Ends with the pool.
    pub async fn connect(self, pool: PgPool) {
        tokio::join!(self.tell(&pool), self.hear(&pool));
    }

    async fn tell(&self, pool: &PgPool) {
        let mut changes = self.own.subscribe();
        while changes.changed().await.is_ok() && !pool.is_closed() {
            let told = sqlx::query("SELECT pg_notify($1, '')")
                .bind(CHANNEL)
                .execute(pool)
                .await;
            if let Err(error) = told {
                tracing::debug!(%error, "other instances were not told of a change; they look by themselves");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn hear(&self, pool: &PgPool) {
        while !pool.is_closed() {
            if let Err(error) = self.hear_until_lost(pool).await {
                tracing::debug!(%error, "changes of other instances are not heard of; looking for them from time to time");
            }
            // What was said meanwhile was not heard.
            self.all.send_replace(());
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn hear_until_lost(&self, pool: &PgPool) -> sqlx::Result<()> {
        let mut listener = PgListener::connect_with(pool).await?;
        listener.listen(CHANNEL).await?;
        // `try_recv` tells of a lost connection; `recv` would hide it.
        while listener.try_recv().await?.is_some() {
            self.all.send_replace(());
        }
        Ok(())
    }
}
