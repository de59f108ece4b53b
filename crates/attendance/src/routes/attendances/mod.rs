//! Attendance records.

mod check_in;
mod check_out;
mod list;
mod summary;

pub(crate) use check_in::*;
pub(crate) use check_out::*;
pub(crate) use list::*;
pub(crate) use summary::*;
