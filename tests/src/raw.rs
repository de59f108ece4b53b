//! HTTP byte by byte, for what a proper client does not do: bodies in pieces, `Expect`, several requests on one socket.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::{Answer, PATIENCE};

/// One HTTP/1.1 connection.
#[derive(Debug)]
pub struct Raw {
    stream: TcpStream,
    /// What was read and belongs to no answer yet.
    ahead: Vec<u8>,
}

impl Raw {
    /// Connects; what is written leaves at once.
    pub async fn connect(at: SocketAddr) -> Self {
        let stream = TcpStream::connect(at).await.expect("the server listens");
        stream.set_nodelay(true).expect("a TCP socket");
        Self { stream, ahead: Vec::new() }
    }

    /// Sends bytes as they are.
    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("the server reads");
    }

    /// Says that nothing more will be sent.
    pub async fn finish(&mut self) {
        self.stream.shutdown().await.expect("the connection holds");
    }

    /// Sends each piece as a TCP segment of its own, as far as the kernel plays along.
    pub async fn send_in_pieces(&mut self, bytes: &[u8], size: usize) {
        for piece in bytes.chunks(size) {
            self.send(piece).await;
            tokio::task::yield_now().await;
        }
    }

    /// Sends the head of a request with these lines after the first.
    pub async fn send_head(&mut self, method: &str, target: &str, lines: &[&str]) {
        let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        self.send(format!("{method} {target} HTTP/1.1\r\nHost: x\r\n{lines}\r\n").as_bytes()).await;
    }

    /// The next answer, which must have a `Content-Length` or no body (as a 100 has none).
    pub async fn answer(&mut self) -> Answer {
        let head = self.until(b"\r\n\r\n").await;
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status line");
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
        let mut answer = Answer {
            status: status.parse().expect("a number"),
            headers: headers.collect(),
            body: String::new(),
        };
        let length = answer.header("content-length").parse().unwrap_or(0);
        while self.ahead.len() < length {
            self.more().await;
        }
        answer.body = String::from_utf8_lossy(&self.ahead.drain(..length).collect::<Vec<_>>()).into_owned();
        answer
    }

    async fn until(&mut self, end: &[u8]) -> String {
        loop {
            if let Some(at) = self.ahead.windows(end.len()).position(|window| window == end) {
                let text = self.ahead.drain(..at + end.len()).collect();
                return String::from_utf8(text).expect("a head is text");
            }
            self.more().await;
        }
    }

    async fn more(&mut self) {
        let read = timeout(PATIENCE, self.stream.read_buf(&mut self.ahead)).await;
        let read =
            read.unwrap_or_else(|_| panic!("nothing came for {PATIENCE:?}")).expect("the connection holds");
        assert!(read > 0, "the server closed after {:?}", String::from_utf8_lossy(&self.ahead));
    }
}
