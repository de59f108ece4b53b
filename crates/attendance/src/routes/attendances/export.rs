//! `GET /api/attendances/export.csv`: all records that pass the filters, as a file.
//!
//! The file is made while it is read: what is held at any time is one piece of it, and no database connection is held
//! between two pieces, so a slow reader takes nothing from others.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::stream::try_unfold;
use jiff::Timestamp;

use super::filter::{Filters, filter};
use crate::auth::Caller;
use crate::domain::csv;
use crate::error::Error;
use crate::openapi::Errors;
use crate::routes::query::Params;
use crate::state::App;
use crate::store::Filter;

/// Records of one piece.
const PIECE: i64 = 500;

/// All records that pass the filters, as CSV, newest first.
///
/// An export that the database breaks off ends without its last chunk, so no client takes it for whole.
#[utoipa::path(
    get,
    path = "/api/attendances/export.csv",
    tag = "Attendances",
    operation_id = "export_attendances",
    params(Filters, ("before" = Option<i64>, Query, description = "Only entries with a lower id")),
    responses((status = 200, body = String, content_type = "text/csv"), (status = 422, body = Errors)),
    security(("token" = []), ("session" = [])),
)]
pub(crate) async fn export(
    State(app): State<App>,
    caller: Caller,
    mut params: Params,
) -> Result<Response, Error> {
    let filter = filter(&mut params, &caller)?;
    let name = format!("attachment; filename=\"attendances-{}.csv\"", period(&app, &filter));
    let mut export = Export { app, filter, text: csv::HEADER.to_owned(), more: true };
    // What fails before the first byte is answered as everywhere else.
    export.read().await?;
    let body = Body::from_stream(try_unfold(export, Export::next));
    Ok(([(CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()), (CONTENT_DISPOSITION, name)], body)
        .into_response())
}

/// What the name of the file says about its content: the days that were asked for, or today.
fn period(app: &App, filter: &Filter) -> String {
    match (&filter.date, &filter.from, &filter.to) {
        (Some(date), ..) => date.clone(),
        (None, Some(from), Some(to)) => format!("{from}-{to}"),
        (None, Some(from), None) => format!("from-{from}"),
        (None, None, Some(to)) => format!("to-{to}"),
        (None, None, None) => app.working_day.judge(Timestamp::now()).0,
    }
}

/// An export under way.
struct Export {
    app: App,
    /// With `before` where the next piece begins.
    filter: Filter,
    /// Read and not sent yet.
    text: String,
    more: bool,
}

impl Export {
    /// The next piece, and what is left after it.
    async fn next(mut self) -> Result<Option<(Bytes, Self)>, sqlx::Error> {
        if self.text.is_empty() && self.more {
            self.read().await.inspect_err(|error| tracing::error!(%error, "An export broke off"))?;
        }
        let piece = std::mem::take(&mut self.text);
        Ok((!piece.is_empty()).then(|| (piece.into(), self)))
    }

    async fn read(&mut self) -> Result<(), sqlx::Error> {
        let records = self.app.store.attendances(&self.filter, PIECE).await?;
        self.more = i64::try_from(records.len()) == Ok(PIECE);
        self.filter.before = records.last().map(|record| record.id).or(self.filter.before);
        records.iter().for_each(|record| csv::write(&mut self.text, record));
        Ok(())
    }
}
