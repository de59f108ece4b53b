//! The settings of the attendance roles, as a plain struct. Names, files and environment are the binary's business.

use std::path::PathBuf;
use std::time::Duration;

use gema_client::Publisher;
use gema_cluster::redis::Address;
use gema_metrics::Board;
use gema_protocol::app::Credentials;
use gema_tls::Acceptor;

use crate::database::Database;
use crate::proxies::TrustedProxies;

/// Everything the API and the worker need to know. Start from [`Config::new`] and change what differs.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the records are.
    pub database: Database,
    /// Number of this node; stored with each record and answered as `X-Node-Id`.
    pub node_id: u32,
    /// IANA name of the time zone that decides what day it is.
    pub time_zone: String,
    /// Start of work as `HH:MM` local time. Without it nobody is late.
    pub work_start: Option<String>,
    /// Minutes after `work_start` that still count as present.
    pub grace_minutes: u32,
    /// Address under which browsers reach the API; `https://…` makes cookies `Secure`.
    pub app_url: String,
    /// Whose word about the client's address and scheme counts.
    pub trusted_proxies: TrustedProxies,
    /// Makes the listener speak TLS, and nothing else.
    pub tls: Option<Acceptor>,
    /// Whether the public channel carries e-mail addresses and notes, too.
    pub public_details: bool,
    /// Where browsers find the broadcast server.
    pub front_end: FrontEnd,
    /// Folder with the built dashboard (`index.html` and `assets/`).
    pub dashboard_dir: Option<PathBuf>,
    /// App credentials, for signing channel subscriptions.
    pub credentials: Credentials,
    /// Where and as which app the worker publishes.
    pub publisher: Publisher,
    /// How long an unused browser session stands.
    pub session_lifetime: Duration,
    /// A Redis that the nodes share, for what can be lost without harm. Without one the database has that, too.
    pub redis: Option<RedisConfig>,
    /// How events get from the outbox to a worker.
    pub queue: Queue,
    /// Settings of the worker.
    pub worker: WorkerConfig,
    /// Where the role shows what it does.
    pub board: Board,
}

/// Where the Redis of the nodes is, and how our keys are told from those of others in it.
#[derive(Debug, Clone)]
pub struct RedisConfig {
    /// Where it is, and how to get in.
    pub address: Address,
    /// `REDIS_PREFIX`; may be empty.
    pub prefix: String,
}

/// How events get from the outbox to a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queue {
    /// Workers look for them there.
    Database,
    /// A list in Redis says which there are.
    Redis,
    /// They are tried once before the change is answered, and by the worker of this process after that.
    Sync,
}

/// What the dashboard is told at run time about the broadcast server.
#[derive(Debug, Clone)]
pub struct FrontEnd {
    /// App key (public).
    pub key: String,
    /// Host name; empty means the host that served the page.
    pub host: String,
    /// TCP port of the WebSocket.
    pub port: u16,
    /// `http` (ws) or `https` (wss).
    pub scheme: String,
}

/// How the outbox is worked off.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// Whether a [`Node`](crate::Node) works the outbox off itself.
    pub in_process: bool,
    /// Refusals (4xx) after which an event goes to `failed_jobs`.
    pub tries: u32,
    /// Pause after the first refusal; doubles each time.
    pub backoff: Duration,
    /// Events in flight at the same time; never two of one attendance.
    pub concurrency: usize,
    /// How long a claimed row is safe from other workers; renewed while it is in flight.
    pub lease: Duration,
    /// How often the outbox is looked at when nothing wakes the worker.
    pub poll: Duration,
    /// First pause after a failure that may pass (no answer, 429, 5xx); doubles each time.
    pub outage_backoff: Duration,
    /// Longest pause after such a failure.
    pub outage_backoff_max: Duration,
    /// How long the end waits for events and requests in flight.
    pub drain: Duration,
}

impl Config {
    /// Defaults of a single node in Asia/Jakarta whose front ends find the broadcast server on port 8080 of the same
    /// host.
    pub fn new(database: Database, credentials: Credentials, publisher: Publisher) -> Self {
        Self {
            database,
            node_id: 1,
            time_zone: "Asia/Jakarta".into(),
            work_start: None,
            grace_minutes: 0,
            app_url: "http://localhost:8000".into(),
            trusted_proxies: TrustedProxies::default(),
            tls: None,
            public_details: false,
            front_end: FrontEnd {
                key: credentials.key.clone(),
                host: String::new(),
                port: 8080,
                scheme: "http".into(),
            },
            dashboard_dir: None,
            credentials,
            publisher,
            session_lifetime: Duration::from_secs(2 * 3_600),
            redis: None,
            queue: Queue::Database,
            worker: WorkerConfig::default(),
            board: Board::default(),
        }
    }

    /// Whether browsers reach the API over TLS.
    pub(crate) fn is_https(&self) -> bool {
        self.tls.is_some() || self.app_url.starts_with("https://")
    }
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self {
            in_process: true,
            tries: 3,
            backoff: Duration::from_secs(1),
            concurrency: 16,
            lease: Duration::from_secs(10),
            poll: Duration::from_secs(2),
            outage_backoff: Duration::from_millis(250),
            outage_backoff_max: Duration::from_secs(10),
            drain: Duration::from_secs(10),
        }
    }
}
