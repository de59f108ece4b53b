//! `PATCH /api/attendances/{id}` (admin): corrects times and notes, and leaves a trail.

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::domain::{Attendance, Correction};
use crate::error::Error;
use crate::input::Input;
use crate::openapi::{Errors, Message};
use crate::routes::id::Id;
use crate::state::App;
use crate::store::CorrectionOutcome as Outcome;

/// What to correct: at least one of `check_in`, `check_out` and `notes`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the fields that are read one by one")]
struct Corrections {
    /// From 1970 to now. `date` and `status` follow from it.
    #[schema(format = DateTime)]
    check_in: Option<String>,
    /// Not before `check_in` and not after now; null opens the record again.
    #[schema(format = DateTime)]
    check_out: Option<String>,
    #[schema(max_length = 1000)]
    notes: Option<String>,
    /// The version that the admin saw; any other than the present one is 409.
    version: Option<i64>,
    /// Kept with the correction.
    #[schema(max_length = 1000)]
    reason: Option<String>,
}

/// Corrects a record (admin).
///
/// Leaves a trail and publishes `attendance.updated`. What changes nothing is answered with the record as it is.
#[utoipa::path(
    patch,
    path = "/api/attendances/{id}",
    tag = "Attendances",
    operation_id = "correct_attendance",
    params(("id" = i64, Path)),
    request_body = Corrections,
    responses(
        (status = 200, body = Attendance),
        (status = 404, description = "There is none", body = Message),
        (status = 409, description = "Changed meanwhile, or another record of that day is open", body = Message),
        (status = 422, body = Errors),
    ),
    security(("token" = []), ("session" = [])),
)]
pub(crate) async fn correct(
    State(app): State<App>,
    caller: Caller,
    Id(id): Id,
    input: Input,
) -> Result<Json<Attendance>, Error> {
    caller.require_admin()?;
    let mut fields = input.fields();
    let now = Timestamp::now();
    let correction = Correction::read(&mut fields, &app.working_day, now);
    fields.finish().map_err(Error::Invalid)?;
    match app.store.correct(id, &correction, caller.user.id, app.writer()).await? {
        Outcome::Stored(attendance) => {
            let (node_id, admin) = (app.config.node_id, caller.user.id);
            tracing::info!(node_id, attendance_id = id, admin, timestamp = %now, "Attendance corrected");
            Ok(Json(*attendance))
        }
        Outcome::Unchanged(attendance) => Ok(Json(*attendance)),
        Outcome::Missing => Err(Error::NotFound),
        Outcome::Stale => {
            Err(Error::Conflict("The record has been changed meanwhile. Please load it again."))
        }
        Outcome::AlreadyOpen => Err(Error::Conflict("There is another open record of that day.")),
        Outcome::Invalid(invalid) => Err(Error::Invalid(invalid)),
    }
}
