//! The HTTP API for publishers. Every route stands in [`router`]; one file per endpoint.

pub(crate) mod answer;
mod authenticate;
mod batch_events;
mod body;
mod channel;
mod channel_users;
mod channels;
mod connections;
mod events;
pub(crate) mod health;
mod info;
mod publish;
pub(crate) mod router;
mod terminate;
