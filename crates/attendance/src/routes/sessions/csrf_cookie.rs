//! `GET /sanctum/csrf-cookie`: what a page asks for before its first POST.

use axum::http::{HeaderMap, StatusCode};
use axum::response::{AppendHeaders, IntoResponse};

use crate::error::Error;
use crate::proxies::Client;
use crate::session::SessionId;

/// Keeps the session that the browser has, or gives it one.
#[utoipa::path(
    get,
    path = "/sanctum/csrf-cookie",
    tag = "Login",
    responses((status = 204, description = "The cookies are set")),
)]
pub(crate) async fn csrf_cookie(client: Client, headers: HeaderMap) -> Result<impl IntoResponse, Error> {
    let session = match SessionId::from_headers(&headers) {
        Some(session) => session,
        None => SessionId::random()?,
    };
    Ok((StatusCode::NO_CONTENT, AppendHeaders(session.cookies(client))))
}
