//! Answers of the HTTP API: JSON for success, plain text for errors, as the SDKs expect.

use bytes::Bytes;
use gema_metrics::Health;
use gema_protocol::publish::PublishError;
use http_body_util::Full;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

/// Body type of every response.
pub(crate) type Body = Full<Bytes>;

/// An answer before it is a response.
#[derive(Debug)]
pub(crate) struct Answer {
    status: StatusCode,
    content_type: &'static str,
    body: Bytes,
    extra: Option<(HeaderName, &'static str)>,
}

impl Answer {
    /// The response to send.
    pub(crate) fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Full::new(self.body));
        *response.status_mut() = self.status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        if let Some((name, value)) = self.extra {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }

    fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        self.extra = Some((name, value));
        self
    }
}

/// `{}`.
pub(crate) fn empty() -> Answer {
    json_bytes(Bytes::from_static(b"{}"))
}

/// 202 `{}`.
pub(crate) fn accepted() -> Answer {
    Answer { status: StatusCode::ACCEPTED, ..empty() }
}

/// 200 with a value.
pub(crate) fn json(value: &impl Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(text) => json_bytes(text.into()),
        Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error."),
    }
}

/// 400.
pub(crate) fn bad_request(reason: impl Into<String>) -> Answer {
    text(StatusCode::BAD_REQUEST, reason)
}

/// 400: plain HTTP where TLS is required. The connection ends with it.
pub(crate) fn tls_required() -> Answer {
    bad_request("This port speaks TLS: use https:// instead of http://.").with(header::CONNECTION, "close")
}

/// 401: the signature does not hold; `reason` says which part differs in shape.
pub(crate) fn unauthorized(reason: impl Into<String>) -> Answer {
    text(StatusCode::UNAUTHORIZED, reason)
}

/// 403: the app is switched off.
pub(crate) fn app_disabled() -> Answer {
    text(StatusCode::FORBIDDEN, "The application is disabled.")
}

/// 404.
pub(crate) fn not_found() -> Answer {
    text(StatusCode::NOT_FOUND, "Not found.")
}

/// 404 for a path that would be right without the slash at its end.
pub(crate) fn trailing_slash() -> Answer {
    text(StatusCode::NOT_FOUND, "Not found. No path ends with a slash; it must be neither sent nor signed.")
}

/// 404 for an app id nobody has.
pub(crate) fn unknown_app(id: &str) -> Answer {
    let shown: String = id.chars().take(64).collect();
    text(StatusCode::NOT_FOUND, format!("No matching application for ID [{shown}]."))
}

/// 405. `allow`: the methods of this path.
pub(crate) fn method_not_allowed(allow: &'static str) -> Answer {
    text(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed.").with(header::ALLOW, allow)
}

/// 405 for a GET whose query was signed for a body: a client that follows a redirect sends one in place of its POST.
pub(crate) fn redirected() -> Answer {
    let reason = "Method not allowed. This path takes POST, and the query is that of a request with a body: a redirect \
                  on the way, from http to https perhaps, has made a GET of it. Publish to the final address.";
    text(StatusCode::METHOD_NOT_ALLOWED, reason).with(header::ALLOW, "POST")
}

/// 408: the body did not arrive in time.
pub(crate) fn request_timeout() -> Answer {
    text(StatusCode::REQUEST_TIMEOUT, "The request body did not arrive in time.")
}

/// 413 with both sizes, in bytes; `actual` is missing when the body is so large that it was not read to its end.
pub(crate) fn payload_too_large(actual: Option<u64>, allowed: usize) -> Answer {
    let size = actual.map_or_else(String::new, |actual| format!(" of {actual} bytes"));
    let reason = format!("Payload too large. The request body{size} exceeds the limit of {allowed} bytes.");
    text(StatusCode::PAYLOAD_TOO_LARGE, reason)
}

/// 426: a page for whoever opens the WebSocket address in a browser.
pub(crate) fn upgrade_required() -> Answer {
    let page = "This address speaks WebSocket. Connect with pusher-js or laravel-echo; if you did, a proxy on the way \
                drops the Upgrade and Connection headers.";
    text(StatusCode::UPGRADE_REQUIRED, page).with(header::UPGRADE, "websocket")
}

/// 426: a WebSocket version other than 13.
pub(crate) fn websocket_version_required() -> Answer {
    text(StatusCode::UPGRADE_REQUIRED, "Sec-WebSocket-Version must be 13.")
        .with(header::SEC_WEBSOCKET_VERSION, "13")
}

/// 400 or 413 for a body that is no valid event.
pub(crate) fn publish_error(error: &PublishError) -> Answer {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
    text(status, error.to_string())
}

/// 503: a channel's backlog is full; the publisher comes back in a second.
pub(crate) fn backlog_full() -> Answer {
    text(StatusCode::SERVICE_UNAVAILABLE, "The channel's backlog is full. Nothing was published; try again.")
        .with(header::RETRY_AFTER, "1")
}

/// 503: delivered here, but the cluster has not confirmed it; the publisher decides whether to repeat it.
pub(crate) fn not_confirmed() -> Answer {
    let reason = "Delivered to this node's clients, but the cluster has not confirmed the event. Try again.";
    text(StatusCode::SERVICE_UNAVAILABLE, reason).with(header::RETRY_AFTER, "1")
}

/// 200, or 503 when new clients shall go elsewhere.
pub(crate) fn health(health: Health) -> Answer {
    let (status, body) = health.answer();
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    Answer { status, ..json_bytes(body.into()) }
}

/// Plain text with any status.
pub(crate) fn text(status: StatusCode, reason: impl Into<String>) -> Answer {
    Answer { status, content_type: "text/plain; charset=utf-8", body: reason.into().into(), extra: None }
}

fn json_bytes(body: Bytes) -> Answer {
    Answer { status: StatusCode::OK, content_type: "application/json", body, extra: None }
}
