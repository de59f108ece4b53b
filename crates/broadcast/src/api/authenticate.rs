//! From a raw request to one whose signature holds.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use gema_protocol::signature::{Query, RequestParts, verify_request};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::{Request, StatusCode, Uri};
use tokio::time::timeout;

use super::answer::{self, Answer};
use crate::app::App;
use crate::server::Shared;

/// A publisher that takes longer to send a body gives up its connection.
const BODY_TIME: Duration = Duration::from_secs(30);

/// A request whose signature has been verified.
pub(super) struct Signed {
    /// The app it is for.
    pub(super) app: Arc<App>,
    /// Its body.
    pub(super) body: Bytes,
    uri: Uri,
}

impl Signed {
    /// Its query parameters, decoded.
    pub(super) fn query(&self) -> Query<'_> {
        Query::parse(self.uri.query().unwrap_or_default())
    }
}

/// Finds the app, reads the body within its limit and verifies the signature. `path` is the raw path without prefix.
pub(super) async fn authenticate(
    shared: &Shared,
    request: Request<Incoming>,
    path: &str,
    id: &str,
) -> Result<Signed, Answer> {
    let app = shared.apps.by_id(id).ok_or_else(|| answer::unknown_app(id))?.clone();
    if !app.config.enabled {
        return Err(answer::app_disabled());
    }
    let (head, body) = request.into_parts();
    let body = read(body, app.config.limits.request_body).await?;
    let query = head.uri.query().unwrap_or_default();
    let parts = RequestParts { method: head.method.as_str(), path, query, body: &body };
    let window = app.config.limits.signature_window_s;
    verify_request(&app.config.credentials, &parts, unix_now(), window)
        .map_err(|e| answer::unauthorized(format!("Authentication signature invalid. {e}")))?;
    Ok(Signed { app, body, uri: head.uri })
}

async fn read(body: Incoming, limit: usize) -> Result<Bytes, Answer> {
    let announced = body.size_hint().exact();
    if announced.is_some_and(|size| size > limit as u64) {
        return Err(answer::payload_too_large(announced, limit));
    }
    let read = timeout(BODY_TIME, Limited::new(body, limit).collect()).await;
    let read = read.map_err(|_| answer::request_timeout())?;
    read.map(http_body_util::Collected::to_bytes).map_err(|e| {
        if e.is::<http_body_util::LengthLimitError>() {
            return answer::payload_too_large(None, limit);
        }
        answer::text(StatusCode::BAD_REQUEST, "The request body ended early.")
    })
}

/// Seconds since 1970, for `auth_timestamp`.
fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
