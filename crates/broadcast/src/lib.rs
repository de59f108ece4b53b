//! The broadcast server: a drop-in replacement for Laravel Reverb, soketi and Pusher Channels.
//!
//! One port speaks both halves of the protocol: WebSocket connections of clients (`/app/{key}`, see [`connection`]) and
//! the signed HTTP API of publishers (`/apps/{id}/…`, see [`api`]). The wire format and every rule that needs no socket
//! live in `gema_protocol`.
//!
//! What an app's back end is told of it goes through [`webhooks`], what its operator can see through [`metrics`].
//!
//! An event's way: [`api::router`] → [`api::publish`] → [`channel`] → [`outbound`].

mod api;
mod app;
mod cache;
mod channel;
mod channels;
mod cluster;
mod config;
mod connection;
mod drain;
mod goodbye;
mod in_place;
mod metrics;
mod outbound;
mod registration;
mod server;
mod transport;
mod upgrade;
mod users;
mod webhooks;

pub use config::{
    AppConfig, ClientEvents, ClusterConfig, Config, ConfigError, DEFAULT_BACKLOG_BYTES, DEFAULT_DRAIN,
    DEFAULT_QUEUE_BYTES, MessageRate,
};
pub use drain::Summary;
pub use gema_cluster::redis::Address;
pub use server::{Server, bind, run};
pub use webhooks::{Webhook, WebhookRules, WebhookUrl};
