//! Every path of the server on one page.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};

use super::answer::{self, Answer, Body};
use super::authenticate::{self, Signed, authenticate};
use super::{batch_events, body, channel, channel_users, channels, connections, events, health, terminate};
use crate::server::Shared;
use crate::upgrade;

/// Answers one request.
pub(crate) async fn route(shared: Arc<Shared>, request: Request<Incoming>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let path = path.strip_prefix(shared.path.as_str()).unwrap_or_default();
    let segments: Vec<&str> = path.split('/').collect();
    let mut response = respond(&shared, request, path, &segments).await;
    if shared.is_ending() && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        // Said with an answer, so that a balancer cannot send a request just as the connection closes.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    shared.requests_answered.add((label(&segments), response.status().as_u16()));
    response
}

async fn respond(
    shared: &Arc<Shared>,
    request: Request<Incoming>,
    path: &str,
    segments: &[&str],
) -> Response<Body> {
    if let ["", "app", key] = segments[..]
        && request.method() == Method::GET
    {
        return upgrade::answer(shared, request, key);
    }
    let (head, mut body) = request.into_parts();
    let answer = match segments[..] {
        ["", "app", _] => answer::method_not_allowed("GET"),
        ["", "up" | "live" | "ready"] if head.method != Method::GET => answer::method_not_allowed("GET"),
        ["", "up"] => up(),
        ["", "live"] => health::live(),
        ["", "ready"] => health::ready(shared),
        ["", ref endpoint @ ..] => {
            let outcome = signed(shared, &head, &mut body, path, endpoint).await;
            outcome.unwrap_or_else(|refusal| refusal)
        }
        _ => answer::not_found(),
    };
    body::discard(&head, &mut body).await;
    answer.into_response()
}

/// Answers one request that came without TLS where TLS is required. Clients with a fallback learn that they shall use it
/// (4000, on which pusher-js switches to `wss`); nothing else is served.
pub(crate) fn refuse_plain(shared: &Arc<Shared>, request: Request<Incoming>) -> Response<Body> {
    let path = request.uri().path().strip_prefix(shared.path.as_str()).unwrap_or_default();
    if request.method() == Method::GET && path.strip_prefix("/app/").is_some_and(|key| !key.contains('/')) {
        return upgrade::refuse_plain(shared, request);
    }
    answer::tls_required().into_response()
}

/// Endpoints below `/apps/{id}`, all of them signed; and one that the Python SDK asks for outside of it.
async fn signed(
    shared: &Shared,
    head: &Parts,
    body: &mut Incoming,
    path: &str,
    segments: &[&str],
) -> Result<Answer, Answer> {
    let endpoint = match segments {
        ["apps", _, endpoint @ ..] => endpoint,
        ["users", _, "terminate_connections"] => segments,
        _ => return Err(answer::not_found()),
    };
    let method = match endpoint {
        [_, .., ""] => return Err(answer::trailing_slash()),
        ["events" | "batch_events"] | ["channels", _, "events"] | ["users", _, "terminate_connections"] => {
            "POST"
        }
        ["channels"] | ["channels", _] | ["channels", _, "users" | "stats"] | ["connections"] => "GET",
        _ => return Err(answer::not_found()),
    };
    if head.method != method {
        let signed_body = head.uri.query().is_some_and(|query| query.contains("body_md5="));
        let redirected = method == "POST" && head.method == Method::GET && signed_body;
        return Err(if redirected { answer::redirected() } else { answer::method_not_allowed(method) });
    }
    let app = match segments {
        ["apps", id, ..] => shared.apps.by_id(id).ok_or_else(|| answer::unknown_app(id))?,
        _ => authenticate::app_of_key(shared, head)?,
    };
    let request = authenticate(app, head, body, &shared.path, path).await?;
    dispatch(shared, &request, endpoint).await
}

async fn dispatch(shared: &Shared, request: &Signed<'_>, endpoint: &[&str]) -> Result<Answer, Answer> {
    match endpoint {
        ["events"] => events::post(shared, request).await,
        ["batch_events"] => batch_events::post(shared, request).await,
        ["channels"] => channels::get(request).await,
        ["channels", name] | ["channels", name, "stats"] => channel::get(request, name).await,
        ["channels", name, "users"] => channel_users::get(request, name).await,
        ["channels", name, "events"] => events::post_to_channel(shared, request, name).await,
        ["users", user, "terminate_connections"] => terminate::post(request, user).await,
        ["connections"] => Ok(connections::get(request).await),
        _ => Err(answer::not_found()),
    }
}

/// The route as metrics name it: few, whatever is asked for.
fn label(segments: &[&str]) -> &'static str {
    match segments {
        ["", "app", _] => "/app/{key}",
        ["", "up"] => "/up",
        ["", "live"] => "/live",
        ["", "ready"] => "/ready",
        ["", "apps", _, endpoint @ ..] => match endpoint {
            ["events"] => "/apps/{id}/events",
            ["batch_events"] => "/apps/{id}/batch_events",
            ["channels"] => "/apps/{id}/channels",
            ["channels", _] => "/apps/{id}/channels/{name}",
            ["channels", _, "users"] => "/apps/{id}/channels/{name}/users",
            ["channels", _, "stats"] => "/apps/{id}/channels/{name}/stats",
            ["channels", _, "events"] => "/apps/{id}/channels/{name}/events",
            ["users", _, "terminate_connections"] => "/apps/{id}/users/{user}/terminate_connections",
            ["connections"] => "/apps/{id}/connections",
            _ => "other",
        },
        ["", "users", _, "terminate_connections"] => "/users/{user}/terminate_connections",
        _ => "other",
    }
}

/// `GET /up`: the process serves requests.
fn up() -> Answer {
    answer::json(&serde_json::json!({ "health": "OK" }))
}
