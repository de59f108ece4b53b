//! `GET /api/user`: the caller's own account.

use axum::Json;

use crate::auth::Caller;
use crate::domain::User;

pub(crate) async fn current(caller: Caller) -> Json<User> {
    Json(caller.user)
}
