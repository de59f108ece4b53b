//! Plain HTTP to one address, and the signed API on top of it. One connection per request, so that no test depends on
//! another's keep-alive; a test of keep-alive itself opens its own connection.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use gema_protocol::app::Credentials;
use gema_protocol::signature::sign_request;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::{Trust, Wire};

/// What came back: status, header fields and the whole body.
#[derive(Debug)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Header fields, names in lower case, in the order received.
    pub headers: Vec<(String, String)>,
    /// The body as text.
    pub body: String,
}

impl Answer {
    /// The body as JSON; fails the test when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| {
            panic!("status {} with a body that is no JSON ({e}): {}", self.status, self.body)
        })
    }

    /// The body of a 200 as JSON; fails the test on any other status.
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.body);
        self.json()
    }

    /// The value of a header field, or "" if it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v)
    }
}

/// Seconds since the epoch, as signatures count them.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock stands after 1970").as_secs()
}

/// Sends one request on a connection of its own. `target` goes onto the request line as it is.
pub async fn request(
    at: SocketAddr,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    let stream = TcpStream::connect(at).await.expect("the server listens");
    request_over(stream, method, target, headers, body).await
}

/// As [`request`], over a stream that the test has made itself.
pub async fn request_over(
    stream: impl Wire + 'static,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Answer {
    exchange(stream, method, target, headers, body).await.expect("an answer")
}

/// As [`request`], of a server that may be away, or end in the middle of its answer.
///
/// # Errors
/// In words, also when nothing has come within `limit`.
pub async fn try_request(
    at: SocketAddr,
    limit: Duration,
    (method, target): (&str, &str),
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Answer, String> {
    let asked = async {
        let stream = TcpStream::connect(at).await.map_err(|error| error.to_string())?;
        exchange(stream, method, target, headers, body).await.map_err(|error| error.to_string())
    };
    timeout(limit, asked).await.unwrap_or_else(|_| Err(format!("no answer within {limit:?}")))
}

async fn exchange(
    stream: impl Wire + 'static,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Answer, hyper::Error> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // Ended with this function, however that ends.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let mut request = hyper::Request::builder().method(method).uri(target).header("host", "127.0.0.1");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::copy_from_slice(body))).expect("a valid request");
    let response = sender.send_request(request).await?;
    let status = response.status().as_u16();
    let headers = response
        .headers()
        .iter()
        .map(|(n, v)| (n.to_string(), String::from_utf8_lossy(v.as_bytes()).into_owned()))
        .collect();
    let body = response.into_body().collect().await?.to_bytes();
    Ok(Answer { status, headers, body: String::from_utf8_lossy(&body).into_owned() })
}

/// The signed HTTP API of one app on one server.
#[derive(Clone, Debug)]
pub struct Api {
    /// Where the server listens.
    pub at: SocketAddr,
    /// What stands before `/apps` in the address, and is not part of the signature: "" or e.g. "/ws".
    pub prefix: String,
    /// Whose key and secret sign.
    pub app: Credentials,
    /// What the server's certificate is held against; without it the API is plain HTTP.
    pub trust: Option<Trust>,
}

impl Api {
    /// `GET /apps/{id}{path}` with extra query parameters.
    pub async fn get(&self, path: &str, params: &[(&str, &str)]) -> Answer {
        self.call("GET", path, params, b"").await
    }

    /// `POST /apps/{id}{path}` with a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.call("POST", path, &[], body.to_string().as_bytes()).await
    }

    /// As [`Api::post`], and waits until the cluster has what was published (`X-Gema-Ack`).
    pub async fn post_confirmed(&self, path: &str, body: &Value) -> Answer {
        let body = body.to_string();
        let target = self.target("POST", path, &[], body.as_bytes());
        request(self.at, "POST", &target, &[("x-gema-ack", "cluster")], body.as_bytes()).await
    }

    /// Publishes one event to one channel and fails the test unless the answer is 200.
    pub async fn publish(&self, channel: &str, event: &str, data: &str) {
        let body = serde_json::json!({"name": event, "channels": [channel], "data": data});
        self.post("/events", &body).await.ok();
    }

    /// One signed request with any body.
    pub async fn call(&self, method: &str, path: &str, params: &[(&str, &str)], body: &[u8]) -> Answer {
        let target = self.target(method, path, params, body);
        let headers = [("content-type", "application/json")];
        let Some(trust) = &self.trust else { return request(self.at, method, &target, &headers, body).await };
        let stream = TcpStream::connect(self.at).await.expect("the server listens");
        let stream = trust.shake_hands(stream).await.expect("a certificate that is trusted");
        request_over(stream, method, &target, &headers, body).await
    }

    /// The request target with its signature, made now.
    pub fn target(&self, method: &str, path: &str, params: &[(&str, &str)], body: &[u8]) -> String {
        let path = format!("/apps/{}{path}", self.app.id);
        let query = sign_request(&self.app, method, &path, params, body, now());
        format!("{}{path}?{query}", self.prefix)
    }

    /// The request target of a POST, signed as if the clock stood at `unix_seconds`.
    pub fn target_at(&self, unix_seconds: u64, path: &str, body: &[u8]) -> String {
        let path = format!("/apps/{}{path}", self.app.id);
        let query = sign_request(&self.app, "POST", &path, &[], body, unix_seconds);
        format!("{}{path}?{query}", self.prefix)
    }
}
