//! `DELETE /api/users/{id}` (admin): removes an account.

use axum::extract::State;
use axum::http::StatusCode;

use crate::auth::Caller;
use crate::error::Error;
use crate::openapi::Message;
use crate::routes::id::Id;
use crate::state::App;

/// Removes an account (admin).
///
/// Records stay and keep the name; sessions and tokens end; the e-mail address is free. Nobody removes themselves, so the
/// last admin stays.
#[utoipa::path(
    delete,
    path = "/api/users/{id}",
    tag = "Users",
    operation_id = "delete_user",
    params(("id" = i64, Path)),
    responses(
        (status = 204, description = "It is gone"),
        (status = 404, description = "There is none", body = Message),
        (status = 409, description = "It is the caller's own", body = Message),
    ),
    security(("token" = []), ("session" = [])),
)]
pub(crate) async fn delete(State(app): State<App>, caller: Caller, Id(id): Id) -> Result<StatusCode, Error> {
    caller.require_admin()?;
    if id == caller.user.id {
        return Err(Error::Conflict("You cannot remove your own account."));
    }
    app.store.delete_user(id, caller.user.id).await?.map_err(Error::from)?;
    Ok(StatusCode::NO_CONTENT)
}
