//! A connection as a caller has it, byte for byte.

use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longest wait for what has to come.
const PATIENCE: Duration = Duration::from_secs(20);

/// Reads until a text comes.
pub(crate) async fn read_until(connection: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    while !text.contains(end) {
        let mut buffer = [0; 1024];
        let read = timeout(PATIENCE, connection.read(&mut buffer)).await;
        let read = read.unwrap_or_else(|_| panic!("nothing came after {text}"));
        let read = read.expect("a connection");
        assert!(read > 0, "the connection ended after {text}");
        text.push_str(std::str::from_utf8(&buffer[..read]).expect("text"));
    }
    text
}
