//! `POST /api/logout`: ends the token or session of the request itself.

use axum::extract::State;
use axum::http::StatusCode;

use crate::auth::{Caller, Via};
use crate::error::Error;
use crate::state::App;

/// Ends the token or session of the request itself.
#[utoipa::path(
    post,
    path = "/api/logout",
    tag = "Login",
    operation_id = "delete_token",
    responses((status = 204, description = "The token or session of this request has ended")),
    security(("token" = []), ("session" = [])),
)]
pub(crate) async fn logout(State(app): State<App>, caller: Caller) -> Result<StatusCode, Error> {
    match caller.via {
        Via::Token { hash } => app.store.delete_token(&hash).await?,
        Via::Session { hash } => app.store.delete_session(&hash).await?,
    }
    Ok(StatusCode::NO_CONTENT)
}
