//! The timer of a connection by HTTP/1.1, which waits for the head of each request.
//!
//! hyper begins to wait anew for every request, and nearly always the request comes. To put a timer into the runtime's
//! wheel and to take it out again costs more than to read the head; so there is one for the connection, which goes off
//! when the first wait would have ended and goes on from there.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt::{Sleep, Timer};

/// Makes the waits of one connection, of which one is under way at a time.
#[derive(Clone, Debug, Default)]
pub(super) struct ConnectionTimer(Arc<Mutex<Option<Pin<Box<tokio::time::Sleep>>>>>);

/// A wait.
#[derive(Debug)]
struct Wait {
    deadline: Instant,
    timer: ConnectionTimer,
}

impl Timer for ConnectionTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        let timer = self.clone();
        Box::pin(Wait { deadline, timer })
    }

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into()
    }
}

impl Sleep for Wait {}

impl Future for Wait {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let deadline = self.deadline.into();
        let mut slot = self.timer.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sleep = slot.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        loop {
            if sleep.deadline() > deadline {
                sleep.as_mut().reset(deadline);
            }
            if sleep.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            if sleep.deadline() >= deadline {
                return Poll::Ready(());
            }
            // That of an earlier wait went off.
            sleep.as_mut().reset(deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(10);

    #[tokio::test]
    async fn each_wait_ends_at_its_own_time() {
        let timer = ConnectionTimer::default();
        let begin = timer.now();
        for (deadline, end) in [(1, 1), (3, 3), (2, 3), (4, 4), (10, 10)] {
            timer.sleep_until(begin + TICK * deadline).await;
            assert!(timer.now() - begin >= TICK * end, "until {deadline}");
        }
    }

    #[tokio::test]
    async fn a_wait_that_was_given_up_ends_no_later_one() {
        let timer = ConnectionTimer::default();
        let begin = timer.now();
        for _ in 0..3 {
            let wait = timer.sleep(TICK * 4);
            assert!(tokio::time::timeout(TICK, wait).await.is_err());
        }
        timer.sleep(TICK * 4).await;
        assert!(timer.now() - begin >= TICK * 7);
    }

    #[tokio::test]
    async fn a_wait_may_end_sooner_than_the_one_before() {
        let timer = ConnectionTimer::default();
        let begin = timer.now();
        let wait = timer.sleep(Duration::from_hours(1));
        assert!(tokio::time::timeout(TICK, wait).await.is_err());
        timer.sleep(TICK).await;
        assert!(timer.now() - begin < Duration::from_mins(1));
    }
}
