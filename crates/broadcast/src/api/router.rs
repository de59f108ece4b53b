//! Every path of the server on one page.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{Method, Request, Response};

use super::answer::{self, Answer, Body};
use super::authenticate::{Signed, authenticate};
use super::{batch_events, channel, channel_users, channels, connections, events, terminate};
use crate::server::Shared;
use crate::upgrade;

/// Answers one request.
pub(crate) async fn route(shared: Arc<Shared>, request: Request<Incoming>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let Some(path) = path.strip_prefix(shared.path.as_str()) else {
        return answer::not_found().into_response();
    };
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    match segments[..] {
        ["app", key] if request.method() == Method::GET => upgrade::answer(&shared, request, key),
        ["app", _] => answer::method_not_allowed("GET").into_response(),
        ["up"] if request.method() == Method::GET => up().into_response(),
        ["up"] => answer::method_not_allowed("GET").into_response(),
        ["apps", id, ref endpoint @ ..] => match signed(&shared, request, path, id, endpoint).await {
            Ok(answer) | Err(answer) => answer.into_response(),
        },
        _ => answer::not_found().into_response(),
    }
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

/// Endpoints below `/apps/{id}`, all of them signed.
async fn signed(
    shared: &Shared,
    request: Request<Incoming>,
    path: &str,
    id: &str,
    endpoint: &[&str],
) -> Result<Answer, Answer> {
    let methods = match endpoint {
        ["events" | "batch_events"] | ["users", _, "terminate_connections"] => "POST",
        ["channels"] | ["channels", _] | ["channels", _, "users"] | ["connections"] => "GET",
        _ => return Err(answer::not_found()),
    };
    if request.method() != methods {
        return Err(answer::method_not_allowed(methods));
    }
    let request = authenticate(shared, request, path, id).await?;
    dispatch(shared, &request, endpoint).await
}

async fn dispatch(shared: &Shared, request: &Signed, endpoint: &[&str]) -> Result<Answer, Answer> {
    match endpoint {
        ["events"] => events::post(shared, request).await,
        ["batch_events"] => batch_events::post(shared, request).await,
        ["channels"] => Ok(channels::get(request)),
        ["channels", name] => channel::get(request, name),
        ["channels", name, "users"] => channel_users::get(request, name),
        ["users", user, "terminate_connections"] => Ok(terminate::post(request, user)),
        ["connections"] => Ok(connections::get(request)),
        _ => Err(answer::not_found()),
    }
}

/// `GET /up`: the process serves requests.
fn up() -> Answer {
    answer::json(&serde_json::json!({ "health": "OK" }))
}
