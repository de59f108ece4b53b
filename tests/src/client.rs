//! A WebSocket client that hides nothing: every frame and the close code reach the test, in order.
//!
//! The protocol gives tests a barrier for free. A `pusher:ping` is answered in the same queue as everything else, so
//! [`Client::nothing_came`] proves that something was *not* delivered without sleeping for it.

use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use gema_protocol::app::Credentials;
use gema_protocol::signature::{sign_channel, sign_user};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};

use crate::{PATIENCE, Wire};

/// One event as it came over the wire.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The text of the frame.
    pub text: String,
    /// Its `event`.
    pub event: String,
    /// Its `channel`, "" if it has none.
    pub channel: String,
    /// Its `data` as it stands, `Null` if it has none.
    pub data: Value,
}

impl Frame {
    fn read(text: &str) -> Self {
        let all: Value =
            serde_json::from_str(text).unwrap_or_else(|e| panic!("the server sent no JSON ({e}): {text}"));
        let field = |name: &str| all.get(name).cloned().unwrap_or(Value::Null);
        Self {
            text: text.to_owned(),
            event: field("event").as_str().expect("every frame names its event").to_owned(),
            channel: field("channel").as_str().unwrap_or_default().to_owned(),
            data: field("data"),
        }
    }

    /// The JSON inside a `data` string, as all frames of the protocol itself carry it.
    pub fn inner(&self) -> Value {
        let text = self.data.as_str().unwrap_or_else(|| panic!("data is no string: {}", self.text));
        serde_json::from_str(text).unwrap_or_else(|e| panic!("data holds no JSON ({e}): {}", self.text))
    }
}

/// Anything that can come.
#[derive(Debug)]
pub enum Heard {
    /// A text frame.
    Frame(Frame),
    /// A control ping.
    Ping(Bytes),
    /// A control pong.
    Pong(Bytes),
    /// A close frame with its code and reason; a code of 1005 stands for an empty one.
    Closed(u16, String),
    /// The connection ended without a close frame.
    Gone(String),
}

/// One connection.
#[derive(Debug)]
pub struct Client {
    socket: WebSocketStream<Box<dyn Wire>>,
    /// What `pusher:connection_established` named; "" before it.
    pub socket_id: String,
}

