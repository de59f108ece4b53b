//! `GET /api/users` (admin): accounts, newest first, with `q` those whose name or e-mail address contains it.

use axum::Json;
use axum::extract::State;

use crate::auth::Caller;
use crate::domain::User;
use crate::error::Error;
use crate::openapi::Errors;
use crate::routes::paging::{self, Page, Paging};
use crate::routes::query::{Params, Q_LIMIT};
use crate::state::App;

/// All accounts, newest first.
#[utoipa::path(
    get,
    path = "/api/users",
    tag = "Users",
    operation_id = "list_users",
    params(("q" = Option<String>, Query, description = "A part of name or e-mail address, whatever the case"), Paging),
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
    let q = params.text("q", Q_LIMIT);
    params.finish()?;
    let users = app.store.users(q.as_deref(), before.unwrap_or(i64::MAX), limit + 1).await?;
    Ok(Json(Page::new(users, limit, |user| user.id)))
}
