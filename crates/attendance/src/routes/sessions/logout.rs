//! `POST /logout`: signs the browser out.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{AppendHeaders, IntoResponse};

use crate::error::Error;
use crate::openapi::Message;
use crate::proxies::Client;
use crate::session::SessionId;
use crate::state::App;

/// Signs the browser out.
///
/// Ends the session and gives the browser an anonymous one, whose CSRF token works for the next sign-in.
#[utoipa::path(
    post,
    path = "/logout",
    tag = "Login",
    operation_id = "sign_out",
    params(("X-XSRF-TOKEN" = String, Header, description = "The cookie `XSRF-TOKEN`")),
    responses(
        (status = 204, description = "Signed out"),
        (status = 419, description = "The CSRF token is missing or another session's", body = Message),
    ),
)]
pub(crate) async fn logout(
    State(app): State<App>,
    client: Client,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Error> {
    if let Some(session) = SessionId::from_headers(&headers) {
        app.store.delete_session(&session.hash()).await?;
    }
    let session = SessionId::random()?;
    Ok((StatusCode::NO_CONTENT, AppendHeaders(session.cookies(client))))
}
