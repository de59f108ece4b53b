//! The pure part: what a working day, a record, an event and valid input are. No I/O and no SQL.

mod attendance;
mod correction;
pub(crate) mod csv;
mod event;
mod stamp;
mod user;
mod validate;
mod working_day;

pub(crate) use attendance::{Attendance, NOTES_LIMIT, Person, Status};
pub(crate) use correction::{Changes, Corrected, Correction};
pub(crate) use event::{Event, EventKind, PUBLIC_CHANNEL, private_channel};
pub(crate) use stamp::Stamp;
pub(crate) use user::{Role, User};
pub(crate) use validate::{Fields, Invalid};
pub(crate) use working_day::WorkingDay;
