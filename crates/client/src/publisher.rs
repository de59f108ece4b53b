//! The [`Publisher`]: one `batch_events` call per [`Publisher::batch`], over kept-alive connections.

use std::error::Error as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gema_protocol::app::Credentials;
use gema_protocol::signature::sign_request;
use reqwest::{Client, ClientBuilder, Response, Url, redirect};
use rustls::ClientConfig;
use serde::Serialize;

use crate::{ClientError, PublishError};

/// Long enough for a busy server, short enough that a queue worker notices; the usual Laravel job timeout.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How much of an answer is read at most; more is not worth keeping the connection for.
const ANSWER_LIMIT: usize = 16 * 1024;
/// How many characters of a refusal end up in logs and in `failed_jobs`.
const TEXT_LIMIT: usize = 300;

/// One event for one channel.
#[derive(Debug, Clone, Serialize)]
pub struct Event {
    /// Event name as it appears on the wire, e.g. `attendance.created`.
    pub name: String,
    /// Channel name, e.g. `private-user.7`.
    pub channel: String,
    /// The payload, already encoded (a JSON text by convention).
    pub data: String,
    /// A connection that shall not get the event, `123.456`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub socket_id: Option<String>,
}

#[derive(Serialize)]
struct Batch<'a> {
    batch: &'a [Event],
}

/// Publishes events to one app of one server. Cheap to clone; clones share their connections.
///
/// It follows no redirect (a signature is for one path) and uses no proxy of the environment.
#[derive(Debug, Clone)]
pub struct Publisher {
    http: Client,
    base: Url,
    credentials: Credentials,
    timeout: Duration,
}

impl Publisher {
    /// A publisher for `http(s)://host[:port][/prefix]` with a timeout of 30 s for each request.
    ///
    /// # Errors
    /// [`ClientError`] when the address is unusable or the process has no TLS provider.
    pub fn new(base_url: &str, credentials: Credentials) -> Result<Self, ClientError> {
        // reqwest panics without one; this way it is a sentence.
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(ClientError::NoTlsProvider);
        }
        Self::build(base_url, credentials, Client::builder())
    }

    /// As [`Publisher::new`], for a server that `tls` trusts, be it one whose certificate nobody else would.
    ///
    /// # Errors
    /// See [`Publisher::new`].
    pub fn trusting(
        base_url: &str,
        credentials: Credentials,
        tls: ClientConfig,
    ) -> Result<Self, ClientError> {
        Self::build(base_url, credentials, Client::builder().tls_backend_preconfigured(tls))
    }

    /// With another limit for the whole of one request.
    #[must_use]
    pub fn within(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    fn build(base_url: &str, credentials: Credentials, http: ClientBuilder) -> Result<Self, ClientError> {
        let base = parse_base(base_url)?;
        let http = http.redirect(redirect::Policy::none()).no_proxy().build().map_err(ClientError::Http)?;
        Ok(Self { http, base, credentials, timeout: TIMEOUT })
    }

    /// Sends all events in one `POST /apps/{id}/batch_events`: the server takes all of them or none.
    ///
    /// The request asks to be answered only when every node can have the events (`X-Gema-Ack: cluster`); servers that
    /// do not know the header ignore it. Nothing is retried here.
    ///
    /// # Errors
    /// [`PublishError`], whose [`is_transient`](PublishError::is_transient) says whether a retry makes sense.
    pub async fn batch(&self, events: &[Event]) -> Result<(), PublishError> {
        let body = serde_json::to_vec(&Batch { batch: events })
            .map_err(|error| PublishError::Request(error.to_string()))?;
        let url = self.signed_url("batch_events", &body)?;
        let response = self
            .http
            .post(url)
            .timeout(self.timeout)
            .header("content-type", "application/json")
            .header("x-gema-ack", "cluster")
            .body(body)
            .send()
            .await
            .map_err(|error| self.unreachable(error))?;
        let status = response.status();
        let text = read_answer(response).await.map_err(|error| self.unreachable(error))?;
        if status.is_success() {
            return Ok(());
        }
        Err(PublishError::Refused { status: status.as_u16(), text: text.chars().take(TEXT_LIMIT).collect() })
    }

    /// The full URL. Only `/apps/…` is signed: no SDK signs the prefix, and servers strip it before they verify.
    fn signed_url(&self, call: &str, body: &[u8]) -> Result<Url, PublishError> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_err(|_| PublishError::Request("the clock of this machine stands before 1970".into()))?;
        let path = format!("/apps/{}/{call}", self.credentials.id);
        let query = sign_request(&self.credentials, "POST", &path, &[], body, now.as_secs());
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        url.set_query(Some(&query));
        Ok(url)
    }

    fn unreachable(&self, error: reqwest::Error) -> PublishError {
        // Without its URL: that carries the signature.
        let error = error.without_url();
        let mut cause = error.to_string();
        let mut source = error.source();
        while let Some(inner) = source {
            cause = format!("{cause}: {inner}");
            source = inner.source();
        }
        PublishError::Unreachable { address: self.base.origin().ascii_serialization(), cause }
    }
}

fn parse_base(base_url: &str) -> Result<Url, ClientError> {
    let refuse = || ClientError::BaseUrl { url: base_url.to_owned() };
    let base = Url::parse(base_url).map_err(|_| refuse())?;
    let plain = base.query().is_none() && base.fragment().is_none() && base.username().is_empty();
    if plain && base.password().is_none() && matches!(base.scheme(), "http" | "https") && base.has_host() {
        return Ok(base);
    }
    Err(refuse())
}

/// Reads the answer to its end, so that the connection can be used again, but no further than the limit.
async fn read_answer(mut response: Response) -> Result<String, reqwest::Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() >= ANSWER_LIMIT {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
