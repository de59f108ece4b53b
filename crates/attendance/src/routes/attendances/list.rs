//! `GET /api/attendances`: records, newest first. Employees see only their own.

use axum::Json;
use axum::extract::State;

use super::filter::{Filters, filter};
use crate::auth::Caller;
use crate::domain::Attendance;
use crate::error::Error;
use crate::openapi::Errors;
use crate::routes::paging::{self, Page, Paging};
use crate::routes::query::Params;
use crate::state::App;

/// Records, newest first.
///
/// Up to `limit` records that pass all filters that are given. An employee has their own only; asking for somebody
/// else's is 403.
#[utoipa::path(
    get,
    path = "/api/attendances",
    tag = "Attendances",
    operation_id = "list_attendances",
    params(Filters, Paging),
    responses((status = 200, body = Page<Attendance>), (status = 422, body = Errors)),
    security(("token" = []), ("session" = [])),
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    mut params: Params,
) -> Result<Json<Page<Attendance>>, Error> {
    let limit = paging::limit(params.integer("limit"));
    let filter = filter(&mut params, &caller)?;
    let records = app.store.attendances(&filter, limit + 1).await?;
    Ok(Json(Page::new(records, limit, |record| record.id)))
}
