//! Who was at work, from when to when: REST, sessions, store, outbox and worker of the attendance system.
//!
//! Read in this order: the schema (`migrations/sqlite/0001_initial.sql`), [`router`](crate::router) with every route on
//! one page, then one handler in `routes/`, then `store/` for its SQL and `worker` for what happens after the answer.
//!
//! Sockets and the moment of the end come from outside: see [`Node`]. Nothing here reads the environment.

mod account;
mod auth;
mod bell;
mod config;
mod csrf;
mod dashboard;
mod database;
mod domain;
mod error;
mod http;
mod input;
mod metrics;
mod openapi;
mod password;
mod proxies;
mod queue;
mod redis;
mod router;
mod routes;
mod secret;
mod serve;
mod session;
mod standing;
mod state;
mod store;
mod throttle;
mod worker;

pub use account::{NewAccount, add_account};
pub use config::{Config, FrontEnd, Queue, RedisConfig, WorkerConfig};
pub use database::{Database, MySqlServer};
pub use error::StartError;
pub use gema_cluster::redis::Address as RedisAddress;
pub use proxies::TrustedProxies;
pub use serve::{Node, run_worker};
pub use store::{FailedJob, FailedJobs, Migrated, migrate};

/// Whether a name stands for a time zone, as [`Config::time_zone`] needs one.
pub fn is_time_zone(name: &str) -> bool {
    jiff::tz::TimeZone::get(name).is_ok()
}

/// The account that `migrate` makes with `seed`, for trying things out only.
pub const DEMO_EMAIL: &str = "admin@example.com";
/// The password of [`DEMO_EMAIL`]. It is public: while it works, only loopback should be able to reach the API.
pub const DEMO_PASSWORD: &str = "password";
