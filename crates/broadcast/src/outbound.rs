//! The write half of one connection: the socket and the bounded queue before it.
//!
//! Everything a client is sent goes through here: events, replies, and what tungstenite writes itself (pong, close).
//! So bytes leave in the order they were handed over and frames never interleave. The queue is empty nearly always:
//! a sender writes straight to the socket, and only what the socket does not take is kept for the owning task
//! (`connection`), which drains it when the socket is writable again.
//!
//! The mutex is held by whoever writes to this one socket; senders to other sockets never meet it.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};
use futures_util::task::AtomicWaker;
use gema_protocol::socket_id::SocketId;
use gema_protocol::version::ProtocolVersion;
use parking_lot::Mutex;
use socket2::SockRef;
use tokio::net::TcpStream;

use crate::goodbye::Goodbye;
use crate::transport::Transport;

/// Frames handed to one `writev`; more than this rarely fits a socket buffer at once.
const FRAMES_PER_WRITE: usize = 64;
/// Unsent bytes the kernel may hold for a client that does not read. Without a bound a slow reader hides behind up to
/// 4 MB of kernel memory before our own queue sees it.
const KERNEL_UNSENT_BYTES: u32 = 128 * 1024;

/// The write half of one connection, shared by its owner and by every channel it subscribes to.
pub(crate) struct Outbound {
    id: SocketId,
    transport: Transport,
    queue: Mutex<Queue>,
    /// Wakes the owner: there is something to drain, or the state has changed.
    owner: AtomicWaker,
    limit: usize,
    version: ProtocolVersion,
    opened_ms: u64,
}

struct Queue {
    frames: VecDeque<Bytes>,
    bytes: usize,
    state: State,
}

/// What may still be written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum State {
    /// Anything.
    Open,
    /// Only what is queued: its last frame is a close frame.
    Closing,
    /// Nothing: the socket failed or its reader was too slow.
    Dead(Death),
}

/// Why a connection ended without a close frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Death {
    /// The socket reported an error; the peer is gone.
    Failed,
    /// The queue outgrew its bound because the peer does not read.
    TooSlow,
}

impl Outbound {
    /// `limit`: bytes that may wait for this client. One frame larger than that is still sent when nothing waits.
    pub(crate) fn new(id: SocketId, transport: impl Into<Transport>, limit: usize) -> Self {
        let transport = transport.into();
        let socket = transport.socket();
        // Both are optimisations; a socket that refuses them still works.
        let _ = socket.set_nodelay(true);
        let _ = SockRef::from(socket).set_tcp_notsent_lowat(KERNEL_UNSENT_BYTES);
        let queue = Queue { frames: VecDeque::new(), bytes: 0, state: State::Open };
        Self {
            id,
            transport,
            queue: Mutex::new(queue),
            owner: AtomicWaker::new(),
            limit,
            version: ProtocolVersion::Missing,
            opened_ms: 0,
        }
    }

    /// Names what the client speaks.
    pub(crate) fn speaking(self, version: ProtocolVersion) -> Self {
        Self { version, ..self }
    }

    /// Says when it was opened, by the cluster's clock in milliseconds since 1970.
    pub(crate) fn opened_at(self, opened_ms: u64) -> Self {
        Self { opened_ms, ..self }
    }

    /// When it was opened, by the cluster's clock in milliseconds since 1970; 0 on a node that is alone.
    pub(crate) fn opened_ms(&self) -> u64 {
        self.opened_ms
    }

    /// Queues the first frame, before anybody else can.
    pub(crate) fn greeting(mut self, frame: Bytes) -> Self {
        self.queue.get_mut().push(frame);
        self
    }

    /// What the client speaks.
    pub(crate) fn version(&self) -> ProtocolVersion {
        self.version
    }

    /// The connection's socket id.
    pub(crate) fn id(&self) -> SocketId {
        self.id
    }

    /// The socket, for its owner to wait on.
    pub(crate) fn socket(&self) -> &TcpStream {
        self.transport.socket()
    }

    /// As [`Transport::take_decrypted`].
    pub(crate) fn take_decrypted(&self, bytes: &mut [u8]) -> Option<io::Result<usize>> {
        self.transport.take_decrypted(bytes)
    }

    /// As [`Transport::try_read`].
    pub(crate) fn try_read(&self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.transport.try_read(bytes);
        // What TLS answers by itself goes out with the rest.
        if self.transport.waits() {
            self.owner.wake();
        }
        read
    }

