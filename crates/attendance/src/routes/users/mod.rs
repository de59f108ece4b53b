//! Accounts.

mod create;
mod current;
mod list;

pub(crate) use create::*;
pub(crate) use current::*;
pub(crate) use list::*;
