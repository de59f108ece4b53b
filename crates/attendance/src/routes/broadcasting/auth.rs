//! `POST /broadcasting/auth`: signs the subscriptions that the caller may have.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use gema_protocol::signature::sign_channel;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::asker;
use crate::domain::User;
use crate::error::Error;
use crate::input::Input;
use crate::state::App;

/// Who has the page open.
const OFFICE: &str = "presence-office";

/// What Echo asks for.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the fields that are read one by one")]
struct Subscription {
    #[schema(pattern = r"^\d+\.\d+$")]
    socket_id: String,
    channel_name: String,
}

/// What Echo passes on with its subscription.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Authorization {
    auth: String,
    /// Who joins, for presence channels.
    #[serde(skip_serializing_if = "Option::is_none")]
    channel_data: Option<String>,
}

/// Signs a subscription that the caller may have.
///
/// Answers `{"auth"}`, with `channel_data` for a presence channel; 403 for everything else, as Laravel does.
#[utoipa::path(
    post,
    path = "/broadcasting/auth",
    tag = "Broadcasting",
    operation_id = "authorize_channel",
    request_body = Subscription,
    responses((status = 200, body = Authorization)),
    security(("token" = []), ("session" = [])),
)]
pub(crate) async fn auth(
    State(app): State<App>,
    headers: HeaderMap,
    input: Input,
) -> Result<Json<Authorization>, Error> {
    let (user, socket_id) = asker(&app, &headers, &input).await?;
    let channel = input.get("channel_name").unwrap_or_default();
    if !may_join(&user, channel) {
        return Err(Error::Forbidden);
    }
    let channel_data = (channel == OFFICE).then(|| office_member(&user));
    let auth = sign_channel(&app.config.credentials, socket_id, channel, channel_data.as_deref());
    Ok(Json(Authorization { auth, channel_data }))
}

fn may_join(user: &User, channel: &str) -> bool {
    if channel == OFFICE {
        return true;
    }
    let Some(id) = channel.strip_prefix("private-user.").and_then(|id| id.parse::<i64>().ok()) else {
        return false;
    };
    // Other spellings of the number (+7, 007) are other channels.
    let is_exact = channel == crate::domain::private_channel(id);
    is_exact && (user.is_admin() || user.id == id)
}

/// `user_id` is a string on the wire, as all server SDKs send it.
fn office_member(user: &User) -> String {
    json!({ "user_id": user.id.to_string(), "user_info": { "id": user.id, "name": user.name } }).to_string()
}
