//! `POST /api/attendances/check-in`: the caller is at work from now on.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;

use crate::auth::Caller;
use crate::domain::{Attendance, NOTES_LIMIT};
use crate::error::Error;
use crate::input::Input;
use crate::state::App;
use crate::store::CheckIn;

/// 201 with the record. Record and event are durable when it is answered; the event is on its way.
pub(crate) async fn check_in(
    State(app): State<App>,
    caller: Caller,
    input: Input,
) -> Result<(StatusCode, Json<Attendance>), Error> {
    let mut fields = input.fields();
    let notes = fields.optional_text("notes", NOTES_LIMIT);
    fields.finish().map_err(Error::Invalid)?;
    let now = Timestamp::now();
    let (date, status) = app.working_day.judge(now);
    let new = CheckIn { user_id: caller.user.id, date, at: now.into(), status, notes };
    let attendance = app
        .store
        .check_in(&new, app.writer())
        .await?
        .ok_or(Error::Conflict("You have already checked in today and not checked out yet."))?;
    app.wake.notify_one();
    tracing::info!(
        node_id = app.config.node_id,
        attendance_id = attendance.id,
        timestamp = %now,
        "Attendance created"
    );
    Ok((StatusCode::CREATED, Json(attendance)))
}