impl Client {
    /// Upgrades at the given target, such as `/app/KEY?protocol=7`, and reads nothing yet. Fails the test when the
    /// server does not upgrade.
    pub async fn open(at: SocketAddr, target: &str, headers: &[(&'static str, &str)]) -> Self {
        let stream = TcpStream::connect(at).await.expect("the server listens");
        stream.set_nodelay(true).expect("a TCP socket");
        Self::over(stream, target, headers).await
    }

    /// As [`Client::open`], over a stream that the test has made itself (with a small receive buffer, or TLS).
    pub async fn over(stream: impl Wire + 'static, target: &str, headers: &[(&'static str, &str)]) -> Self {
        let stream: Box<dyn Wire> = Box::new(stream);
        let mut request = format!("ws://127.0.0.1{target}").into_client_request().expect("a valid target");
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).expect("a valid header");
            request.headers_mut().insert(HeaderName::from_static(name), value);
        }
        let (socket, _) =
            tokio_tungstenite::client_async(request, stream).await.expect("the server upgrades");
        Self { socket, socket_id: String::new() }
    }

    /// Reads the first frame, which must be `pusher:connection_established`, and keeps its socket id.
    pub async fn established(mut self) -> Self {
        let frame = self.frame().await;
        assert_eq!(frame.event, "pusher:connection_established", "{}", frame.text);
        self.socket_id = frame.inner()["socket_id"].as_str().expect("a socket id").to_owned();
        self
    }

    /// Sends a text frame as it is.
    pub async fn send_text(&mut self, text: &str) {
        self.send_message(Message::text(text)).await;
    }

    /// Sends an event with its data and, if one is given, its channel.
    pub async fn send(&mut self, event: &str, data: Value, channel: Option<&str>) {
        let mut all = json!({"event": event, "data": data});
        if let Some(channel) = channel {
            all["channel"] = channel.into();
        }
        self.send_text(&all.to_string()).await;
    }

    /// Sends any WebSocket message, control frames included.
    pub async fn send_message(&mut self, message: Message) {
        self.socket.send(message).await.expect("the connection takes a frame");
    }

    /// Sends a text frame that the server may answer by closing even while it is still being sent.
    pub async fn try_send_text(&mut self, text: &str) -> bool {
        self.socket.send(Message::text(text)).await.is_ok()
    }

    /// Sends a subscribe without looking at the answer.
    pub async fn ask_subscribe(&mut self, channel: &str, auth: &str) {
        self.send("pusher:subscribe", json!({"auth": auth, "channel": channel}), None).await;
    }

    /// Subscribes and takes the confirmation, which must be the next frame.
    pub async fn subscribe(&mut self, channel: &str, auth: &str) {
        self.ask_subscribe(channel, auth).await;
        let frame = self.frame().await;
        assert_eq!(frame.text, succeeded(channel));
    }

    /// Sends a subscribe that the app has signed, without looking at the answer.
    pub async fn ask_signed(&mut self, app: &Credentials, channel: &str, channel_data: Option<&str>) {
        let auth = sign_channel(app, &self.socket_id, channel, channel_data);
        let data = json!({"auth": auth, "channel": channel, "channel_data": channel_data});
        self.send("pusher:subscribe", data, None).await;
    }

    /// Joins a presence channel as `channel_data` says and takes the confirmation, which must be the next frame.
    pub async fn join(&mut self, app: &Credentials, channel: &str, channel_data: &str) -> Frame {
        self.ask_signed(app, channel, Some(channel_data)).await;
        let frame = self.expect("pusher_internal:subscription_succeeded").await;
        assert_eq!(frame.channel, channel);
        frame
    }

    /// Leaves a channel and waits until the server has done so.
    pub async fn leave(&mut self, channel: &str) {
        self.send("pusher:unsubscribe", json!({"channel": channel}), None).await;
        self.nothing_came().await;
    }

    /// Signs in as `user_data` says and takes the confirmation, which must be the next frame.
    pub async fn sign_in(&mut self, app: &Credentials, user_data: &str) {
        self.ask_sign_in(app, user_data).await;
        let frame = self.expect("pusher:signin_success").await;
        assert_eq!(frame.inner(), json!({"user_data": user_data}));
    }

    /// Sends a sign-in that the app has signed, without looking at the answer.
    pub async fn ask_sign_in(&mut self, app: &Credentials, user_data: &str) {
        let auth = sign_user(app, &self.socket_id, user_data);
        self.send("pusher:signin", json!({"auth": auth, "user_data": user_data}), None).await;
    }

    /// The next thing that comes; fails the test when nothing does.
    pub async fn hear(&mut self) -> Heard {
        let next = tokio::time::timeout(PATIENCE, self.next()).await;
        next.unwrap_or_else(|_| panic!("nothing came for {PATIENCE:?}"))
    }

    /// The next thing that comes, however long that takes.
    pub async fn next(&mut self) -> Heard {
        match self.socket.next().await {
            Some(Ok(Message::Text(text))) => Heard::Frame(Frame::read(&text)),
            Some(Ok(Message::Ping(payload))) => Heard::Ping(payload),
            Some(Ok(Message::Pong(payload))) => Heard::Pong(payload),
            Some(Ok(Message::Close(None))) => Heard::Closed(1005, String::new()),
            Some(Ok(Message::Close(Some(close)))) => {
                Heard::Closed(close.code.into(), close.reason.to_string())
            }
            Some(Ok(other)) => panic!("the server sent {other:?}"),
            Some(Err(e)) => Heard::Gone(e.to_string()),
            None => Heard::Gone("end of stream".to_owned()),
        }
    }

    /// The next text frame; fails the test when something else comes.
    pub async fn frame(&mut self) -> Frame {
        match self.hear().await {
            Heard::Frame(frame) => frame,
            other => panic!("a text frame was due, not {other:?}"),
        }
    }

    /// The next frame, which must be this event.
    pub async fn expect(&mut self, event: &str) -> Frame {
        let frame = self.frame().await;
        assert_eq!(frame.event, event, "{}", frame.text);
        frame
    }

    /// The next frame, which must be a `pusher:error`: its code and message.
    pub async fn expect_error(&mut self) -> (u64, String) {
        let content = self.expect("pusher:error").await.inner();
        let code = content["code"].as_u64().expect("an error has a code");
        (code, content["message"].as_str().expect("an error has a message").to_owned())
    }

    /// Asserts that nothing waits to be read: the answer to a ping sent now is the very next frame.
    pub async fn nothing_came(&mut self) {
        self.send("pusher:ping", json!({}), None).await;
        let frame = self.frame().await;
        assert_eq!(frame.text, r#"{"event":"pusher:pong","data":"{}"}"#, "this came before the pong");
    }

    /// Reads until the connection ends: code and reason of the close frame, or 1006 when there was none.
    pub async fn closed(&mut self) -> (u16, String) {
        loop {
            match self.hear().await {
                Heard::Closed(code, reason) => return (code, reason),
                Heard::Gone(why) => return (1006, why),
                Heard::Frame(_) | Heard::Ping(_) | Heard::Pong(_) => {}
            }
        }
    }
}

/// The confirmation of a subscription, word for word.
fn succeeded(channel: &str) -> String {
    let channel = Value::from(channel);
    format!(r#"{{"event":"pusher_internal:subscription_succeeded","channel":{channel},"data":"{{}}"}}"#)
}
