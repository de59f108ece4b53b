//! What a connection's bytes go over: a socket, with or without TLS on it.
//!
//! TLS is driven here without a runtime of its own: [`Sealed`] encrypts and decrypts under the lock of the connection's
//! queue (`outbound.rs`), and the socket below it is as non-blocking as a plain one.

use std::io::{self, ErrorKind, IoSlice, Read as _, Write as _};

use bytes::Bytes;
use gema_tls::{ServerConnection, TlsStream};
use hyper::upgrade::{Parts, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Ciphertext of one connection that may wait for its socket. What waits beyond it is plain text, which all receivers
/// of an event share.
const SEALED_BYTES: usize = 64 * 1024;
/// A record holds this much; its header, tag and padding take at most 32 bytes more in the ciphers that rustls has.
const RECORD_BYTES: usize = 16 * 1024;
const RECORD_COST: usize = 32;

/// A socket with what encrypts it, as an upgrade leaves them.
pub(crate) struct Transport {
    pub(crate) socket: TcpStream,
    pub(crate) sealed: Option<Box<Sealed>>,
}

impl From<TcpStream> for Transport {
    fn from(socket: TcpStream) -> Self {
        Self { socket, sealed: None }
    }
}

impl Transport {
    /// Takes the transport back from hyper, with the bytes that came behind the request. `None`: it is neither of ours.
    pub(crate) fn of(upgraded: Upgraded) -> Option<(Self, Bytes)> {
        let upgraded = match upgraded.downcast::<TokioIo<TcpStream>>() {
            Ok(Parts { io, read_buf, .. }) => return Some((io.into_inner().into(), read_buf)),
            Err(upgraded) => upgraded,
        };
        let Parts { io, read_buf, .. } = upgraded.downcast::<TokioIo<Box<TlsStream<TcpStream>>>>().ok()?;
        let (socket, tls) = io.into_inner().into_inner();
        Some((Self { socket, sealed: Some(Box::new(Sealed::new(tls))) }, read_buf))
    }
}

/// The TLS of one connection after its handshake.
pub(crate) struct Sealed {
    tls: ServerConnection,
    /// At least the ciphertext that `tls` still holds; 0 once it holds none.
    waiting: usize,
}

impl Sealed {
    fn new(mut tls: ServerConnection) -> Self {
        tls.set_buffer_limit(Some(SEALED_BYTES));
        Self { tls, waiting: 0 }
    }

    /// Whether ciphertext waits for the socket.
    pub(crate) fn waits(&self) -> bool {
        self.tls.wants_write()
    }

    /// How many bytes of it, rounded up.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Writes what waits, then encrypts as much of `plain` as may wait in here and writes that, too; how many bytes of
    /// `plain` were taken. `WouldBlock`: none, the socket is full.
    pub(crate) fn write(&mut self, socket: &TcpStream, plain: &[IoSlice<'_>]) -> io::Result<usize> {
        self.flush(socket)?;
        let taken = self.tls.writer().write_vectored(plain)?;
        self.waiting = taken + taken.div_ceil(RECORD_BYTES) * RECORD_COST;
        match self.flush(socket) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
            _ => Ok(taken),
        }
    }

    /// Writes the ciphertext that waits.
    fn flush(&mut self, socket: &TcpStream) -> io::Result<()> {
        while self.tls.wants_write() {
            self.tls.write_tls(&mut NonBlocking(socket))?;
        }
        self.waiting = 0;
        Ok(())
    }

    /// Says that nothing more will be sent, as far as the socket takes it.
    pub(crate) fn finish(&mut self, socket: &TcpStream) {
        self.tls.send_close_notify();
        // The peer may be gone already, which is what we want to reach.
        let _ = self.flush(socket);
    }

    /// Plain text that has been decrypted; `None` when there is none.
    pub(crate) fn take(&mut self, plain: &mut [u8]) -> Option<io::Result<usize>> {
        match self.tls.reader().read(plain) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            // The socket ended without TLS having said so; whether a frame is missing is seen by its length.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Some(Ok(0)),
            taken => Some(taken),
        }
    }

    /// Reads from the socket and decrypts. `WouldBlock` also when a record is not complete yet.
    pub(crate) fn read(&mut self, socket: &TcpStream, plain: &mut [u8]) -> io::Result<usize> {
        self.tls.read_tls(&mut NonBlocking(socket))?;
        let processed = self.tls.process_new_packets();
        // An alert, or the answer to a change of keys. What the socket does not take waits with the rest.
        let _ = self.flush(socket);
        processed.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        self.take(plain).unwrap_or_else(|| Err(ErrorKind::WouldBlock.into()))
    }
}

/// The socket as rustls wants it.
struct NonBlocking<'a>(&'a TcpStream);

impl io::Read for NonBlocking<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(bytes)
    }
}

impl io::Write for NonBlocking<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, bytes: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
