//! Frames as they are on the wire.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::*;
use crate::connection::read_until;

pub(super) const CONTINUATION: u8 = 0;
pub(super) const TEXT: u8 = 1;
pub(super) const CLOSE: u8 = 8;
pub(super) const PING: u8 = 9;
pub(super) const PONG: u8 = 10;

/// Says that a frame is the last of its message.
pub(super) const FIN: u8 = 0x80;

/// A frame of a client.
pub(super) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [1, 2, 3, 4];
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..126 => frame.push(0x80 | u8::try_from(length).expect("short")),
        length => {
            frame.push(0xfe);
            frame.extend(u16::try_from(length).expect("not long").to_be_bytes());
        }
    }
    frame.extend(mask);
    frame.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    frame
}

/// A connection after its handshake.
pub(super) struct Wire(pub(super) TcpStream);

impl Wire {
    pub(super) async fn connect(address: &str, path: &str) -> Self {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.expect("sent");
        // Byte for byte, since what follows is no text.
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(stream.read_u8().await.expect("an answer"));
        }
        assert!(answer.starts_with(b"HTTP/1.1 101 "));
        Self(stream)
    }

    pub(super) async fn write(&mut self, first: u8, payload: &[u8]) {
        let bytes = frame(first, payload);
        self.0.write_all(&bytes).await.expect("sent");
    }

    /// The next frame: its first byte and its payload.
    pub(super) async fn read(&mut self) -> (u8, Vec<u8>) {
        timeout(PATIENCE, async {
            let first = self.0.read_u8().await.expect("a frame");
            let length = match self.0.read_u8().await.expect("a length") {
                126 => self.0.read_u16().await.expect("a length").into(),
                127 => usize::try_from(self.0.read_u64().await.expect("a length")).expect("fits"),
                short => usize::from(short),
            };
            let mut payload = vec![0; length];
            self.0.read_exact(&mut payload).await.expect("a payload");
            (first, payload)
        })
        .await
        .expect("in time")
    }

    /// Waits until the other end has closed the connection.
    pub(super) async fn shut(&mut self) {
        let read = timeout(PATIENCE, self.0.read(&mut [0])).await;
        assert_eq!(read.expect("in time").expect("no reset"), 0);
    }

    /// The code of the closing frame, with the error before it.
    pub(super) async fn closed(&mut self) -> (Value, u16) {
        let mut error = Value::Null;
        loop {
            let (first, payload) = self.read().await;
            if first == FIN | CLOSE {
                return (error, u16::from_be_bytes([payload[0], payload[1]]));
            }
            assert_eq!(first, FIN | TEXT);
            error = serde_json::from_slice(&payload).expect("JSON");
        }
    }
}

#[tokio::test]
async fn a_message_may_come_in_fragments() {
    let address = serve(settings(), ()).await;
    let mut wire = Wire::connect(&address, APPRAISE).await;
    wire.write(TEXT, br#"{"book": {"title""#).await;
    wire.write(CONTINUATION, b"").await;
    // Control frames stand between.
    wire.write(FIN | PING, b"x").await;
    assert_eq!(wire.read().await, (FIN | PONG, b"x".to_vec()));
    wire.write(FIN | CONTINUATION, br#": "a"}}"#).await;
    let (first, payload) = wire.read().await;
    assert_eq!(
        (first, &*payload),
        (FIN | TEXT, &br#"{"title":"a","worth":0}"#[..])
    );
    // All of them together have the longest length.
    wire.write(TEXT, &[b' '; 60]).await;
    wire.write(CONTINUATION, &[b' '; 60]).await;
    let (error, code) = wire.closed().await;
    let message = &error["error"]["message"];
    assert_eq!(message, "Message 2 must not be longer than 100 bytes");
    assert_eq!(code, 1009);
}

#[tokio::test]
async fn a_frame_that_says_it_is_long_is_not_waited_for() {
    let address = serve(settings(), ()).await;
    let mut wire = Wire::connect(&address, APPRAISE).await;
    let head = [FIN | TEXT, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3, 4];
    wire.0.write_all(&head).await.expect("sent");
    assert_eq!(wire.closed().await.1, 1009);
}

#[tokio::test]
async fn what_is_no_frame_or_no_text_is_an_error() {
    let address = serve(settings(), ()).await;
    for (bytes, code) in [
        (frame(FIN | TEXT, b"\xff\xfe"), 1007),
        // Without a mask, with reserved bits, of no kind, in fragments that do not fit.
        (vec![FIN | TEXT, 2, b'{', b'}'], 1002),
        (frame(FIN | 0x40 | TEXT, b"{}"), 1002),
        (frame(FIN | 3, b"{}"), 1002),
        (frame(FIN | CONTINUATION, b"{}"), 1002),
        (frame(PING, b""), 1002),
    ] {
        for path in [APPRAISE, ADD] {
            let mut wire = Wire::connect(&address, path).await;
            wire.0.write_all(&bytes).await.expect("sent");
            let (error, found) = wire.closed().await;
            assert_eq!(found, code, "{bytes:x?} {error}");
            assert_eq!(error["error"]["code"], 3);
            // The connection ends, and with nothing lost.
            wire.shut().await;
        }
    }
}

#[tokio::test]
async fn a_closing_frame_is_answered_and_ends_the_call() {
    let (sender, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let watch = intake::Watch {
        seen: Some(sender),
        pace: None,
    };
    let address = serve(settings(), watch).await;
    let mut wire = Wire::connect(&address, ADD).await;
    assert_eq!(seen.recv().await.as_deref(), Some("called"));
    let payload = [&4321_u16.to_be_bytes()[..], b"enough"].concat();
    wire.write(FIN | CLOSE, &payload).await;
    assert_eq!(seen.recv().await.as_deref(), Some("gone"));
    assert_eq!(wire.read().await, (FIN | CLOSE, payload));
    wire.shut().await;
}

#[tokio::test]
async fn what_is_sent_with_the_handshake_is_not_lost() {
    let address = serve(settings(), ()).await;
    let mut stream = TcpStream::connect(&address).await.expect("a connection");
    let head = format!(
        "GET {CAPITALIZE} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    let all = [
        head.as_bytes(),
        &frame(FIN | 2, b"once"),
        &frame(FIN | TEXT, b""),
    ]
    .concat();
    stream.write_all(&all).await.expect("sent");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.expect("an answer"));
    }
    let mut wire = Wire(stream);
    assert_eq!(wire.read().await, (FIN | 2, b"ONCE".to_vec()));
    assert_eq!(wire.closed().await, (Value::Null, 1000));
}

#[tokio::test]
async fn http_goes_on_after_a_handshake_that_was_refused() {
    let address = serve(settings(), ()).await;
    let mut stream = TcpStream::connect(&address).await.expect("a connection");
    let head = format!(
        "GET {APPRAISE} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n\
         GET /v1/shelves/1/books/2 HTTP/1.1\r\nhost: x\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    let answers = read_until(&mut stream, "HTTP/1.1 200 OK\r\n").await;
    assert!(answers.starts_with("HTTP/1.1 426 "), "{answers}");
}
