//! One WebSocket connection: the task that owns it.
//!
//! The owner drains the outbound queue, reads frames, keeps the idle timer and holds the session (subscriptions). When
//! it ends, for whatever reason, all of that goes by `Drop`. What a frame means is decided in [`session`]; what may be
//! written is decided in [`crate::outbound`].

mod command;
mod fault;
mod io;
mod session;
#[cfg(test)]
mod tests;

use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use gema_protocol::close::CloseCode;
use gema_protocol::frame;
use gema_protocol::frame_headers::HeaderFault;
use gema_protocol::liveness::{Beat, Liveness};
use tokio::sync::oneshot;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error as WsError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::{Message, Role, WebSocketConfig};

use crate::goodbye::Goodbye;
use crate::outbound::{Death, Outbound, State};
use crate::registration::Registration;
use io::Io;
use session::Session;

/// Client frames are small; tungstenite clears its read buffer on every poll, so a large one costs memory and time.
const READ_BUFFER_BYTES: usize = 256;
/// How long a client that was sent to other servers counts as being here: one that is back there by then was never away.
const MOVING_TIME: Duration = Duration::from_secs(5);
/// How long a closed connection may take to read what is left for it and to hang up.
const CLOSING_TIME: Duration = Duration::from_secs(5);

/// Serves a connection until it ends. `early`: bytes that came with the upgrade request.
pub(crate) async fn serve(registration: Registration, mut early: Bytes) {
    let (outbound, traffic) = (registration.outbound().clone(), registration.app().traffic.clone());
    let (mut ending, moving) = {
        let mut connection = Box::pin(Connection::open(registration, std::mem::take(&mut early))).await;
        let ending = poll_fn(|cx| connection.poll_guarded(cx)).await;
        (ending, connection.if_sent_elsewhere())
    };
    let closed = Instant::now();
    if let Some(last) = ending.last_words.take() {
        outbound.close(&last);
    }
    if outbound.state() == State::Dead(Death::TooSlow) {
        traffic.slow.add(1);
        tracing::info!(socket_id = %outbound.id(), "closed: the client did not read, its queue was full");
    }
    // In a box: every connection would carry the room for its end from the beginning.
    Box::pin(hang_up(&outbound)).await;
    if let Some(session) = moving {
        Box::pin(sleep_until(closed + MOVING_TIME)).await;
        drop(session);
    }
}

/// Sends a refusal, then hangs up. The handshake was completed only so that the client learns the reason.
pub(crate) async fn refuse(outbound: Outbound, refusal: Goodbye) {
    outbound.close(&refusal);
    hang_up(&Arc::new(outbound)).await;
}

/// Writes what is queued and waits for the peer to hang up, both within [`CLOSING_TIME`].
async fn hang_up(outbound: &Arc<Outbound>) {
    let goodbye = async {
        if poll_fn(|cx| poll_drained(outbound, cx)).await.is_ok() {
            outbound.finish_writing();
            while discard(outbound).await {}
        }
    };
    // Past the deadline the socket is dropped with whatever is left.
    let _ = tokio::time::timeout(CLOSING_TIME, goodbye).await;
}

fn poll_drained(outbound: &Outbound, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
    outbound.set_owner(cx.waker());
    outbound.poll_drain(cx)
}

/// Reads and forgets. False at the end: a socket dropped with unread bytes resets, and may take our last frame with it.
async fn discard(outbound: &Outbound) -> bool {
    if outbound.socket().readable().await.is_err() {
        return false;
    }
    let mut sink = [0; 1024];
    match outbound.socket().try_read(&mut sink) {
        Ok(read) => read > 0,
        Err(e) => e.kind() == ErrorKind::WouldBlock,
    }
}

/// How a connection ends: with a frame to send last, or without.
struct Ending {
    last_words: Option<Goodbye>,
}

impl Ending {
    fn silent() -> Self {
        Self { last_words: None }
    }

    fn with(code: CloseCode) -> Self {
        Self { last_words: Some(Goodbye::of(code)) }
    }
}

struct Connection {
    session: Session,
    websocket: WebSocketStream<Io>,
    opened: Instant,
    liveness: Liveness,
    /// The client has sent a control ping or pong: it is pinged in kind. There are clients that know nothing else.
    speaks_control: bool,
    alarm: Pin<Box<Sleep>>,
    /// A client event on its way to a busy channel: nothing more is read from a client that publishes faster than its
    /// channel can take.
    publishing: Option<oneshot::Receiver<()>>,
}

