//! Bearer tokens, for API consumers.

mod login;
mod logout;

pub(crate) use login::*;
pub(crate) use logout::*;
