//! What a connection's bytes go over: a socket, with or without TLS on it.
//!
//! TLS is driven here without a task of its own: whoever writes to the connection encrypts, whoever reads from it
//! decrypts, under a lock that only this connection meets. The socket below is as non-blocking as a plain one.

use std::io::{self, ErrorKind, IoSlice, Read as _, Write as _};
use std::net::Shutdown;

use bytes::Bytes;
use gema_tls::{ServerConnection, TlsStream};
use hyper::upgrade::{Parts, Upgraded};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use socket2::SockRef;
use tokio::net::TcpStream;

/// Ciphertext of one connection that may wait for its socket. What waits beyond it is plain text, which all receivers
/// of an event share.
const SEALED_BYTES: usize = 64 * 1024;
/// A record holds this much; its header, tag and padding take at most 32 bytes more in the ciphers that rustls has.
const RECORD_BYTES: usize = 16 * 1024;
const RECORD_COST: usize = 32;

/// A socket, or TLS on one. In a box, so that a plain connection pays nothing for the others.
pub(crate) enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsSocket>),
}

pub(crate) struct TlsSocket {
    socket: TcpStream,
    /// Taken after the lock of the connection's queue, or without it.
    sealed: Mutex<Sealed>,
}

impl From<TcpStream> for Transport {
    fn from(socket: TcpStream) -> Self {
        Self::Plain(socket)
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
        let tls = TlsSocket { socket, sealed: Mutex::new(Sealed::new(tls)) };
        Some((Self::Tls(Box::new(tls)), read_buf))
    }

    /// The socket, to wait on and to set options of.
    pub(crate) fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(tls) => &tls.socket,
        }
    }

    /// How many of these bytes were taken; with TLS, some of their ciphertext may wait in here.
    pub(crate) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.try_write(bytes),
            Self::Tls(tls) => tls.sealed.lock().write(&tls.socket, &[IoSlice::new(bytes)]),
        }
    }

    /// As [`Transport::try_write`], for several slices; for none it writes the ciphertext that waits.
    pub(crate) fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.try_write_vectored(slices),
            Self::Tls(tls) => tls.sealed.lock().write(&tls.socket, slices),
        }
    }

    /// Whether ciphertext waits for the socket.
    pub(crate) fn waits(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(tls) => tls.sealed.lock().tls.wants_write(),
        }
    }

    /// How many bytes of it, rounded up.
    pub(crate) fn waiting(&self) -> usize {
        match self {
            Self::Plain(_) => 0,
            Self::Tls(tls) => tls.sealed.lock().waiting,
        }
    }

    /// Reads without waiting; `WouldBlock` when no byte can be had yet.
    pub(crate) fn try_read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.try_read(bytes),
            Self::Tls(tls) => tls.sealed.lock().read(&tls.socket, bytes),
        }
    }

    /// What has been decrypted already, so that nothing needs to come before it can be read. `None`: nothing has.
    pub(crate) fn take_decrypted(&self, bytes: &mut [u8]) -> Option<io::Result<usize>> {
        match self {
            Self::Plain(_) => None,
            Self::Tls(tls) => tls.sealed.lock().take(bytes),
        }
    }

    /// Tells the peer that nothing more will come.
    pub(crate) fn finish_writing(&self) {
        if let Self::Tls(tls) = self {
            tls.sealed.lock().finish(&tls.socket);
        }
        // The peer may be gone already, which is what we want to reach.
        let _ = SockRef::from(self.socket()).shutdown(Shutdown::Write);
    }
}

/// The TLS of one connection after its handshake.
struct Sealed {
    tls: ServerConnection,
    /// At least the ciphertext that `tls` still holds; 0 once it holds none.
    waiting: usize,
}

impl Sealed {
    fn new(mut tls: ServerConnection) -> Self {
        tls.set_buffer_limit(Some(SEALED_BYTES));
        Self { tls, waiting: 0 }
    }

    /// Writes what waits, then encrypts as much of `plain` as may wait in here and writes that, too; how many bytes of
    /// `plain` were taken. `WouldBlock`: none, the socket is full.
    fn write(&mut self, socket: &TcpStream, plain: &[IoSlice<'_>]) -> io::Result<usize> {
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
    fn finish(&mut self, socket: &TcpStream) {
        self.tls.send_close_notify();
        // The peer may be gone already, which is what we want to reach.
        let _ = self.flush(socket);
    }

    /// Plain text that has been decrypted; `None` when there is none.
    fn take(&mut self, plain: &mut [u8]) -> Option<io::Result<usize>> {
        match self.tls.reader().read(plain) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            // The socket ended without TLS having said so; whether a frame is missing is seen by its length.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Some(Ok(0)),
            taken => Some(taken),
        }
    }

    /// Reads from the socket and decrypts. `WouldBlock` also when a record is not complete yet.
    fn read(&mut self, socket: &TcpStream, plain: &mut [u8]) -> io::Result<usize> {
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
