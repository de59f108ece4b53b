//! Attendance records.

mod check_in;
mod check_out;
mod correct;
mod corrections;
mod export;
mod filter;
mod list;
mod show;
mod summary;

pub(crate) use check_in::*;
pub(crate) use check_out::*;
pub(crate) use correct::*;
pub(crate) use corrections::*;
pub(crate) use export::*;
pub(crate) use list::*;
pub(crate) use show::*;
pub(crate) use summary::*;
