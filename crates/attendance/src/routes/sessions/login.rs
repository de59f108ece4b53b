//! `POST /login`: signs the browser in.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{AppendHeaders, IntoResponse};
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::{Credentials, check_credentials};
use crate::domain::User;
use crate::error::Error;
use crate::input::Input;
use crate::openapi::{Errors, Message};
use crate::proxies::Client;
use crate::session::SessionId;
use crate::standing;
use crate::state::App;

/// Who is signed in now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Session {
    user: User,
}

/// Signs the browser in.
///
/// Answers `{"user"}` and a new session; the one from before the sign-in ends.
#[utoipa::path(
    post,
    path = "/login",
    tag = "Login",
    operation_id = "sign_in",
    params(("X-XSRF-TOKEN" = String, Header, description = "The cookie `XSRF-TOKEN`, from `/sanctum/csrf-cookie`")),
    request_body = Credentials,
    responses(
        (status = 200, body = Session),
        (status = 419, description = "The CSRF token is missing or another session's", body = Message),
        (status = 422, description = "Wrong e-mail or password, or none", body = Errors),
        (status = 429, description = "Too many tries; `Retry-After` says when to come again", body = Errors),
    ),
)]
pub(crate) async fn login(
    State(app): State<App>,
    client: Client,
    headers: HeaderMap,
    input: Input,
) -> Result<impl IntoResponse, Error> {
    let user = check_credentials(&app, client, &input).await?;
    if let Some(previous) = SessionId::from_headers(&headers) {
        app.store.delete_session(&previous.hash()).await?;
    }
    let session = SessionId::random()?;
    standing::begin(&app, &session.hash(), user.id).await?;
    Ok((AppendHeaders(session.cookies(client)), Json(Session { user })))
}
