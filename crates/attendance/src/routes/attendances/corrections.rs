//! `GET /api/attendances/{id}/corrections`: what admins changed in a record.

use axum::Json;
use axum::extract::State;

use super::show::visible;
use crate::auth::Caller;
use crate::domain::Corrected;
use crate::error::Error;
use crate::openapi::{Errors, Message};
use crate::routes::id::Id;
use crate::routes::paging::{self, Page, Paging};
use crate::routes::query::Params;
use crate::state::App;

/// What was corrected in a record, newest first.
///
/// Who may see the record may see its corrections.
#[utoipa::path(
    get,
    path = "/api/attendances/{id}/corrections",
    tag = "Attendances",
    operation_id = "list_corrections",
    params(("id" = i64, Path), Paging),
    responses(
        (status = 200, body = Page<Corrected>),
        (status = 404, description = "There is no such record", body = Message),
        (status = 422, body = Errors),
    ),
    security(("token" = []), ("session" = [])),
)]
pub(crate) async fn corrections(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
    mut params: Params,
) -> Result<Json<Page<Corrected>>, Error> {
    let (before, limit) = (params.integer("before"), paging::limit(params.integer("limit")));
    params.finish()?;
    visible(&app, &caller, id).await?;
    let corrections = app.store.corrections(id, before.unwrap_or(i64::MAX), limit + 1).await?;
    Ok(Json(Page::new(corrections, limit, |correction| correction.id)))
}
