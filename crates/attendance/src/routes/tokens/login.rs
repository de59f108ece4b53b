//! `POST /api/login`: e-mail and password for a bearer token.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::{Credentials, check_credentials};
use crate::domain::User;
use crate::error::Error;
use crate::input::Input;
use crate::openapi::Errors;
use crate::proxies::Client;
use crate::secret;
use crate::state::App;

/// A new token and whose it is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SignedIn {
    /// Shown this once.
    token: String,
    user: User,
}

/// A bearer token for e-mail and password.
#[utoipa::path(
    post,
    path = "/api/login",
    tag = "Login",
    operation_id = "create_token",
    request_body = Credentials,
    responses(
        (status = 200, body = SignedIn),
        (status = 422, description = "Wrong e-mail or password, or none", body = Errors),
        (status = 429, description = "Too many tries; `Retry-After` says when to come again", body = Errors),
    ),
)]
pub(crate) async fn login(
    State(app): State<App>,
    client: Client,
    input: Input,
) -> Result<Json<SignedIn>, Error> {
    let user = check_credentials(&app, client, &input).await?;
    let token = secret::random()?;
    app.store.create_token(user.id, &secret::sha256_hex(&token)).await?;
    Ok(Json(SignedIn { token, user }))
}
