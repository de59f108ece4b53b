//! Attendance records.

mod check_in;
mod check_out;
mod list;
mod summary;

pub(crate) use check_in::check_in;
pub(crate) use check_out::check_out;
pub(crate) use list::list;
pub(crate) use summary::summary;
