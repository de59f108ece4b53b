//! Small async client of the Pusher HTTP API: signs and sends events.
//!
//! Owns the outgoing HTTP connection and the judgement whether a failure may pass. The signature itself is
//! `gema_protocol::signature`. Start reading at [`Publisher`].

mod error;
mod publisher;

pub use error::{ClientError, PublishError};
pub use publisher::{Event, Publisher};