impl Connection {
    async fn open(registration: Registration, early: Bytes) -> Self {
        let outbound = registration.outbound().clone();
        let limits = &registration.app().config.limits;
        let limit = limits.client_message;
        let websocket_config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(limit))
            .max_frame_size(Some(limit));
        let liveness =
            Liveness::new(Duration::ZERO, seconds(limits.ping_interval_s), seconds(limits.pong_grace_s));
        let opened = Instant::now();
        let speaks_control = !outbound.version().knows_pings();
        let io = Io::new(outbound, early);
        let websocket = WebSocketStream::from_raw_socket(io, Role::Server, Some(websocket_config)).await;
        let session = Session::new(registration);
        let first = liveness.next_deadline().min(session.probation.next_deadline());
        let alarm = Box::pin(sleep_until(opened + first));
        Self { session, websocket, opened, liveness, speaks_control, alarm, publishing: None }
    }

    /// What the client holds, if its server drains and has sent it to others: they are told that it has left only later.
    fn if_sent_elsewhere(self) -> Option<Box<Session>> {
        let app = self.session.app();
        let is_sent =
            app.sends_elsewhere.load(Ordering::Relaxed) && self.session.outbound().state() == State::Closing;
        is_sent.then(|| Box::new(self.session))
    }

    /// As [`Connection::poll`]; a fault of ours ends this connection and nothing else.
    fn poll_guarded(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        match fault::caught(|| self.poll(cx)) {
            Ok(poll) => poll,
            Err(reason) => {
                fault::report(self.session.app(), self.session.outbound(), &reason);
                Poll::Ready(Ending::with(CloseCode::InternalError))
            }
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        if let Poll::Ready(Err(_)) = poll_drained(self.session.outbound(), cx) {
            return Poll::Ready(Ending::silent());
        }
        if self.session.outbound().state() == State::Closing {
            return Poll::Ready(Ending::silent());
        }
        if let Poll::Ready(ending) = self.poll_read(cx) {
            return Poll::Ready(ending);
        }
        self.poll_alarm(cx)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        loop {
            if !self.poll_published(cx) {
                return Poll::Pending;
            }
            let next = self.websocket.poll_next_unpin(cx);
            if self.websocket.get_mut().take_heard() {
                self.heard();
            }
            let Poll::Ready(message) = next else { return Poll::Pending };
            let Some(message) = message else { return Poll::Ready(Ending::silent()) };
            let handled = match message {
                Ok(message) => self.on_message(message),
                Err(fault) => Err(Ending { last_words: last_words(&fault) }),
            };
            if let Err(ending) = handled {
                return Poll::Ready(ending);
            }
        }
    }

    fn on_message(&mut self, message: Message) -> Result<(), Ending> {
        match message {
            Message::Text(text) => self.on_text(&text)?,
            // The protocol is text, but some clients send it as binary frames.
            Message::Binary(bytes) => self.on_text(&String::from_utf8_lossy(&bytes))?,
            // tungstenite has queued the answer to a ping.
            Message::Ping(_) | Message::Pong(_) => self.speaks_control = true,
            // Its answer to a close is not waited for: an event of a channel could slip in behind it.
            Message::Close(close) => {
                let code = close.map(|close| close.code.into());
                return Err(Ending { last_words: Some(Goodbye::reply(code)) });
            }
            Message::Frame(_) => {}
        }
        Ok(())
    }

    /// Whether the last client event has been delivered, so that the next frame may be read.
    fn poll_published(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(served) = &mut self.publishing else { return true };
        if Pin::new(served).poll(cx).is_pending() {
            return false;
        }
        self.publishing = None;
        self.session.resume();
        true
    }

    fn on_text(&mut self, text: &str) -> Result<(), Ending> {
        #[cfg(test)]
        assert_ne!(text, tests::FAULT, "a test wants a fault");
        let delivery = self.session.on_text(text, self.opened.elapsed()).map_err(Ending::with)?;
        self.publishing = delivery.into_receiver();
        Ok(())
    }

    /// Counts a sign of life. The alarm may ring too early, which costs a look at the clock once in a while, but not too
    /// late: after an answered ping the next one is due sooner than the end of the wait for the answer was.
    fn heard(&mut self) {
        self.liveness.on_activity(self.opened.elapsed());
        let deadline = self.next_deadline();
        if deadline < self.alarm.deadline() {
            self.alarm.as_mut().reset(deadline);
        }
    }

    /// Probation may end within the life of the alarm; then the alarm rings once for nothing.
    fn next_deadline(&self) -> Instant {
        self.opened + self.liveness.next_deadline().min(self.session.probation.next_deadline())
    }

    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        while self.alarm.as_mut().poll(cx).is_ready() {
            let now = self.opened.elapsed();
            if self.session.probation.is_over(now) {
                return Poll::Ready(Ending::with(CloseCode::NotAuthorizedInTime));
            }
            match self.liveness.poll(now) {
                Beat::Wait => {}
                Beat::Ping if self.speaks_control => self.session.outbound().send(&frame::control_ping(b"")),
                Beat::Ping => self.session.outbound().send(&frame::ping()),
                Beat::Dead => return Poll::Ready(Ending::with(CloseCode::PongTimeout)),
            }
            let deadline = self.next_deadline();
            self.alarm.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

/// The close frame that answers a broken stream; `None` when nobody is there to read it.
fn last_words(fault: &WsError) -> Option<Goodbye> {
    let code = match fault {
        WsError::Capacity(CapacityError::MessageTooLong { .. }) => CloseCode::MessageTooBig,
        WsError::Utf8(_) => CloseCode::NotUtf8,
        WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => return None,
        WsError::Protocol(_) => CloseCode::ProtocolViolation,
        WsError::Io(error) if error.get_ref().is_some_and(|inner| inner.is::<HeaderFault>()) => {
            CloseCode::ProtocolViolation
        }
        _ => return None,
    };
    Some(Goodbye::of(code))
}

fn seconds(count: u32) -> Duration {
    Duration::from_secs(count.into())
}
