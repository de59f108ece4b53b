//! `GET /api/attendances/{id}`: one record.

use axum::Json;
use axum::extract::State;

use crate::auth::Caller;
use crate::domain::Attendance;
use crate::error::Error;
use crate::openapi::Message;
use crate::routes::id::Id;
use crate::state::App;

/// One record.
///
/// An employee may see their own only.
#[utoipa::path(
    get,
    path = "/api/attendances/{id}",
    tag = "Attendances",
    operation_id = "show_attendance",
    params(("id" = i64, Path)),
    responses((status = 200, body = Attendance), (status = 404, description = "There is none", body = Message)),
    security(("token" = []), ("session" = [])),
)]
pub(crate) async fn show(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<Attendance>, Error> {
    visible(&app, &caller, id).await.map(Json)
}

/// A record that the caller may see.
pub(super) async fn visible(app: &App, caller: &Caller, id: i64) -> Result<Attendance, Error> {
    let attendance = app.store.attendance(id).await?.ok_or(Error::NotFound)?;
    match caller.sees_only() {
        Some(own) if own != attendance.user_id => Err(Error::Forbidden),
        _ => Ok(attendance),
    }
}
