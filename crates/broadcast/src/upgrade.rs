//! `GET /app/{key}`: from an HTTP request to a connection of its own.
//!
//! The handshake is completed for refused clients, too: an HTTP error would tell a browser's script nothing, a
//! `pusher:error` with a close code does. The socket is taken back from hyper and served by a fresh task, so that
//! nothing of the HTTP connection stays in memory.

use std::sync::Arc;

use gema_protocol::close::CloseCode;
use gema_protocol::version::ProtocolVersion;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response, StatusCode, body::Incoming};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::api::answer::{self, Answer, Body};
use crate::app::App;
use crate::connection;
use crate::goodbye::Goodbye;
use crate::outbound::Outbound;
use crate::registration::{Registration, random_id};
use crate::server::Shared;
use crate::transport::Transport;

/// Characters of a refused origin that are logged: the header is the client's, and may be as long as a head.
const LOGGED_ORIGIN: usize = 200;

/// Answers a request for `/app/{key}`.
pub(crate) fn answer(shared: &Arc<Shared>, request: Request<Incoming>, key: &str) -> Response<Body> {
    let admit = |headers: &HeaderMap, version| admit(shared, headers, key, version);
    complete(shared, request, admit).unwrap_or_else(Answer::into_response)
}

/// Completes the handshake of a client that came without TLS where TLS is required, to tell it so.
pub(crate) fn refuse_plain(shared: &Arc<Shared>, request: Request<Incoming>) -> Response<Body> {
    let refused = complete(shared, request, |_, _| Err(CloseCode::TlsRequired));
    refused.unwrap_or_else(|_| answer::tls_required().into_response())
}

/// Answers the handshake and leaves the rest to a task. The error is for requests that are no handshake.
fn complete(
    shared: &Arc<Shared>,
    mut request: Request<Incoming>,
    admit: impl FnOnce(&HeaderMap, ProtocolVersion) -> Result<Arc<App>, CloseCode>,
) -> Result<Response<Body>, Answer> {
    let accept = accept_key(&request)?;
    let version = ProtocolVersion::of_query(request.uri().query().unwrap_or_default());
    let admitted = admit(request.headers(), version);
    let upgrade = hyper::upgrade::on(&mut request);
    // Counted with the requests: the end waits until the socket has its owner, or its refusal.
    shared.requests.spawn(take_over(shared.clone(), upgrade, admitted, version));
    Ok(switching_protocols(accept))
}

/// The app to connect to, or the reason why not.
fn admit(
    shared: &Shared,
    headers: &HeaderMap,
    key: &str,
    version: ProtocolVersion,
) -> Result<Arc<App>, CloseCode> {
    let app = shared.apps.by_key(key).ok_or(CloseCode::UnknownApp)?;
    if !app.config.enabled {
        return Err(CloseCode::AppDisabled);
    }
    if app.config.strict_protocol {
        version.check()?;
    }
    check_origin(app, headers.get(header::ORIGIN))?;
    Ok(app.clone())
}

/// Compares the origin with the app's list. A refusal is logged with both: nobody else knows them together.
fn check_origin(app: &App, origin: Option<&HeaderValue>) -> Result<(), CloseCode> {
    let allowed = &app.config.allowed_origins;
    if allowed.permits(origin.map(|value| value.to_str().unwrap_or("?"))) {
        return Ok(());
    }
    let seen = origin.map(|value| String::from_utf8_lossy(value.as_bytes()));
    let seen: Option<String> = seen.map(|text| text.chars().take(LOGGED_ORIGIN).collect());
    // In quotes and escaped: what a client sends must not look like a line of the log.
    tracing::info!(
        app = app.config.credentials.id,
        origin = ?seen.as_deref().unwrap_or("(none)"),
        allowed = ?allowed.entries(),
        "refused: the origin is not in the app's list"
    );
    Err(CloseCode::OriginNotAllowed)
}

/// Waits for the switch, then leaves the socket to a task of its own.
async fn take_over(
    shared: Arc<Shared>,
    upgrade: OnUpgrade,
    admitted: Result<Arc<App>, CloseCode>,
    version: ProtocolVersion,
) {
    let Ok(upgraded) = upgrade.await else { return };
    let Some((transport, early)) = Transport::of(upgraded) else {
        return tracing::error!("an upgraded connection is not the socket that was accepted");
    };
    let queue_bytes = shared.config.queue_bytes;
    let registered = match admitted {
        // "Reconnect at once" would be taken literally here, hundreds of times a second. After 4100 pusher-js comes back in
        // 1.1 s; after an HTTP error instead of the handshake, or a reset, in 15 s (measured with pusher-js 8).
        Ok(_) if shared.is_ending() => Err((CloseCode::OverCapacity, transport)),
        Ok(app) => Registration::new(app, transport, queue_bytes, version)
            .await
            .map_err(|over| (CloseCode::OverQuota, over.0)),
        Err(code) => Err((code, transport)),
    };
    match registered {
        Ok(registration) => shared.connections.spawn(connection::serve(registration, early)),
        Err((code, transport)) => {
            shared.refusals.add(code.code());
            let outbound = Outbound::new(random_id(), transport, queue_bytes);
            shared.connections.spawn(connection::refuse(outbound, Goodbye::refusal(code)))
        }
    };
}

fn switching_protocols(accept: HeaderValue) -> Response<Body> {
    let mut response = Response::new(Body::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    response
}

/// What proves to the client that we understood its key; an answer for humans when it does not ask for an upgrade.
fn accept_key(request: &Request<Incoming>) -> Result<HeaderValue, Answer> {
    let headers = request.headers();
    if !has_token(headers, &header::CONNECTION, "upgrade")
        || !has_token(headers, &header::UPGRADE, "websocket")
    {
        return Err(answer::upgrade_required());
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(answer::websocket_version_required());
    }
    let key = headers.get(header::SEC_WEBSOCKET_KEY).filter(|key| key.len() == 24);
    let key =
        key.ok_or_else(|| answer::bad_request("Sec-WebSocket-Key is missing or not 16 bytes in base64."))?;
    HeaderValue::try_from(derive_accept_key(key.as_bytes()))
        .map_err(|_| answer::bad_request("Sec-WebSocket-Key"))
}

/// Whether a comma-separated header names the token, in any case.
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case(token))
}
