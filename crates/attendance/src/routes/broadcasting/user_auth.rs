//! `POST /broadcasting/user-auth`: signs the caller's connection in as the caller.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use gema_protocol::signature::sign_user;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::asker;
use crate::error::Error;
use crate::input::Input;
use crate::state::App;

/// What pusher-js asks for.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the fields that are read one by one")]
struct Connection {
    #[schema(pattern = r"^\d+\.\d+$")]
    socket_id: String,
}

/// What pusher-js passes on with its sign-in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Identity {
    auth: String,
    /// JSON text: `{"id":"7","user_info":{"name":"…"}}`.
    user_data: String,
}

/// Signs the caller's connection in as the caller.
#[utoipa::path(
    post,
    path = "/broadcasting/user-auth",
    tag = "Broadcasting",
    operation_id = "authenticate_user",
    request_body = Connection,
    responses((status = 200, body = Identity)),
    security(("token" = []), ("session" = [])),
)]
pub(crate) async fn user_auth(
    State(app): State<App>,
    headers: HeaderMap,
    input: Input,
) -> Result<Json<Identity>, Error> {
    let (user, socket_id) = asker(&app, &headers, &input).await?;
    let user_data = json!({ "id": user.id.to_string(), "user_info": { "name": user.name } }).to_string();
    let auth = sign_user(&app.config.credentials, socket_id, &user_data);
    Ok(Json(Identity { auth, user_data }))
}
