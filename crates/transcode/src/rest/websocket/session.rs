//! A WebSocket from the end of its handshake to its own: messages in and out, signs of life, and the closing.
//!
//! Whatever goes on here is done by one task. It asks the handler for a message of its answer when the one before has
//! gone to the connection, and reads a message from the connection when the handler has taken the one before: nothing
//! piles up on either side. When the connection ends, the task does, and the handler with it.

use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream as _;
use futures_sink::Sink as _;
use hyper::upgrade::Upgraded;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::time::{Sleep, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Bytes, Error, Message, Utf8Bytes};
use tonic::{Code, Status};

use super::answers::Answers;
use super::close::{self, Faults};
use super::inbox::{Arrived, Data, Writer};
use super::io::Connection;
use super::pulse::{Act, Pulse};
use crate::spec::Binding;
use crate::status;

/// What is read from a connection at a time, unless a message is longer.
const READ: usize = 4096;

/// Longest control frame, in bytes.
const CONTROL: usize = 125;

/// How long a handler has to say something of a message that could not be read, before that is said without it.
const LAST_WORD: Duration = Duration::from_secs(1);

/// How long a peer has to close the connection after it was told to.
const CLOSING: Duration = Duration::from_secs(5);

type Socket = WebSocketStream<Connection>;

/// A call over a WebSocket.
pub(super) struct Call {
    pub(super) binding: &'static Binding,
    pub(super) answers: Answers,
    pub(super) writer: Writer,
    pub(super) faults: Faults,
    /// How many messages the caller may send; none where there is no end to them.
    pub(super) most: Option<usize>,
    /// Longest message of the caller, in bytes.
    pub(super) longest: usize,
    /// After how long without a word of the peer it is asked for one.
    pub(super) heartbeat: Duration,
    /// How long it has to answer.
    pub(super) pong_timeout: Duration,
}

/// Why there is nothing more to do for the handler.
enum End {
    /// The connection is no more, or the peer does not answer.
    Gone,
    /// The peer closes.
    Closed,
    /// The answer has come to its end.
    Answered,
    /// It has not, or will not.
    Failed(Status),
}

/// A message that could not be read.
struct Broken {
    status: Status,
    /// When it is said without the handler.
    late: Pin<Box<Sleep>>,
}

struct Session {
    socket: Socket,
    call: Call,
    pulse: Pulse,
    /// How many messages have come.
    number: usize,
    /// Whether the caller has said that no more come.
    ended: bool,
    /// Whether something is on its way to the connection.
    sending: bool,
    /// Whether the answer to a ping is. Nothing is read before it is there, or who sends pings and takes no answers would
    /// have them pile up.
    ponging: bool,
    /// Nothing is read after it.
    broken: Option<Broken>,
}

/// Makes a call over a connection.
pub(super) async fn run(upgraded: Upgraded, call: Call) {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ)
        // A message goes to the connection as soon as it is there, and is alone.
        .write_buffer_size(0)
        .max_message_size(Some(call.longest))
        .max_frame_size(Some(call.longest.max(CONTROL)));
    let connection = Connection::new(upgraded);
    let socket = WebSocketStream::from_raw_socket(connection, Role::Server, Some(config)).await;
    let (binding, faults) = (call.binding, call.faults.clone());
    let patience = call.heartbeat + call.pong_timeout;
    let mut session = Session {
        socket,
        pulse: Pulse::new(call.heartbeat, call.pong_timeout),
        call,
        number: 0,
        ended: false,
        sending: false,
        ponging: false,
        broken: None,
    };
    let end = poll_fn(|context| session.poll(context)).await;
    let Session {
        socket,
        broken,
        call,
        ..
    } = session;
    // The handler has nothing to do with how long the closing takes.
    drop(call);
    let (last, frame) = match end {
        End::Gone => return,
        End::Closed => return closed(socket, patience).await,
        End::Answered => (None, close::normal()),
        End::Failed(status) => close::failed(binding, &faults, &status),
    };
    close(socket, broken.is_some(), last, frame, patience).await;
}

