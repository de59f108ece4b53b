//! `POST /api/attendances/check-in`: the caller is at work from now on.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use utoipa::ToSchema;

use crate::auth::Caller;
use crate::domain::{Attendance, Invalid, NOTES_LIMIT};
use crate::error::Error;
use crate::input::Input;
use crate::openapi::{Errors, Message};
use crate::secret;
use crate::state::{App, State as Node};
use crate::store::{CheckIn, CheckedIn};

/// Most bytes of an `Idempotency-Key`; a UUID has 36.
const KEY_LIMIT: usize = 255;

/// What can be said at a check-in.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes the fields that are read one by one")]
struct Notes {
    #[schema(max_length = 1000)]
    notes: Option<String>,
}

/// The caller is at work from now on.
///
/// Record and event are durable when it is answered; the event is on its way. A repeat with the
/// same `Idempotency-Key` gets the first answer again.
#[utoipa::path(
    post,
    path = "/api/attendances/check-in",
    tag = "Attendances",
    params((
        "Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255,
        pattern = "^[!-~]([ -~]*[!-~])?$", description = "A repeat with the same one gets the first answer"
    )),
    request_body = Option<Notes>,
    responses(
        (status = 201, body = Attendance),
        (status = 409, description = "Checked in today already", body = Message),
        (status = 422, body = Errors),
    ),
    security(("token" = []), ("session" = [])),
)]
pub(crate) async fn check_in(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    input: Input,
) -> Result<Response, Error> {
    let key_hash = key_hash(&headers)?;
    let mut fields = input.fields();
    let notes = fields.optional_text("notes", NOTES_LIMIT);
    fields.finish().map_err(Error::Invalid)?;
    let now = Timestamp::now();
    let (date, status) = app.working_day.judge(now);
    let new = CheckIn { user_id: caller.user.id, date, at: now.into(), status, notes, key_hash };
    match app.store.check_in(&new, app.writer()).await? {
        CheckedIn::Stored(attendance) => {
            log(&app, &attendance, now);
            Ok((StatusCode::CREATED, Json(attendance)).into_response())
        }
        CheckedIn::Repeated(answer) => {
            Ok((StatusCode::CREATED, [(header::CONTENT_TYPE, "application/json")], answer).into_response())
        }
        CheckedIn::AlreadyOpen => {
            Err(Error::Conflict("You have already checked in today and not checked out yet."))
        }
    }
}

fn key_hash(headers: &HeaderMap) -> Result<Option<String>, Error> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    match key.to_str() {
        Ok(key) if (1..=KEY_LIMIT).contains(&key.len()) => Ok(Some(secret::sha256_hex(key))),
        _ => Err(Error::Invalid(Invalid::one(
            "idempotency_key",
            format!("The Idempotency-Key header must have 1 to {KEY_LIMIT} visible characters."),
        ))),
    }
}

fn log(node: &Node, attendance: &Attendance, now: Timestamp) {
    let (node_id, attendance_id) = (node.config.node_id, attendance.id);
    tracing::info!(node_id, attendance_id, timestamp = %now, "Attendance created");
}
