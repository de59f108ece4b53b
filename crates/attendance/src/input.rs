//! The body of a request as a map of fields: JSON or a form, as Laravel takes both everywhere.

use std::time::Duration;

use axum::Form;
use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_TYPE, EXPECT};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::{Map, Value};
use tokio::time::timeout;

use crate::domain::Fields;
use crate::error::Error;

/// Most bytes of a request body. The largest legitimate one, a check-in with notes, is a tenth of it.
const BODY_LIMIT: usize = 64 * 1024;
/// How long a body may take to arrive; what is legitimate is a few packets.
const BODY_PATIENCE: Duration = Duration::from_secs(30);
/// Bytes that are read and dropped for the sake of an answer.
const DISCARD_BYTES: usize = 8 * 1024 * 1024;
/// How long a refusal waits for the next part of a body. Who does not send has no answer to lose.
const DISCARD_PAUSE: Duration = Duration::from_secs(2);

/// The fields of a request.
#[derive(Debug)]
pub(crate) struct Input(Map<String, Value>);

impl Input {
    /// Starts the validation.
    pub(crate) fn fields(&self) -> Fields<'_> {
        Fields::new(&self.0)
    }

    /// A field that is a text, as it was sent.
    pub(crate) fn get(&self, field: &str) -> Option<&str> {
        self.0.get(field).and_then(Value::as_str)
    }

    /// Reads a body that has been collected already.
    pub(crate) async fn parse(headers: &HeaderMap, body: Bytes) -> Result<Self, Error> {
        if body.is_empty() {
            return Ok(Self(Map::new()));
        }
        if is_form(headers) {
            return parse_form(body).await.map(Self);
        }
        match serde_json::from_slice(&body) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(Value::Null) => Ok(Self(Map::new())),
            Ok(_) => Err(Error::Malformed("a JSON object is expected".into())),
            Err(error) => Err(Error::Malformed(format!(
                "it is neither JSON ({error}) nor marked as a form (application/x-www-form-urlencoded)"
            ))),
        }
    }
}

impl<S: Send + Sync> FromRequest<S> for Input {
    type Rejection = Error;

    async fn from_request(request: Request, _: &S) -> Result<Self, Error> {
        let (parts, body) = request.into_parts();
        Self::parse(&parts.headers, collect(&parts.headers, body).await?).await
    }
}

/// The whole body, unless it is too large or too slow.
pub(crate) async fn collect(headers: &HeaderMap, mut body: Body) -> Result<Bytes, Error> {
    let read = timeout(BODY_PATIENCE, read(&mut body)).await.unwrap_or(Err(Error::TooSlow));
    // Who waits for `100 Continue` sends nothing until asked, and must not be asked.
    if matches!(read, Err(Error::TooLarge)) && !headers.contains_key(EXPECT) {
        // The answer goes out whether or not all of it came.
        let _ = timeout(BODY_PATIENCE, discard(&mut body)).await;
    }
    read
}

async fn read(body: &mut Body) -> Result<Bytes, Error> {
    // What says itself that it is too large is not even begun.
    if usize::try_from(body.size_hint().lower()).map_or(true, |announced| announced > BODY_LIMIT) {
        return Err(Error::TooLarge);
    }
    match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Error::TooLarge),
        Err(error) => Err(Error::Malformed(error.to_string())),
    }
}

/// Passes over the rest of a refused body, within bounds. A socket closed over unread bytes is reset, and the reset may
/// reach the client before the answer does.
async fn discard(body: &mut Body) {
    let mut left = DISCARD_BYTES;
    while let Ok(Some(Ok(frame))) = timeout(DISCARD_PAUSE, body.frame()).await {
        let size = frame.data_ref().map_or(0, Bytes::len);
        let Some(rest) = left.checked_sub(size) else { return };
        left = rest;
    }
}

fn is_form(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|kind| kind.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded"))
}

async fn parse_form(body: Bytes) -> Result<Map<String, Value>, Error> {
    let request = Request::post("/")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(body))
        .map_err(|error| Error::Internal(error.to_string()))?;
    let Form(pairs) = Form::<Vec<(String, String)>>::from_request(request, &())
        .await
        .map_err(|rejection| Error::Malformed(rejection.body_text()))?;
    Ok(pairs.into_iter().map(|(name, value)| (name, Value::String(value))).collect())
}