impl Session {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<End> {
        loop {
            // In turn, so that neither side keeps the other waiting.
            let read = self.poll_read(context);
            let written = self.poll_write(context);
            match (read, written) {
                (Poll::Ready(Err(end)), _) | (_, Poll::Ready(Err(end))) => return Poll::Ready(end),
                (Poll::Pending, Poll::Pending) => {}
                _ => continue,
            }
            if let Some(broken) = &mut self.broken
                && broken.late.as_mut().poll(context).is_ready()
            {
                return Poll::Ready(End::Failed(broken.status.clone()));
            }
            let reading = self.broken.is_none() && self.call.writer.poll_room(context).is_ready();
            let sending = self.sending || self.ponging;
            let connection = self.socket.get_ref();
            let act = self.pulse.poll(context, connection, reading, sending);
            match act {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Act::GiveUp) => return Poll::Ready(End::Gone),
                Poll::Ready(Act::Ping) => {
                    if self.send(Message::Ping(Bytes::new())).is_err() {
                        return Poll::Ready(End::Gone);
                    }
                }
            }
        }
    }

    /// Writes a message of the answer, or what is left of the one before.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<Result<(), End>> {
        if self.sending {
            match Pin::new(&mut self.socket).poll_flush(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) => self.sending = false,
                Poll::Ready(Err(_)) => return Poll::Ready(Err(End::Gone)),
            }
        }
        match self.call.answers.poll_next(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(message))) => Poll::Ready(self.send(message)),
            Poll::Ready(Some(Err(status))) => Poll::Ready(Err(End::Failed(status))),
            Poll::Ready(None) => Poll::Ready(Err(match &self.broken {
                Some(broken) => End::Failed(broken.status.clone()),
                None => End::Answered,
            })),
        }
    }

    fn send(&mut self, message: Message) -> Result<(), End> {
        let sent = Pin::new(&mut self.socket).start_send(message);
        self.sending = true;
        sent.map_err(|_| End::Gone)
    }

    /// Reads a message, if the handler has taken the one before.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Result<(), End>> {
        if self.broken.is_some() || self.call.writer.poll_room(context).is_pending() {
            return Poll::Pending;
        }
        if self.ponging {
            match Pin::new(&mut self.socket).poll_flush(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) => self.ponging = false,
                Poll::Ready(Err(_)) => return Poll::Ready(Err(End::Gone)),
            }
        }
        let Poll::Ready(next) = Pin::new(&mut self.socket).poll_next(context) else {
            return Poll::Pending;
        };
        Poll::Ready(match next {
            None => Err(End::Gone),
            Some(Ok(Message::Close(_))) => Err(End::Closed),
            Some(Ok(Message::Text(text))) => self.take(Data::Text(text.into())),
            Some(Ok(Message::Binary(bytes))) => self.take(Data::Binary(bytes)),
            // The socket answers it by itself.
            Some(Ok(Message::Ping(_))) => {
                self.ponging = true;
                Ok(())
            }
            Some(Ok(Message::Pong(_) | Message::Frame(_))) => Ok(()),
            Some(Err(error)) => self.unreadable(&error),
        })
    }

    /// Takes a message of the caller.
    fn take(&mut self, data: Data) -> Result<(), End> {
        if self.ended {
            return Err(self.unasked("Nothing may follow the end of the requests"));
        }
        if matches!(&data, Data::Text(text) if text.is_empty()) {
            self.ended = true;
            self.call.writer.end();
            return Ok(());
        }
        match self.call.most {
            Some(0) => return Err(self.unasked("This call takes no messages")),
            Some(most) if self.number == most => {
                return Err(self.unasked("This call takes one message"));
            }
            _ => {}
        }
        self.number += 1;
        let number = self.number;
        self.call.writer.put(Ok(Arrived { number, data }));
        Ok(())
    }

    fn bad(&self, message: impl Into<String>, close: u16) -> Status {
        let reasons = self.call.binding.spec.reasons;
        let status = status::status(reasons, Code::InvalidArgument, message);
        self.call.faults.note(status, close)
    }

    /// The end of a caller that sends what nobody asked for: what is sent is never silently lost.
    fn unasked(&self, message: &str) -> End {
        End::Failed(self.bad(message, close::POLICY))
    }

    /// What comes of a message that can't be read.
    fn unreadable(&mut self, error: &Error) -> Result<(), End> {
        let number = self.number + 1;
        let status = match error {
            Error::Capacity(_) => {
                let longest = self.call.longest;
                let message = format!("Message {number} must not be longer than {longest} bytes");
                self.bad(message, close::TOO_LARGE)
            }
            Error::Utf8(_) => self.bad(format!("Message {number} must be UTF-8"), close::INVALID),
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => return Err(End::Gone),
            Error::Protocol(error) => {
                self.bad(format!("Not as RFC 6455 has it: {error}"), close::PROTOCOL)
            }
            _ => return Err(End::Gone),
        };
        // Nobody may wait for it.
        let is_heard = !self.ended && !self.call.writer.is_orphaned();
        let late = Box::pin(sleep(LAST_WORD));
        self.broken = Some(Broken {
            status: status.clone(),
            late,
        });
        if !is_heard {
            return Err(End::Failed(status));
        }
        self.call.writer.put(Err(status));
        Ok(())
    }
}

