//! `GET /api/attendances/summary`: the counters of one day, or of the days or people of a range.

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use crate::auth::Caller;
use crate::domain::Invalid;
use crate::error::Error;
use crate::openapi::{Day, Errors};
use crate::routes::query::Params;
use crate::state::App;
use crate::store::{By, Summary, Totals};

/// Longest range in days, a leap year.
const DAYS: i32 = 366;

/// Which figures.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the fields that are read one by one")]
struct Asked {
    /// A working day; today without it and without a range.
    date: Option<Day>,
    /// First working day of a range of at most 366.
    from: Option<Day>,
    /// Last working day of the range.
    to: Option<Day>,
    /// What the entries of a range stand for: `day` without it.
    by: Option<By>,
}

/// The figures of a range.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Range {
    from: String,
    to: String,
    by: By,
    data: Vec<Totals>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Figures {
    Day(Summary),
    Range(Range),
}

/// The counters of one day, or of the days or people of a range.
///
/// Of all people for an admin, of themselves for an employee. A range has an entry for each day or person that has
/// records.
#[utoipa::path(
    get,
    path = "/api/attendances/summary",
    tag = "Attendances",
    params(Asked),
    responses((status = 200, body = Figures), (status = 422, body = Errors)),
    security(("token" = []), ("session" = [])),
)]
pub(crate) async fn summary(
    State(app): State<App>,
    caller: Caller,
    mut params: Params,
) -> Result<Json<Figures>, Error> {
    let (date, by) = (params.date("date"), params.choice("by", By::parse));
    let (from, to) = (params.date("from"), params.date("to"));
    params.ordered(from.as_deref(), to.as_deref());
    params.finish()?;
    let (from, to) = match (from, to) {
        (None, None) if by.is_none() => {
            let date = date.unwrap_or_else(|| app.working_day.judge(Timestamp::now()).0);
            return Ok(Json(Figures::Day(app.store.summary(&date, caller.sees_only()).await?)));
        }
        (Some(from), Some(to)) if date.is_none() => (from, to),
        (Some(_), Some(_)) => {
            return Err(invalid("date", "The date field cannot be combined with from and to."));
        }
        (None, _) => return Err(invalid("from", "The from field is required.")),
        (_, None) => return Err(invalid("to", "The to field is required.")),
    };
    if days(&from, &to).is_none_or(|days| days > DAYS) {
        return Err(invalid("to", format!("The to field must be less than {DAYS} days after from.")));
    }
    let by = by.unwrap_or(By::Day);
    let data = app.store.totals(by, (&from, &to), caller.sees_only()).await?;
    Ok(Json(Figures::Range(Range { from, to, by, data })))
}

/// How many days a range has, its first and its last included.
fn days(from: &str, to: &str) -> Option<i32> {
    let (from, to): (Date, Date) = (from.parse().ok()?, to.parse().ok()?);
    from.until(to).ok().map(|span| span.get_days() + 1)
}

fn invalid(field: &'static str, message: impl Into<String>) -> Error {
    Error::Invalid(Invalid::one(field, message))
}
