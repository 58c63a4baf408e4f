//! The audit log of calls that changed nothing: reads, where they are audited, and calls that failed or were refused.
//! Many are written at a time, and no call waits for it. The record of a change is written with the change, by the store.
//!
//! What the table can't take, since it is away or there is more than it takes, is a line of the log: nothing is lost.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::domain::{Error, error::Result};
use crate::store::audit::{PgAudit, Record};

/// How many records wait at most: those of a second of refused calls.
const WAITING: usize = 10_000;

/// How many are written at a time.
const BATCH: usize = 500;

/// Pause after the table could not be written.
const PAUSE: Duration = Duration::from_secs(1);

/// How long the last records may take.
const LAST: Duration = Duration::from_secs(1);

/// How often old records are looked for, and how many are forgotten at a time.
const FORGET_INTERVAL: Duration = Duration::from_mins(10);
const FORGET_BATCH: i32 = 5000;

/// Takes records. Clones are the same.
#[derive(Clone, Debug)]
pub struct Audit {
    sender: mpsc::Sender<Record>,
    reads: bool,
}

/// What writes them.
#[derive(Debug)]
pub struct Writer {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Audit {
    /// Begins to write to `log`, and to forget what is older than `retention`. `reads` tells whether calls that change
    /// nothing are audited too.
    pub fn start(log: PgAudit, reads: bool, retention: Duration) -> (Self, Writer) {
        let (sender, receiver) = mpsc::channel(WAITING);
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(keep_short(log.clone(), retention));
        let task = tokio::spawn(write(log, receiver, stopped));
        (Self { sender, reads }, Writer { stop, task })
    }

    /// Whether calls that change nothing are audited.
    pub const fn reads(&self) -> bool {
        self.reads
    }

    /// Takes a record.
    pub fn record(&self, record: Record) {
        if let Err(error) = self.sender.try_send(record) {
            to_log(&[error.into_inner()]);
        }
    }
}

impl Writer {
    /// Writes what is there, and ends.
    pub async fn stop(self) {
        // A task that has ended already needs no word, and one that panicked has ended too.
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}

async fn write(
    log: PgAudit,
    mut records: mpsc::Receiver<Record>,
    mut stopped: oneshot::Receiver<()>,
) {
    let (mut batch, mut stopping) = (Vec::with_capacity(BATCH), false);
    loop {
        if batch.is_empty() && !stopping {
            tokio::select! {
                count = records.recv_many(&mut batch, BATCH) => if count == 0 { return },
                _ = &mut stopped => stopping = true,
            }
        }
        if stopping {
            // All that there is, once; a table that is away is not waited for.
            while let Ok(record) = records.try_recv() {
                batch.push(record);
            }
            let appended = tokio::time::timeout(LAST, append(&log, &batch)).await;
            if !matches!(appended, Ok(Ok(()))) {
                to_log(&batch);
            }
            return;
        }
        match append(&log, &batch).await {
            Ok(()) => batch.clear(),
            Err(Error::Unavailable(error)) => {
                tracing::debug!(%error, "the audit log can't be written now");
                tokio::select! {
                    () = sleep(PAUSE) => {}
                    _ = &mut stopped => stopping = true,
                }
            }
            Err(error) => {
                tracing::error!(cause = ?error, "the audit log does not take records");
                to_log(&batch);
                batch.clear();
            }
        }
    }
}

async fn append(log: &PgAudit, records: &[Record]) -> Result<()> {
    for batch in records.chunks(BATCH) {
        log.append(batch).await?;
    }
    Ok(())
}

fn to_log(records: &[Record]) {
    for record in records {
        let record = serde_json::to_string(record).unwrap_or_default();
        tracing::warn!(record, "not in the audit log");
    }
}

/// Forgets old records. Instances need not agree on who does it.
async fn keep_short(log: PgAudit, retention: Duration) {
    loop {
        match log.forget(retention, FORGET_BATCH).await {
            Ok(count) if count >= FORGET_BATCH.into() => {}
            Ok(_) => sleep(FORGET_INTERVAL).await,
            Err(error) => {
                tracing::debug!(%error, "old records of the audit log were not forgotten");
                sleep(PAUSE).await;
            }
        }
    }
}