async fn flush(socket: &mut Socket) -> Result<(), Error> {
    poll_fn(|context| Pin::new(&mut *socket).poll_flush(context)).await
}

async fn send(socket: &mut Socket, message: Message) -> Result<(), Error> {
    poll_fn(|context| Pin::new(&mut *socket).poll_ready(context)).await?;
    Pin::new(&mut *socket).start_send(message)?;
    flush(socket).await
}

/// Says how the call ended, and waits until the peer has closed the connection: if it was closed here with something
/// unread in it, the peer would lose what it has not read yet.
async fn close(
    mut socket: Socket,
    is_broken: bool,
    last: Option<Utf8Bytes>,
    frame: CloseFrame,
    patience: Duration,
) {
    let said = timeout(patience, async {
        if let Some(last) = last {
            send(&mut socket, Message::Text(last)).await?;
        }
        send(&mut socket, Message::Close(Some(frame))).await
    });
    if !matches!(said.await, Ok(Ok(()))) {
        return;
    }
    let _ = timeout(CLOSING, async {
        let mut is_open = is_broken;
        while !is_open {
            match poll_fn(|context| Pin::new(&mut socket).poll_next(context)).await {
                Some(Ok(_)) => {}
                Some(Err(_)) => is_open = true,
                // It has said so too, and nothing comes after that.
                None => break,
            }
        }
        shut(socket.get_mut()).await;
        if is_open {
            drain(socket.get_mut()).await;
        }
    })
    .await;
}

/// Answers the closing frame of a peer.
async fn closed(mut socket: Socket, patience: Duration) {
    let _ = timeout(patience, async {
        if flush(&mut socket).await.is_ok() {
            shut(socket.get_mut()).await;
        }
    })
    .await;
}

/// Says that nothing more is sent, by TLS too where that is between.
async fn shut(connection: &mut Connection) {
    let _ = poll_fn(|context| Pin::new(&mut *connection).poll_shutdown(context)).await;
}

/// Throws away what still comes.
async fn drain(connection: &mut Connection) {
    let mut buffer = [0; READ];
    loop {
        let mut buffer = ReadBuf::new(&mut buffer);
        let read = poll_fn(|context| Pin::new(&mut *connection).poll_read(context, &mut buffer));
        if read.await.is_err() || buffer.filled().is_empty() {
            break;
        }
    }
}
