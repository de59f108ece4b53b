//! `POST /api/attendances/check-out`: the caller goes home.

use axum::Json;
use axum::extract::State;

use crate::auth::Caller;
use crate::domain::Attendance;
use crate::error::Error;
use crate::openapi::Message;
use crate::state::App;

/// The caller goes home: closes the newest open record, also after midnight.
#[utoipa::path(
    post,
    path = "/api/attendances/check-out",
    tag = "Attendances",
    responses((status = 200, body = Attendance), (status = 409, description = "Nothing is open", body = Message)),
    security(("token" = []), ("session" = [])),
)]
pub(crate) async fn check_out(State(app): State<App>, caller: Caller) -> Result<Json<Attendance>, Error> {
    let attendance = app
        .store
        .check_out(caller.user.id, app.writer())
        .await?
        .ok_or(Error::Conflict("You have no open check-in."))?;
    tracing::info!(
        node_id = app.config.node_id,
        attendance_id = attendance.id,
        timestamp = %jiff::Timestamp::now(),
        "Attendance updated"
    );
    Ok(Json(attendance))
}
