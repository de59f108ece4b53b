//! `GET /api/attendances/summary`: the counters of one day.

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;

use crate::auth::Caller;
use crate::error::Error;
use crate::openapi::Errors;
use crate::routes::query::Params;
use crate::state::App;
use crate::store::Summary;

/// The counters of one day.
///
/// `{"date", "present", "late", "checked_out", "open"}` of `?date=` (today without it): of all people for an admin,
/// of themselves for an employee.
#[utoipa::path(
    get,
    path = "/api/attendances/summary",
    tag = "Attendances",
    params(("date" = Option<String>, Query, format = Date, description = "Today without it")),
    responses((status = 200, body = Summary), (status = 422, body = Errors)),
    security(("token" = []), ("session" = [])),
)]
pub(crate) async fn summary(
    State(app): State<App>,
    caller: Caller,
    mut params: Params,
) -> Result<Json<Summary>, Error> {
    let asked = params.date("date");
    params.finish()?;
    let date = asked.unwrap_or_else(|| app.working_day.judge(Timestamp::now()).0);
    Ok(Json(app.store.summary(&date, caller.sees_only()).await?))
}
