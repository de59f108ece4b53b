//! `GET /api/attendances`: records, newest first. Employees see only their own.

use axum::Json;
use axum::extract::State;

use crate::auth::Caller;
use crate::domain::{Attendance, Status};
use crate::error::Error;
use crate::openapi::Errors;
use crate::routes::paging::{self, Page, Paging};
use crate::routes::query::Params;
use crate::state::App;
use crate::store::Filter;

/// Records, newest first.
///
/// Filters: `user_id`, `date`, `status`, `open=true`. An employee who asks for somebody else's gets 403.
#[utoipa::path(
    get,
    path = "/api/attendances",
    tag = "Attendances",
    operation_id = "list_attendances",
    params(
        ("user_id" = Option<i64>, Query, description = "Of this person"),
        ("date" = Option<String>, Query, format = Date, description = "Of this working day"),
        ("status" = Option<Status>, Query, description = "Only these"),
        ("open" = Option<bool>, Query, description = "Only who is at work now"),
        Paging,
    ),
    responses((status = 200, body = Page<Attendance>), (status = 422, body = Errors)),
    security(("token" = []), ("session" = [])),
)]
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    mut params: Params,
) -> Result<Json<Page<Attendance>>, Error> {
    let mut filter = Filter {
        user_id: params.integer("user_id"),
        date: params.date("date"),
        status: params.choice("status", Status::parse),
        open: params.flag("open"),
        before: params.integer("before"),
    };
    let limit = paging::limit(params.integer("limit"));
    params.finish()?;
    if let Some(own) = caller.sees_only() {
        if filter.user_id.is_some_and(|id| id != own) {
            return Err(Error::Forbidden);
        }
        filter.user_id = Some(own);
    }
    let records = app.store.attendances(&filter, limit + 1).await?;
    Ok(Json(Page::new(records, limit, |record| record.id)))
}
