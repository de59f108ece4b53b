//! The pure core of Gema: what the Pusher Channels protocol says, as values and functions.
//!
//! It owns names, limits, codes, signatures, and the bytes of messages and frames. It owns no socket, no clock, no
//! randomness and no executor: time and random bytes are arguments, so every rule is a plain unit test.
//! The server that moves the bytes is `gema-broadcast`; the publisher that signs requests is `gema-client`.
//!
//! Where to look: what a client may say is in [`message`], what the server says in [`frame`], who may say it in
//! [`signature`], how much of it in [`limits`], and how it ends in [`close`] and [`error`]. What an app's back end is told
//! of all that is in [`webhook`].

pub mod admission;
pub mod app;
pub mod channel;
pub mod close;
pub mod error;
pub mod frame;
pub mod frame_headers;
mod json;
pub mod limits;
pub mod liveness;
pub mod message;
pub mod origin;
pub mod presence;
pub mod probation;
pub mod publish;
pub mod rate_limit;
pub mod roster;
pub mod signature;
pub mod signin;
pub mod socket_id;
pub mod version;
pub mod webhook;
