//! Health, and the run-time configuration of the pages.

mod config;
mod up;

pub(crate) use config::*;
pub(crate) use up::*;
