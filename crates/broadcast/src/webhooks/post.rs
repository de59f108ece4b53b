//! One HTTP request of a webhook: sent once, and taken or not.

use std::error::Error as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use gema_protocol::app::Credentials;
use gema_protocol::signature::sign_webhook;
use gema_protocol::webhook::CONTENT_TYPE;
use gema_protocol::webhook::event::{Event, body};
use reqwest::{Client, Response, redirect};
use tokio::time::sleep;
use uuid::Uuid;

use super::WebhookUrl;
use crate::config::ConfigError;

/// How much of an answer is read, so that the connection can be used again.
const ANSWER_BYTES: usize = 16 * 1024;

/// A request as it is sent each time it is tried.
pub(crate) struct Request {
    pub(super) url: WebhookUrl,
    pub(super) key: String,
    pub(super) signature: String,
    /// The same for each try, and of no other request.
    pub(super) delivery: String,
    pub(super) body: Bytes,
}

impl Request {
    /// Made now, for these events.
    pub(super) fn new(app: &Credentials, url: &WebhookUrl, events: &[Event]) -> Self {
        Self::again(app, url, Uuid::new_v4().to_string(), body(now_ms(), events).into())
    }

    /// The same as it was made before.
    pub(super) fn again(app: &Credentials, url: &WebhookUrl, delivery: String, body: Bytes) -> Self {
        let signature = sign_webhook(&app.secret, &body);
        Self { url: url.clone(), key: app.key.clone(), signature, delivery, body }
    }
}

/// Milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Sends requests. Tests have one of their own.
pub(crate) trait Post: Send + Sync + 'static {
    /// Sends it once. The error says in words why it was not taken, without what is secret about the address.
    fn post(&self, request: &Request) -> impl Future<Output = Result<(), String>> + Send;
}

/// Parts of the time that a request may take.
const PARTS: u32 = 10;

/// Sends over HTTP; shared by all endpoints.
pub(crate) struct HttpPost {
    client: Client,
    timeout: Duration,
}

impl HttpPost {
    /// `timeout` is for the whole of a request.
    pub(crate) fn new(timeout: Duration) -> Result<Self, ConfigError> {
        // reqwest panics without one; this way it is a sentence.
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(ConfigError::NoTlsProvider);
        }
        let client = Client::builder().redirect(redirect::Policy::none()).no_proxy().build();
        let client = client.map_err(|error| ConfigError::NoHttpClient(in_words(error)))?;
        Ok(Self { client, timeout })
    }

    async fn send(&self, request: &Request) -> Result<(), String> {
        let sent = self
            .client
            .post(request.url.expose().clone())
            .header("content-type", CONTENT_TYPE)
            .header("x-pusher-key", &request.key)
            .header("x-pusher-signature", &request.signature)
            .header("x-gema-delivery", &request.delivery)
            .body(request.body.clone());
        let response = sent.send().await.map_err(in_words)?;
        let status = response.status();
        if !status.is_success() {
            return Err(format!("it answered {}", status.as_u16()));
        }
        forget(response).await;
        Ok(())
    }
}

impl Post for HttpPost {
    async fn post(&self, request: &Request) -> Result<(), String> {
        tokio::select! {
            biased;
            outcome = self.send(request) => outcome,
            () = awake(self.timeout) => Err("it did not answer in time".to_owned()),
        }
    }
}

/// Sleeps in parts: a process that was stopped for long has slept for one of them, and hears the answer that came meanwhile
/// before it counts as missing.
async fn awake(length: Duration) {
    for _ in 0..PARTS {
        sleep(length / PARTS).await;
    }
}

/// Reads what is left of an answer, within a limit. Its status has come, so nothing can go wrong any more.
async fn forget(mut response: Response) {
    let mut read = 0;
    while let Ok(Some(chunk)) = response.chunk().await {
        read += chunk.len();
        if read > ANSWER_BYTES {
            return;
        }
    }
}

/// The chain of causes, without the URL: that may hold secrets.
fn in_words(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "it did not answer in time".to_owned();
    }
    let error = error.without_url();
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        words = format!("{words}: {inner}");
        source = inner.source();
    }
    words
}
