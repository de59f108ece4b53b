//! Thousands of clients that behave as pusher-js: they answer a close, come back at once after 4200 to 4299 and after a
//! second otherwise, and subscribe again. What each was sent is kept.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{SinkExt, StreamExt};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

/// Clients per source address, far from the number of ports that one has.
const PER_ADDRESS: usize = 4_000;
/// Handshakes at once in the beginning, which nobody measures.
const AT_ONCE: usize = 100;

/// All clients.
pub(crate) struct Crowd {
    shared: Arc<Shared>,
    _clients: JoinSet<()>,
}

struct Shared {
    at: SocketAddr,
    target: String,
    start: Semaphore,
    /// How many are subscribed now.
    subscribed: AtomicUsize,
    /// When each handshake was begun.
    handshakes: Mutex<Vec<Instant>>,
    clients: Vec<Mutex<Life>>,
    channels: usize,
}

/// What one client has been through.
#[derive(Default)]
pub(crate) struct Life {
    /// The numbers it was sent, as they came.
    pub(crate) heard: Vec<u64>,
    /// The codes of its closes; 1006 without one, 0 for a handshake that failed.
    pub(crate) closes: Vec<u16>,
}

impl Crowd {
    /// Clients of the app with this target, through `at`, spread over so many channels.
    pub(crate) fn start(at: SocketAddr, target: &str, count: usize, channels: usize) -> Self {
        let shared = Arc::new(Shared {
            at,
            target: target.to_owned(),
            start: Semaphore::new(AT_ONCE),
            subscribed: AtomicUsize::new(0),
            handshakes: Mutex::default(),
            clients: (0..count).map(|_| Mutex::default()).collect(),
            channels,
        });
        let mut clients = JoinSet::new();
        for number in 0..count {
            clients.spawn(shared.clone().live(number));
        }
        Self { shared, _clients: clients }
    }

    /// How many are subscribed now.
    pub(crate) fn subscribed(&self) -> usize {
        self.shared.subscribed.load(Ordering::Relaxed)
    }

    /// The handshakes begun since then, in each second.
    pub(crate) fn handshakes_since(&self, since: Instant) -> Vec<usize> {
        let mut seconds = Vec::new();
        for time in self.shared.handshakes.lock().iter().filter(|time| **time >= since) {
            let second = usize::try_from((*time - since).as_secs()).expect("a short test");
            seconds.resize(seconds.len().max(second + 1), 0);
            seconds[second] += 1;
        }
        seconds
    }

    /// Looks at each client's life, with the number of its channel.
    pub(crate) fn each(&self, mut look: impl FnMut(usize, &Life)) {
        for (number, life) in self.shared.clients.iter().enumerate() {
            look(number % self.shared.channels, &life.lock());
        }
    }
}

/// The name of a channel.
pub(crate) fn channel(number: usize) -> String {
    format!("room-{number}")
}

impl Shared {
    async fn live(self: Arc<Self>, number: usize) {
        let mut permit = Some(self.start.acquire().await.expect("never closed"));
        loop {
            self.handshakes.lock().push(Instant::now());
            let code = match self.connect(number).await {
                Some(socket) => self.listen(socket, number, || drop(permit.take())).await,
                None => 0,
            };
            self.clients[number].lock().closes.push(code);
            if !(4200..4300).contains(&code) {
                sleep(Duration::from_secs(1)).await;
            }
        }
    }

    async fn connect(&self, number: usize) -> Option<WebSocketStream<TcpStream>> {
        let socket = TcpSocket::new_v4().expect("a socket");
        let last = u8::try_from(2 + number / PER_ADDRESS).expect("few addresses");
        socket.bind((Ipv4Addr::new(127, 0, 0, last), 0).into()).expect("a loopback address");
        let stream = socket.connect(self.at).await.ok()?;
        let request = format!("ws://127.0.0.1{}", self.target).into_client_request().expect("a valid target");
        let config = WebSocketConfig::default().read_buffer_size(512).write_buffer_size(0);
        let handshake = client_async_with_config(request, stream, Some(config));
        timeout(Duration::from_secs(30), handshake).await.ok()?.ok().map(|(socket, _)| socket)
    }

    /// Subscribes and listens to the end; the code of the close comes back.
    async fn listen(
        &self,
        mut socket: WebSocketStream<TcpStream>,
        number: usize,
        mut subscribed: impl FnMut(),
    ) -> u16 {
        let mut is_in = false;
        let code = loop {
            match socket.next().await {
                Some(Ok(Message::Text(text))) => {
                    let frame: Value = serde_json::from_str(&text).expect("the server sends JSON");
                    match frame["event"].as_str() {
                        Some("pusher:connection_established") => {
                            let data = json!({"channel": channel(number % self.channels)});
                            let subscribe = json!({"event": "pusher:subscribe", "data": data}).to_string();
                            let _ = socket.send(Message::text(subscribe)).await;
                        }
                        Some("pusher:ping") => {
                            let _ = socket.send(Message::text(r#"{"event":"pusher:pong","data":{}}"#)).await;
                        }
                        Some("pusher_internal:subscription_succeeded") => {
                            is_in = true;
                            self.subscribed.fetch_add(1, Ordering::Relaxed);
                            subscribed();
                        }
                        Some("e") => {
                            let heard = frame["data"].as_str().and_then(|data| data.parse().ok());
                            self.clients[number].lock().heard.push(heard.expect("a number"));
                        }
                        other => panic!("the server sent {other:?}"),
                    }
                }
                Some(Ok(Message::Close(Some(close)))) => {
                    // Its answer, which the library has queued.
                    let _ = socket.flush().await;
                    break close.code.into();
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => break 1006,
            }
        };
        if is_in {
            self.subscribed.fetch_sub(1, Ordering::Relaxed);
        }
        code
    }
}
