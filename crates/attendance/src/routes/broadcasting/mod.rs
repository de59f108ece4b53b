//! What Echo asks before it subscribes to a channel that is not public.

mod auth;

pub(crate) use auth::*;
