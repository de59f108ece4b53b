//! From a raw request to one whose signature holds. The signature is verified before the body is read: it covers the
//! body's digest, so strangers cannot make the server hold anything.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use gema_protocol::signature::{Query, RequestAuthError, RequestHead, verify_body, verify_head};
use hyper::body::{Body as _, Incoming};
use hyper::http::request::Parts;

use super::answer::{self, Answer};
use super::body;
use super::publish::Confirmation;
use crate::app::App;
use crate::server::Shared;

/// A request whose signature has been verified.
pub(super) struct Signed<'a> {
    /// The app it is for.
    pub(super) app: Arc<App>,
    /// Its body.
    pub(super) body: Bytes,
    /// Its query parameters, decoded.
    pub(super) query: Query<'a>,
    /// It asks for the cluster's word, not only this node's (`X-Gema-Ack: cluster`).
    wants_confirmation: bool,
}

impl Signed<'_> {
    /// What to wait for, if the publisher asks for it. On a node that is alone there is nothing to wait for.
    pub(super) fn confirmation(&self) -> Option<Confirmation> {
        self.wants_confirmation.then(Confirmation::new)
    }
}

/// Verifies the signature and reads the body within its limit. `path` is the raw path without the server's `prefix`.
pub(super) async fn authenticate<'a>(
    app: &Arc<App>,
    head: &'a Parts,
    body: &mut Incoming,
    prefix: &str,
    path: &str,
) -> Result<Signed<'a>, Answer> {
    if !app.config.enabled {
        return Err(answer::app_disabled());
    }
    let (credentials, limits) = (&app.config.credentials, &app.config.limits);
    let raw = head.uri.query().unwrap_or_default();
    let query = Query::parse(raw);
    let has_body = body.size_hint().lower() > 0;
    let signed = RequestHead { method: head.method.as_str(), prefix, path, query: raw, has_body };
    let refuse = |error| {
        tracing::debug!(app = credentials.id, %error, "refused a request to the HTTP API");
        refused(error)
    };
    verify_head(credentials, &signed, &query, unix_now(), limits.signature_window_s).map_err(refuse)?;
    let body = body::read(body, limits.request_body).await?;
    verify_body(&query, &body).map_err(refuse)?;
    let wants_confirmation = head.headers.get("x-gema-ack").is_some_and(|value| value == "cluster");
    Ok(Signed { app: app.clone(), body, query, wants_confirmation })
}

/// The app of a request whose path names none.
pub(super) fn app_of_key<'a>(shared: &'a Shared, head: &Parts) -> Result<&'a Arc<App>, Answer> {
    let query = Query::parse(head.uri.query().unwrap_or_default());
    let key = query.get("auth_key").ok_or_else(|| refused(RequestAuthError::Missing("auth_key")))?;
    shared.apps.by_key(key).ok_or_else(|| refused(RequestAuthError::UnknownKey))
}

#[expect(clippy::needless_pass_by_value, reason = "made for map_err")]
fn refused(error: RequestAuthError) -> Answer {
    answer::unauthorized(format!("Authentication signature invalid. {error}"))
}

/// Seconds since 1970, for `auth_timestamp`.
fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
