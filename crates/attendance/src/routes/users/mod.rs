//! Accounts.

mod create;
mod current;
mod delete;
mod list;
mod update;

pub(crate) use create::*;
pub(crate) use current::*;
pub(crate) use delete::*;
pub(crate) use list::*;
pub(crate) use update::*;
