//! Cookie sessions, for the web pages.

mod csrf_cookie;
mod login;
mod logout;

pub(crate) use csrf_cookie::*;
pub(crate) use login::*;
pub(crate) use logout::*;
