//! What each message of a client does, one file per command.

pub(super) mod client_event;
pub(super) mod signin;
pub(super) mod subscribe;
pub(super) mod unsubscribe;
