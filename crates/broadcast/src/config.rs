//! What an operator can set, as plain values. Where they come from (flags, environment, files) is the binary's business.

use std::time::Duration;

use gema_cluster::redis::Address;
use gema_protocol::app::Credentials;
use gema_protocol::close::CloseCode;
use gema_protocol::limits::{Limits, Profile};
use gema_protocol::origin::AllowedOrigins;
use gema_protocol::rate_limit::Rate;
use gema_tls::Acceptor;

use crate::webhooks::{Webhook, WebhookRules};

/// Bytes that may wait for one client before it counts as too slow to be served.
pub const DEFAULT_QUEUE_BYTES: usize = 1024 * 1024;
/// Bytes of events that may wait in one channel before publishers are told to come back later.
pub const DEFAULT_BACKLOG_BYTES: usize = 4 * 1024 * 1024;
/// How long the end of a run may take when nothing else is set.
pub const DEFAULT_DRAIN: Duration = Duration::from_secs(18);

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
    /// Makes the listener speak TLS, and nothing else.
    pub tls: Option<Acceptor>,
    /// How long the end of a run may take in all, some seconds more or less.
    pub drain: Duration,
    /// Over which time clients are sent away at the end, evenly. Zero: all at once, where they have nowhere else to go.
    pub spread: Duration,
    /// How webhooks of all apps are sent.
    pub webhooks: WebhookRules,
    /// Ties the server to others; `None`: it is alone.
    pub cluster: Option<ClusterConfig>,
}

/// How a server finds the others.
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    /// The Redis where they meet.
    pub redis: Address,
    /// What all keys begin with; servers that share channels have it in common.
    pub prefix: String,
    /// As `prefix`: `REVERB_SCALING_CHANNEL`.
    pub scaling_channel: String,
    /// Bytes of events that are kept for a Redis that is away, per app.
    pub outgoing_bytes: usize,
}

impl Config {
    /// Defaults, for these apps.
    pub fn new(apps: Vec<AppConfig>) -> Self {
        Self {
            apps,
            path: String::new(),
            queue_bytes: DEFAULT_QUEUE_BYTES,
            backlog_bytes: DEFAULT_BACKLOG_BYTES,
            tls: None,
            drain: DEFAULT_DRAIN,
            spread: Duration::ZERO,
            webhooks: WebhookRules::default(),
            cluster: None,
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
    /// Client events also pass in channels that anyone may join.
    pub client_events_on_public_channels: bool,
    /// Most connections at once; `None`: no limit.
    pub max_connections: Option<usize>,
    /// A disabled app refuses connections (4003) and requests (403).
    pub enabled: bool,
    /// Clients may sign in (`pusher:signin`).
    pub user_authentication: bool,
    /// Signed-in users hear of the coming and going of those on their watchlist.
    pub watchlists: bool,
    /// Subscribers are told how many they are, except in presence channels.
    pub subscription_count: bool,
    /// `terminate_connections` also ends connections that are in a presence channel as the user without a sign-in.
    pub terminate_by_presence: bool,
    /// What terminated connections are closed with: [`CloseCode::TerminatedByApp`] keeps them away,
    /// [`CloseCode::TerminatedForNow`] lets them come back.
    pub terminate_with: CloseCode,
    /// A refused subscription is answered with `pusher:subscription_error`, too.
    pub subscription_errors: bool,
    /// How long a connection may neither sign in nor join a signed channel before it is closed; `None`: for ever.
    pub authorization_timeout: Option<Duration>,
    /// Connections must name a protocol version that we speak.
    pub strict_protocol: bool,
    /// A limit on all messages of a connection.
    pub message_rate: Option<MessageRate>,
    /// Who is told of its channels, members and client events.
    pub webhooks: Vec<Webhook>,
}

/// A limit on all messages of a connection, pings and subscriptions included.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MessageRate {
    /// How many in how long.
    pub rate: Rate,
    /// Close the connection (4100) when it is exceeded, instead of dropping the message.
    pub terminate: bool,
}

impl AppConfig {
    /// The defaults of Reverb.
    pub fn new(credentials: Credentials) -> Self {
        Self {
            credentials,
            limits: Limits::of(Profile::Reverb),
            allowed_origins: AllowedOrigins::new(vec!["*".to_owned()]),
            client_events: ClientEvents::Members,
            client_events_on_public_channels: false,
            max_connections: None,
            enabled: true,
            user_authentication: true,
            watchlists: true,
            subscription_count: false,
            terminate_by_presence: true,
            terminate_with: CloseCode::TerminatedByApp,
            subscription_errors: false,
            authorization_timeout: None,
            strict_protocol: false,
            message_rate: None,
            webhooks: Vec::new(),
        }
    }
}

impl AppConfig {
    /// How connections are ended for a user who is to go.
    pub(crate) fn termination(&self) -> Termination {
        Termination { by_presence: self.terminate_by_presence, code: self.terminate_with }
    }
}

/// See [`AppConfig::terminate_by_presence`] and [`AppConfig::terminate_with`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Termination {
    pub(crate) by_presence: bool,
    pub(crate) code: CloseCode,
}

/// Who may send client events (`client-*`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ClientEvents {
    /// Nobody.
    Nobody,
    /// Subscribers of the channel.
    Members,
    /// Every connection of the app, subscribed or not.
    Anyone,
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
    /// Webhooks are sent over HTTP(S), and no TLS provider was installed in this process.
    #[error("no TLS provider is installed: call rustls' `install_default` once at the start of the program")]
    NoTlsProvider,
    /// The HTTP client for webhooks could not be set up, for example because root certificates are unreadable.
    #[error("the HTTP client for webhooks could not be set up: {0}")]
    NoHttpClient(String),
}
