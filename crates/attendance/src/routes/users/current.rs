//! `GET /api/user`: the caller's own account.

use axum::Json;

use crate::auth::Caller;
use crate::domain::User;

/// Who the caller is.
#[utoipa::path(
    get,
    path = "/api/user",
    tag = "Users",
    operation_id = "current_user",
    responses((status = 200, body = User)),
    security(("token" = []), ("session" = [])),
)]
pub(crate) async fn current(caller: Caller) -> Json<User> {
    Json(caller.user)
}
