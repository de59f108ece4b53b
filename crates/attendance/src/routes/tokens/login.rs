//! `POST /api/login`: e-mail and password for a bearer token.

use std::net::SocketAddr;

use axum::Json;
use axum::extract::{ConnectInfo, State};
use serde_json::{Value, json};

use crate::auth::check_credentials;
use crate::error::Error;
use crate::input::Input;
use crate::secret;
use crate::state::App;

/// Answers `{"token", "user"}`; the token is shown this once.
pub(crate) async fn login(
    State(app): State<App>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    input: Input,
) -> Result<Json<Value>, Error> {
    let user = check_credentials(&app, client, &input).await?;
    let token = secret::random()?;
    app.store.create_token(user.id, &secret::sha256_hex(&token)).await?;
    Ok(Json(json!({ "token": token, "user": user })))
}
