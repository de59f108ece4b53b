//! `GET /api/users` (admin): accounts, newest first.

use axum::Json;
use axum::extract::State;

use crate::auth::Caller;
use crate::domain::User;
use crate::error::Error;
use crate::openapi::Errors;
use crate::routes::paging::{self, Page, Paging};
use crate::routes::query::Params;
use crate::state::App;

/// All accounts, newest first.
#[utoipa::path(
    get,
    path = "/api/users",
    tag = "Users",
    operation_id = "list_users",
    params(Paging),
    responses((status = 200, body = Page<User>), (status = 422, body = Errors)),
    security(("token" = []), ("session" = [])),
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    mut params: Params,
) -> Result<Json<Page<User>>, Error> {
    caller.require_admin()?;
    let (before, limit) = (params.integer("before"), paging::limit(params.integer("limit")));
    params.finish()?;
    let users = app.store.users(before.unwrap_or(i64::MAX), limit + 1).await?;
    Ok(Json(Page::new(users, limit, |user| user.id)))
}
