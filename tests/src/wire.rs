//! A WebSocket client without a WebSocket library: it sends any bytes and sees each frame as it came, so that a test can
//! break the rules of RFC 6455 one by one and hold the server to them.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::PATIENCE;

/// What clients mask with here; any four bytes will do.
const MASK: [u8; 4] = [0x5a, 0x01, 0xff, 0x80];

/// The last frame of a message: 0x80 in the first byte of a frame.
pub const FIN: u8 = 0x80;
/// Opcode of what continues a message.
pub const CONTINUATION: u8 = 0;
/// Opcode of text.
pub const TEXT: u8 = 1;
/// Opcode of binary data.
pub const BINARY: u8 = 2;
/// Opcode of a close frame.
pub const CLOSE: u8 = 8;
/// Opcode of a ping.
pub const PING: u8 = 9;
/// Opcode of a pong.
pub const PONG: u8 = 10;

/// What the server sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A whole text message.
    Text(String),
    /// A ping.
    Ping(Vec<u8>),
    /// A pong.
    Pong(Vec<u8>),
    /// A close frame: its code, if it has one, and its reason.
    Close(Option<u16>, String),
    /// The end of the stream, orderly or not.
    End,
}

/// One connection.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    unread: Vec<u8>,
    /// The head of the server's answer to the handshake.
    pub head: String,
}

impl Wire {
    /// Connects and sends a correct handshake with these extra header lines (each ends with `\r\n`), and with `early`
    /// right behind it in the same write. Reads the head of the answer.
    pub async fn open(at: SocketAddr, target: &str, extra: &str, early: &[u8]) -> Self {
        Self::request(at, &[handshake(target, extra).as_bytes(), early].concat()).await
    }

    /// Connects, sends this instead of a handshake, and reads the head of the answer.
    pub async fn request(at: SocketAddr, request: &[u8]) -> Self {
        let stream = TcpStream::connect(at).await.expect("the server listens");
        Self::over(stream, request).await
    }

    /// As [`Wire::request`], over a socket that may have sent the beginning already.
    pub async fn over(mut stream: TcpStream, request: &[u8]) -> Self {
        stream.set_nodelay(true).expect("a TCP socket");
        stream.write_all(request).await.expect("the server reads");
        let mut wire = Self { stream, unread: Vec::new(), head: String::new() };
        let end = loop {
            if let Some(at) = wire.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(wire.read().await > 0, "no answer: {:?}", String::from_utf8_lossy(&wire.unread));
        };
        wire.head = String::from_utf8_lossy(&wire.unread[..end]).into_owned();
        wire.unread.drain(..end);
        wire
    }

    /// Sends bytes as they are. The server may have hung up already: what it then says is what counts.
    pub async fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    /// Goes without a word: the peer gets a reset.
    pub fn reset(self) {
        self.stream.set_zero_linger().expect("a TCP socket");
    }

    /// The next frame.
    pub async fn next(&mut self) -> Seen {
        loop {
            if let Some((seen, size)) = parse(&self.unread) {
                self.unread.drain(..size);
                return seen;
            }
            if self.read().await == 0 {
                assert!(self.unread.is_empty(), "the end came in the middle of a frame");
                return Seen::End;
            }
        }
    }

    async fn read(&mut self) -> usize {
        let mut piece = [0; 4096];
        let read = timeout(PATIENCE, self.stream.read(&mut piece)).await;
        let read = read.unwrap_or_else(|_| panic!("nothing came for {PATIENCE:?}")).unwrap_or(0);
        self.unread.extend_from_slice(&piece[..read]);
        read
    }
}

/// A correct handshake with these extra header lines, each ending with `\r\n`.
pub fn handshake(target: &str, extra: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{extra}\r\n"
    )
}

/// A masked frame; `first` is its first byte: [`FIN`] or not, and an opcode.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = match payload.len() {
        short @ 0..126 => vec![u8::try_from(short).expect("below 126")],
        medium @ 126..65_536 => {
            [&[126][..], &u16::try_from(medium).expect("below 65,536").to_be_bytes()].concat()
        }
        long => [&[127][..], &(long as u64).to_be_bytes()].concat(),
    };
    frame_of_length(first, &length, payload)
}

/// A masked frame whose length is written as told, right or wrong: one byte without the mask bit, and what follows it.
pub fn frame_of_length(first: u8, length: &[u8], payload: &[u8]) -> Vec<u8> {
    let masked = payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask);
    let header = [&[first, 0x80 | length[0]], &length[1..], &MASK].concat();
    header.into_iter().chain(masked).collect()
}

/// The first whole frame and its size. The server's frames must be final, unmasked and of the shortest form.
fn parse(bytes: &[u8]) -> Option<(Seen, usize)> {
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    assert_eq!(first & 0xf0, FIN, "a frame of the server is a fragment or has reserved bits: {first:02x}");
    let (length, header) = match second {
        0..126 => (u64::from(second), 2),
        126 => (u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 4),
        127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?), 10),
        _ => panic!("the server masks its frames"),
    };
    let shortest = if length < 126 {
        2
    } else if length < 65_536 {
        4
    } else {
        10
    };
    assert_eq!(header, shortest, "a length of {length} is not in its shortest form");
    let size = header + usize::try_from(length).expect("a length of this machine");
    let payload = bytes.get(header..size)?;
    Some((seen(first & 0x0f, payload), size))
}

fn seen(opcode: u8, payload: &[u8]) -> Seen {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("the server sends UTF-8");
    match (opcode, payload) {
        (TEXT, text_bytes) => Seen::Text(text(text_bytes)),
        (PING, payload) => Seen::Ping(payload.to_vec()),
        (PONG, payload) => Seen::Pong(payload.to_vec()),
        (CLOSE, []) => Seen::Close(None, String::new()),
        (CLOSE, [high, low, reason @ ..]) => {
            Seen::Close(Some(u16::from_be_bytes([*high, *low])), text(reason))
        }
        _ => panic!("the server sends a frame of opcode {opcode}: {payload:02x?}"),
    }
}
