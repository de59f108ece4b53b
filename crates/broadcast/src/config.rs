//! What an operator can set, as plain values. Where they come from (flags, environment, files) is the binary's business.

use std::time::Duration;

use gema_protocol::app::Credentials;
use gema_protocol::limits::{Limits, Profile};
use gema_protocol::origin::AllowedOrigins;

/// Bytes that may wait for one client before it counts as too slow to be served.
pub const DEFAULT_QUEUE_BYTES: usize = 1024 * 1024;
/// Bytes of events that may wait in one channel before publishers are told to come back later.
pub const DEFAULT_BACKLOG_BYTES: usize = 4 * 1024 * 1024;

/// Settings of a server.
#[derive(Clone, Debug)]
pub struct Config {
    /// The apps served. Ids and keys must differ.
    pub apps: Vec<AppConfig>,
    /// Prefix of every route: empty, or a path such as `/ws`. The leading slash may be missing.
    pub path: String,
    /// Bound of one connection's outbound queue, in bytes.
    pub queue_bytes: usize,
    /// Bound of one channel's pending events, in bytes.
    pub backlog_bytes: usize,
    /// How far `auth_timestamp` may be from this machine's clock.
    pub signature_window: Duration,
}

impl Config {
    /// Defaults, for these apps.
    pub fn new(apps: Vec<AppConfig>) -> Self {
        Self {
            apps,
            path: String::new(),
            queue_bytes: DEFAULT_QUEUE_BYTES,
            backlog_bytes: DEFAULT_BACKLOG_BYTES,
            signature_window: Duration::from_secs(600),
        }
    }
}

/// Settings of one app.
#[derive(Clone, Debug)]
pub struct AppConfig {
    /// Id, key and secret.
    pub credentials: Credentials,
    /// Sizes and counts a client or publisher may use.
    pub limits: Limits,
    /// Pages that may connect.
    pub allowed_origins: AllowedOrigins,
    /// Who may send client events.
    pub client_events: ClientEvents,
    /// Most connections at once; `None`: no limit.
    pub max_connections: Option<usize>,
    /// Silence after which clients are told to check the connection themselves, in seconds.
    pub activity_timeout_s: u32,
    /// Silence after which the server pings.
    pub ping_interval: Duration,
    /// How long a ping may stay without an answer.
    pub pong_timeout: Duration,
    /// A disabled app refuses connections (4003) and requests (403).
    pub enabled: bool,
}

impl AppConfig {
    /// The defaults of Reverb.
    pub fn new(credentials: Credentials) -> Self {
        Self {
            credentials,
            limits: Limits::of(Profile::Reverb),
            allowed_origins: AllowedOrigins::new(vec!["*".to_owned()]),
            client_events: ClientEvents::Members,
            max_connections: None,
            activity_timeout_s: 30,
            ping_interval: Duration::from_secs(60),
            pong_timeout: Duration::from_secs(30),
            enabled: true,
        }
    }
}

/// Who may send client events (`client-*`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ClientEvents {
    /// Nobody.
    Nobody,
    /// Subscribers of the channel.
    Members,
}

/// A configuration that cannot be served.
#[derive(Debug, Eq, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// There is nothing to serve.
    #[error(
        "no app is configured: run `gema init`, or set REVERB_APP_ID, REVERB_APP_KEY and REVERB_APP_SECRET"
    )]
    NoApp,
    /// Two apps could not be told apart.
    #[error("two apps have the {what} `{value}`: give each app its own")]
    Duplicate {
        /// `id` or `key`.
        what: &'static str,
        /// The shared value.
        value: String,
    },
}