    /// Sends complete frames, or queues what the socket does not take.
    pub(crate) fn send(&self, frames: &Bytes) {
        let mut queue = self.queue.lock();
        self.send_locked(&mut queue, frames);
    }

    /// As [`Outbound::send`], unless `live` has been taken back by [`Outbound::revoke`].
    pub(crate) fn send_while(&self, live: &AtomicBool, frames: &Bytes) {
        let mut queue = self.queue.lock();
        if live.load(Ordering::Relaxed) {
            self.send_locked(&mut queue, frames);
        }
    }

    /// After this returns no [`Outbound::send_while`] with the same flag sends anything: both hold the queue's lock.
    pub(crate) fn revoke(&self, live: &AtomicBool) {
        let _queue = self.queue.lock();
        live.store(false, Ordering::Relaxed);
    }

    /// Sends the last frames. Nothing follows them. False if it was closed already.
    pub(crate) fn close(&self, last: &Goodbye) -> bool {
        let mut queue = self.queue.lock();
        let is_open = queue.state == State::Open;
        self.send_locked(&mut queue, last.frames(self.version));
        if queue.state == State::Open {
            queue.state = State::Closing;
        }
        drop(queue);
        self.owner.wake();
        is_open
    }

    /// What may still be written.
    pub(crate) fn state(&self) -> State {
        self.queue.lock().state
    }

    /// Names the task that [`Outbound::poll_drain`] is called from.
    pub(crate) fn set_owner(&self, waker: &Waker) {
        self.owner.register(waker);
    }

    /// Writes what is queued. `Ready` when nothing is left, `Pending` when the socket takes no more; an error ends the
    /// connection.
    pub(crate) fn poll_drain(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut queue = self.queue.lock();
        loop {
            if let State::Dead(_) = queue.state {
                return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
            }
            if !self.waits(&queue) {
                queue.frames = VecDeque::new();
                return Poll::Ready(Ok(()));
            }
            match self.socket().poll_write_ready(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(ready) => ready?,
            }
            match self.write_some(&queue.frames) {
                Ok(written) => queue.advance(written),
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Err(e) => return Poll::Ready(Err(e)),
            }
        }
    }

    /// Tells the peer that nothing more will come.
    pub(crate) fn finish_writing(&self) {
        self.transport.finish_writing();
    }

    fn send_locked(&self, queue: &mut Queue, frames: &Bytes) {
        if queue.state != State::Open {
            return;
        }
        if self.waits(queue) {
            if queue.bytes + self.transport.waiting() + frames.len() > self.limit {
                return self.evict(queue);
            }
            return queue.push(frames.clone());
        }
        match self.transport.try_write(frames) {
            Ok(written) if written == frames.len() => {
                if !self.waits(queue) {
                    return;
                }
            }
            Ok(written) => queue.push(frames.slice(written..)),
            Err(e) if e.kind() == ErrorKind::WouldBlock => queue.push(frames.clone()),
            Err(_) => queue.state = State::Dead(Death::Failed),
        }
        self.owner.wake();
    }

    /// Whether anything waits for the socket.
    fn waits(&self, queue: &Queue) -> bool {
        !queue.frames.is_empty() || self.transport.waits()
    }

    fn evict(&self, queue: &mut Queue) {
        queue.state = State::Dead(Death::TooSlow);
        queue.frames = VecDeque::new();
        queue.bytes = 0;
        // A reset frees the kernel's buffer now; an orderly close would wait behind it for a reader that does not read.
        let _ = self.socket().set_zero_linger();
        self.owner.wake();
    }

    fn write_some(&self, frames: &VecDeque<Bytes>) -> io::Result<usize> {
        if let (Some(only), 1) = (frames.front(), frames.len()) {
            return self.transport.try_write(only);
        }
        let mut slices = [IoSlice::new(&[]); FRAMES_PER_WRITE];
        for (slice, frame) in slices.iter_mut().zip(frames) {
            *slice = IoSlice::new(frame);
        }
        self.transport.try_write_vectored(&slices[..frames.len().min(FRAMES_PER_WRITE)])
    }
}

impl Queue {
    fn push(&mut self, frames: Bytes) {
        self.bytes += frames.len();
        self.frames.push_back(frames);
    }

    fn advance(&mut self, mut written: usize) {
        self.bytes -= written;
        while let Some(front) = self.frames.front_mut() {
            if written < front.len() {
                return front.advance(written);
            }
            written -= front.len();
            self.frames.pop_front();
        }
    }
}
