//! The body of a request as a map of fields: JSON or a form, as Laravel takes both everywhere.

use axum::Form;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};

use crate::domain::Fields;
use crate::error::Error;

/// Most bytes of a request body. The largest legitimate one, a check-in with notes, is a tenth of it.
pub(crate) const BODY_LIMIT: usize = 64 * 1024;

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
            Err(error) => Err(Error::Malformed(format!("no JSON ({error})"))),
        }
    }
}

impl<S: Send + Sync> FromRequest<S> for Input {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        let headers = request.headers().clone();
        let body =
            Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
                StatusCode::PAYLOAD_TOO_LARGE => Error::TooLarge,
                _ => Error::Malformed(rejection.body_text()),
            })?;
        Self::parse(&headers, body).await
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
