//! Whether a peer is still there, and when to ask.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

use super::io::Connection;

/// What is to be done about the silence of a peer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Ask it for a word.
    Ping,
    /// Take it for gone.
    GiveUp,
}

/// Watches a peer.
pub(super) struct Pulse {
    heartbeat: Duration,
    timeout: Duration,
    /// When it was asked last.
    asked: Instant,
    /// Whether it has not said anything since.
    awaited: bool,
    /// Whether it was listened to when that was looked at last.
    reading: bool,
    /// Since when it is.
    listening: Instant,
    /// Since when something waits to be taken by it, if anything does.
    sending: Option<Instant>,
    alarm: Pin<Box<Sleep>>,
}

impl Pulse {
    /// A peer that says nothing for a `heartbeat` is asked, and has the `timeout` to answer.
    pub(super) fn new(heartbeat: Duration, timeout: Duration) -> Self {
        let now = Instant::now();
        Self {
            heartbeat,
            timeout,
            asked: now,
            awaited: false,
            reading: true,
            listening: now,
            sending: None,
            alarm: Box::pin(sleep(heartbeat)),
        }
    }

    /// Waits until something is to be done. `reading` says whether the peer is listened to: while a message waits for the
    /// handler, what it says can't be heard. `sending` says whether something waits to be taken by it.
    pub(super) fn poll(
        &mut self,
        context: &mut Context<'_>,
        connection: &Connection,
        reading: bool,
        sending: bool,
    ) -> Poll<Act> {
        loop {
            let now = Instant::now();
            let (due, act) = self.next(now, connection, reading, sending);
            if due <= now {
                if act == Act::Ping {
                    self.asked = now;
                    self.awaited = true;
                }
                return Poll::Ready(act);
            }
            if self.alarm.deadline() != due {
                self.alarm.as_mut().reset(due);
            }
            ready!(self.alarm.as_mut().poll(context));
        }
    }

    /// What is to be done next, and when.
    fn next(
        &mut self,
        now: Instant,
        connection: &Connection,
        reading: bool,
        sending: bool,
    ) -> (Instant, Act) {
        if !(reading && self.reading) {
            // Not since it was looked at last: what it has to say, it has its whole time for from now on.
            self.listening = now;
        }
        self.reading = reading;
        let heard = connection.heard.max(self.listening);
        if heard > self.asked {
            self.awaited = false;
        }
        if sending {
            // It must take what it is sent, whatever it says meanwhile, and can't be asked before it does.
            let since = connection.taken.max(*self.sending.get_or_insert(now));
            return (since + self.heartbeat + self.timeout, Act::GiveUp);
        }
        self.sending = None;
        if !reading {
            // Who is gone does not take what it is sent, as the next attempt tells.
            (self.asked.max(connection.heard) + self.heartbeat, Act::Ping)
        } else if self.awaited {
            (self.asked + self.timeout, Act::GiveUp)
        } else {
            (heard + self.heartbeat, Act::Ping)
        }
    }
}
