//! Which records somebody asks for: the parameters that list and export share.

use utoipa::IntoParams;

use crate::auth::Caller;
use crate::domain::Status;
use crate::error::Error;
use crate::openapi::Day;
use crate::routes::query::{Params, Q_LIMIT};
use crate::store::Filter;

/// Which records; all that are given must hold.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "describes the fields that are read one by one")]
pub(super) struct Filters {
    /// Of this person.
    user_id: Option<i64>,
    /// Of this working day.
    date: Option<Day>,
    /// First working day.
    from: Option<Day>,
    /// Last working day.
    to: Option<Day>,
    /// Whose check-in this node took.
    node_id: Option<i64>,
    /// Only these.
    status: Option<Status>,
    /// A part of name, e-mail address or notes, whatever the case.
    #[param(max_length = 255)]
    q: Option<String>,
    /// Only who is at work now.
    open: Option<bool>,
}

/// Reads [`Filters`], and `before`. An employee gets their own records only.
///
/// # Errors
/// 422 for what is no such value, 403 for an employee who asks for somebody else's.
pub(super) fn filter(params: &mut Params, caller: &Caller) -> Result<Filter, Error> {
    let mut filter = Filter {
        user_id: params.integer("user_id"),
        date: params.date("date"),
        from: params.date("from"),
        to: params.date("to"),
        node_id: params.integer("node_id"),
        status: params.choice("status", Status::parse),
        q: params.text("q", Q_LIMIT),
        open: params.flag("open"),
        before: params.integer("before"),
    };
    params.ordered(filter.from.as_deref(), filter.to.as_deref());
    params.finish()?;
    if let Some(own) = caller.sees_only() {
        if filter.user_id.is_some_and(|id| id != own) {
            return Err(Error::Forbidden);
        }
        filter.user_id = Some(own);
    }
    Ok(filter)
}
