//! The body of a request as a map of fields: JSON or a form, as Laravel takes both everywhere.

use std::error::Error as _;
use std::time::Duration;

use axum::Form;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use http_body_util::LengthLimitError;
use serde_json::{Map, Value};
use tokio::time::timeout;

use crate::domain::Fields;
use crate::error::Error;

/// Most bytes of a request body. The largest legitimate one, a check-in with notes, is a tenth of it.
const BODY_LIMIT: usize = 64 * 1024;
/// How long a body may take to arrive; what is legitimate is a few packets.
const BODY_PATIENCE: Duration = Duration::from_secs(30);

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
        Self::parse(&parts.headers, collect(body).await?).await
    }
}

/// The whole body, unless it is too large or too slow.
pub(crate) async fn collect(body: Body) -> Result<Bytes, Error> {
    match timeout(BODY_PATIENCE, to_bytes(body, BODY_LIMIT)).await {
        Err(_) => Err(Error::TooSlow),
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if error.source().is_some_and(|cause| cause.is::<LengthLimitError>()) => {
            Err(Error::TooLarge)
        }
        Ok(Err(error)) => Err(Error::Malformed(error.to_string())),
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
