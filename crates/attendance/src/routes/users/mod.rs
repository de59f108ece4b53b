//! Accounts.

mod create;
mod current;
mod list;

pub(crate) use create::create;
pub(crate) use current::current;
pub(crate) use list::list;
