//! How connections begin and end, over real loopback sockets: a fault in one of them, forced, and a goodbye that comes
//! before the greeting was read.

use std::io::Write;
use std::sync::atomic::Ordering;

use futures_util::SinkExt;
use gema_protocol::app::{Credentials, Secret};
use gema_protocol::signature::{sign_channel, sign_user};
use gema_protocol::version::ProtocolVersion;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::*;
use crate::app::{App, Apps};
use crate::config::{AppConfig, Config};

/// A message that makes the connection fail.
pub(super) const FAULT: &str = "a fault, please";

/// A client's end, its socket id, and the task that serves it.
struct Client {
    socket: WebSocketStream<TcpStream>,
    id: String,
    task: JoinHandle<()>,
}

impl Client {
    async fn connect(app: &Arc<App>) -> Self {
        let (socket, registration) = register(app).await;
        let id = registration.outbound().id().to_string();
        let mut client = Self { socket, id, task: tokio::spawn(serve(registration, Bytes::new())) };
        assert!(client.text().await.contains("pusher:connection_established"));
        client
    }

    async fn send(&mut self, text: impl Into<String>) {
        self.socket.send(Message::text(text.into())).await.unwrap();
    }

    async fn subscribe(&mut self, app: &App, channel: &str, channel_data: Option<&str>) {
        let auth = sign_channel(&app.config.credentials, &self.id, channel, channel_data);
        let data = serde_json::json!({"channel": channel, "auth": auth, "channel_data": channel_data});
        self.send(serde_json::json!({"event": "pusher:subscribe", "data": data}).to_string()).await;
        assert!(self.text().await.contains("subscription_succeeded"));
    }

    async fn sign_in(&mut self, app: &App, user_data: &str) {
        let auth = sign_user(&app.config.credentials, &self.id, user_data);
        let data = serde_json::json!({"auth": auth, "user_data": user_data});
        self.send(serde_json::json!({"event": "pusher:signin", "data": data}).to_string()).await;
        assert!(self.text().await.contains("signin_success"));
    }

    async fn text(&mut self) -> String {
        self.socket.next().await.unwrap().unwrap().into_text().unwrap().to_string()
    }

    async fn closed(&mut self) -> (u16, String) {
        match self.socket.next().await {
            Some(Ok(Message::Close(Some(close)))) => (close.code.into(), close.reason.to_string()),
            other => panic!("a close frame was due, not {other:?}"),
        }
    }
}

/// A client's end, and the registered server's end that nobody serves yet.
async fn register(app: &Arc<App>) -> (WebSocketStream<TcpStream>, Registration) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap());
    let (client, server) = tokio::join!(client, listener.accept());
    let (server, _) = server.unwrap();
    let registration = Registration::new(app.clone(), server.into(), 1 << 20, ProtocolVersion::Missing).await;
    let socket = WebSocketStream::from_raw_socket(client.unwrap(), Role::Client, None).await;
    (socket, registration.ok().unwrap())
}

/// An app for this many connections.
fn app(max_connections: usize) -> Arc<App> {
    let secret = Secret::new("hush".to_owned());
    let mut config = AppConfig::new(Credentials { id: "1".to_owned(), key: "k".to_owned(), secret });
    config.max_connections = Some(max_connections);
    Apps::new(&Config::new(vec![config])).unwrap().by_key("k").unwrap().clone()
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock()).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn r_reverb_237_a_fault_ends_its_own_connection_and_gives_everything_back() {
    let log = Log::default();
    let writer = log.clone();
    let logger = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _logging = tracing::subscriber::set_default(logger);
    let app = app(2);
    let mut neighbour = Client::connect(&app).await;
    neighbour.subscribe(&app, "presence-a", Some(r#"{"user_id":"1"}"#)).await;
    let mut broken = Client::connect(&app).await;
    broken.subscribe(&app, "room", None).await;
    broken.subscribe(&app, "presence-a", Some(r#"{"user_id":"2"}"#)).await;
    broken.sign_in(&app, r#"{"id":"2","watchlist":[]}"#).await;
    assert!(neighbour.text().await.contains("member_added"));

    broken.send(FAULT).await;
    assert_eq!(broken.closed().await, (1011, "Internal server error".to_owned()));
    drop(broken.socket);
    broken.task.await.unwrap();

    assert!(neighbour.text().await.contains(r#""event":"pusher_internal:member_removed""#));
    assert_eq!(app.connections.len(), 1);
    assert!(app.channels.get("room").is_none());
    assert_eq!(app.channels.get("presence-a").unwrap().user_ids(), ["1"]);
    assert!(app.users.connections_of("2", true).is_empty());
    let mut next = Client::connect(&app).await;
    next.subscribe(&app, "room", None).await;

    assert_eq!(app.faults.load(Ordering::Relaxed), 1);
    let text = log.text();
    let line = text.lines().find(|line| line.contains("a fault of the server")).unwrap();
    assert!(
        line.contains("ERROR") && line.contains(&broken.id) && line.contains("a test wants a fault"),
        "{line}"
    );
}

#[tokio::test]
async fn a_goodbye_never_precedes_the_greeting() {
    let app = app(1);
    let (mut socket, registration) = register(&app).await;
    for connection in &app.connections {
        connection.close(&Goodbye::of(CloseCode::Restarting));
    }
    tokio::spawn(serve(registration, Bytes::new()));
    let greeting = socket.next().await.unwrap().unwrap().into_text().unwrap();
    assert!(greeting.contains("pusher:connection_established"), "{greeting}");
    let Some(Ok(Message::Close(Some(close)))) = socket.next().await else { panic!("a close was due") };
    assert_eq!(u16::from(close.code), 4200);
}

#[tokio::test]
async fn an_idle_connection_is_small() {
    let (_socket, registration) = register(&app(1)).await;
    let size = size_of_val(&serve(registration, Bytes::new()));
    assert!(size <= 900, "the task of a connection has {size} bytes");
}
