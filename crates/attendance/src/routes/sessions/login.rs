//! `POST /login`: signs the browser in.

use std::net::SocketAddr;

use axum::Json;
use axum::extract::{ConnectInfo, State};
use axum::http::HeaderMap;
use axum::response::{AppendHeaders, IntoResponse};
use serde_json::json;

use crate::auth::check_credentials;
use crate::error::Error;
use crate::input::Input;
use crate::session::SessionId;
use crate::state::App;

/// Answers `{"user"}` and a new session; the one from before the sign-in ends.
pub(crate) async fn login(
    State(app): State<App>,
    ConnectInfo(client): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    input: Input,
) -> Result<impl IntoResponse, Error> {
    let user = check_credentials(&app, client, &input).await?;
    if let Some(previous) = SessionId::from_headers(&headers) {
        app.store.delete_session(&previous.hash()).await?;
    }
    let session = SessionId::random()?;
    app.store.create_session(&session.hash(), user.id, app.session_lifetime()).await?;
    Ok((AppendHeaders(session.cookies(&app.config)), Json(json!({ "user": user }))))
}
