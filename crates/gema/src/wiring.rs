//! From settings to what the library crates want.

use std::net::SocketAddr;
use std::time::Duration;

use gema_attendance::{FrontEnd, RedisConfig};
use gema_broadcast::{Address, AppConfig, ClientEvents, ClusterConfig, MessageRate, Webhook};
use gema_client::Publisher;
use gema_protocol::app::Credentials;
use gema_protocol::close::CloseCode;
use gema_protocol::limits::{Limits, Profile};
use gema_protocol::origin::AllowedOrigins;
use gema_protocol::rate_limit::Rate;
use gema_protocol::webhook::{Filter, Kind};
use gema_tls::Acceptor;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::database::database;
use crate::failure::Failure;
use crate::listen::from_here;
use crate::metrics::Metrics;
use crate::settings::{
    App, AppProfile, ClientEventSenders, Process, Queue, RedisScheme, Roles, Scheme, Settings, TerminateCode,
};

/// Reverb's default for `REVERB_MAX_REQUEST_SIZE`; only a higher value changes anything.
const USUAL_REQUEST_SIZE: usize = 10_000;

/// How long a stopping process gives to what is under way if nothing is set.
const USUAL_DRAIN: Duration = Duration::from_secs(20);

/// The broadcast server.
///
/// `drain`: how long it may take to end. `metrics`: where it shows metrics.
pub(crate) fn broadcast(
    settings: &Settings,
    tls: Option<Acceptor>,
    drain: Duration,
    metrics: &Metrics,
) -> Result<gema_broadcast::Server, Failure> {
    let process = &settings.process;
    let app = |(credentials, app): &(Credentials, App)| {
        let mut config = app_config(credentials, app, process);
        config.webhooks = webhooks(settings, &credentials.id);
        config
    };
    let apps = settings.apps.iter().map(app).collect();
    let mut config = gema_broadcast::Config::new(apps);
    config.path.clone_from(&process.server_path.0);
    config.queue_bytes = process.queue_bytes.get();
    config.backlog_bytes = process.backlog_bytes.get();
    config.tls = tls;
    config.drain = drain;
    config.spread =
        if process.scaling_enabled || process.drain_seconds.is_some() { drain } else { Duration::ZERO };
    config.cluster = if process.scaling_enabled { Some(cluster(process)?) } else { None };
    let server = gema_broadcast::Server::new(config).map_err(|error| error.to_string())?;
    Ok(server.with_metrics(metrics.board.clone()))
}

/// How long a stopping process gives to what is under way.
pub(crate) fn drain(process: &Process) -> Duration {
    process.drain_seconds.map_or(USUAL_DRAIN, |seconds| Duration::from_secs(seconds.get()))
}

/// Looks whether the Redis that this role cannot do without, if any, is of a kind that will do. One that is away may come
/// later.
pub(crate) async fn check_redis(process: &Process, role: Roles) -> Result<(), Failure> {
    let shares_channels = process.scaling_enabled && role.meets(Roles::BROADCAST.or(Roles::SERVE));
    let publishes = role.meets(Roles::ATTENDANCE.or(Roles::WORKER).or(Roles::SERVE));
    if shares_channels || process.queue_connection == Queue::Redis && publishes {
        let why = |why| format!("{}: {why}", redis_name(process));
        redis(process)?.check().await.map_err(why)?;
    }
    Ok(())
}

/// Where the servers meet that share channels.
fn cluster(process: &Process) -> Result<ClusterConfig, Failure> {
    Ok(ClusterConfig {
        redis: redis(process)?,
        prefix: process.redis_prefix.clone().unwrap_or_default(),
        scaling_channel: process.scaling_channel.clone(),
        outgoing_bytes: process.outgoing_bytes.get(),
    })
}

/// What the attendance roles keep in Redis, if one is named.
pub(crate) fn attendance_redis(process: &Process) -> Result<Option<RedisConfig>, Failure> {
    let is_named = process.redis_url.is_some() || process.redis_host.is_some();
    if !is_named && process.queue_connection != Queue::Redis {
        return Ok(None);
    }
    let prefix = process.redis_prefix.clone().unwrap_or_default();
    Ok(Some(RedisConfig { address: redis(process)?, prefix }))
}

fn redis(process: &Process) -> Result<Address, Failure> {
    let url = redis_url(process);
    let address = match &process.redis_ca {
        Some(authorities) => Address::parse_trusting(&url, authorities),
        None => Address::parse(&url),
    };
    Ok(address.map_err(|error| format!("{}: {error}", redis_name(process)))?)
}

/// The setting that says where Redis is.
fn redis_name(process: &Process) -> &'static str {
    if process.redis_url.is_some() { "REDIS_URL" } else { "REDIS_HOST" }
}

/// The URL as it is set, or one of the parts.
fn redis_url(process: &Process) -> String {
    if let Some(url) = &process.redis_url {
        return url.expose().to_owned();
    }
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let user = process.redis_username.as_deref().map(encode).unwrap_or_default();
    let password = process.redis_password.as_ref().map(|password| encode(password.expose()));
    let login = match password {
        Some(password) => format!("{user}:{password}@"),
        None if user.is_empty() => String::new(),
        None => format!("{user}@"),
    };
    let host = process.redis_host.as_deref().unwrap_or("127.0.0.1");
    let (port, database): (u16, u16) = (process.redis_port.get(), process.redis_db.get());
    let scheme = match process.redis_scheme {
        RedisScheme::Tcp => "redis",
        RedisScheme::Tls => "rediss",
    };
    // phpredis has the scheme before the host.
    let (scheme, host) = host.split_once("://").unwrap_or((scheme, host));
    format!("{scheme}://{login}{host}:{port}/{database}")
}

fn app_config(credentials: &Credentials, app: &App, process: &Process) -> AppConfig {
    let mut config = AppConfig::new(credentials.clone());
    config.limits = limits(app, process);
    config.allowed_origins = AllowedOrigins::new(app.allowed_origins.0.clone());
    config.client_events = match app.accept_client_events_from {
        ClientEventSenders::None => ClientEvents::Nobody,
        ClientEventSenders::Members => ClientEvents::Members,
        ClientEventSenders::All => ClientEvents::Anyone,
    };
    config.client_events_on_public_channels = app.client_events_on_public_channels;
    config.max_connections = app.max_connections.map(|count| count.get());
    config.enabled = app.enabled;
    config.user_authentication = app.user_authentication;
    config.watchlists = app.watchlists;
    config.subscription_count = app.subscription_count;
    config.subscription_errors = app.subscription_errors;
    config.terminate_by_presence = app.terminate_by_presence;
    config.terminate_with = match app.terminate_close_code {
        TerminateCode::StayAway => CloseCode::TerminatedByApp,
        TerminateCode::ComeBack => CloseCode::TerminatedForNow,
    };
    config.authorization_timeout =
        app.authorization_timeout.map(|seconds| Duration::from_secs(seconds.get()));
    config.strict_protocol = app.strict_protocol;
    config.message_rate = message_rate(app);
    config
}

/// Reverb's limiter: it counts every message of a connection, whatever it says.
fn message_rate(app: &App) -> Option<MessageRate> {
    let window = Duration::from_secs(app.rate_limit_decay_seconds.get());
    let rate = Rate { times: app.rate_limit_max_attempts.get(), window };
    app.rate_limiting_enabled.then_some(MessageRate { rate, terminate: app.rate_limit_terminate })
}

/// The endpoints of one app.
fn webhooks(settings: &Settings, app_id: &str) -> Vec<Webhook> {
    let own = settings.webhooks.iter().filter(|(owner, _)| owner == app_id);
    own.filter_map(|(_, webhook)| {
        let kinds = match &webhook.events {
            Some(names) => names.0.iter().filter_map(|name| Kind::parse(name)).collect(),
            None => Kind::ALL.into_iter().collect(),
        };
        let channel_prefix = webhook.channel_prefix.clone().unwrap_or_default();
        let filter = Filter { kinds, channel_prefix };
        Some(Webhook { url: webhook.url.clone()?, filter, batching: webhook.batching })
    })
    .collect()
}

/// The profile's limits, changed by the app's own and by a request size above the usual one.
pub(crate) fn limits(app: &App, process: &Process) -> Limits {
    let mut limits = Limits::of(match app.profile {
        AppProfile::Reverb => Profile::Reverb,
        AppProfile::Pusher => Profile::Pusher,
    });
    if let Some(size) = app.max_message_size {
        limits.client_message = size.get();
    }
    limits.activity_timeout_s = app.activity_timeout.get();
    limits.ping_interval_s = app.ping_interval.get();
    limits.pong_grace_s = app.pong_timeout.get();
    limits.cache_ttl = Duration::from_secs(app.cache_ttl.get());
    limits.presence_members = app.max_presence_members.map(|count| count.get());
    limits.presence_user_info = app.max_user_info_size.map(|bytes| bytes.get());
    limits.client_events_per_second = app.max_client_events_per_second.map(|count| count.get());
    limits.batch = app.max_batch_size.map(|count| count.get());
    limits.signature_window_s = app.signature_window.get();
    let request_size = process.max_request_size.get();
    if request_size > USUAL_REQUEST_SIZE && app.profile == AppProfile::Reverb {
        limits.request_body = limits.request_body.max(request_size);
        limits.event_data = limits.event_data.max(request_size);
    }
    limits
}

/// Where things listen, as far as this process knows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Listeners {
    /// The broadcast server, if it runs in this process.
    pub(crate) broadcast: Option<SocketAddr>,
    /// The attendance API, if it runs in this process.
    pub(crate) attendance: Option<SocketAddr>,
    /// What makes them speak TLS.
    pub(crate) tls: Option<Acceptor>,
}

impl Listeners {
    /// What the listeners of this process speak.
    pub(crate) fn scheme(&self) -> Scheme {
        if self.tls.is_some() { Scheme::Https } else { Scheme::Http }
    }
}

/// What the attendance API and the worker need.
pub(crate) fn attendance(
    settings: &Settings,
    at: &Listeners,
    metrics: &Metrics,
) -> Result<gema_attendance::Config, Failure> {
    let process = &settings.process;
    let Some((credentials, _)) = settings.apps.first() else {
        return Err("there is no app: run `gema init`".to_owned().into());
    };
    let publisher = publisher(process, credentials, at)?;
    let mut config = gema_attendance::Config::new(database(process)?, credentials.clone(), publisher);
    config.node_id = process.node_id.get();
    config.time_zone.clone_from(&process.app_timezone.0);
    config.work_start = process.work_starts_at.map(|time| format!("{:02}:{:02}", time.hour, time.minute));
    config.grace_minutes = process.grace_minutes.get();
    config.app_url = app_url(process, at);
    config.trusted_proxies.clone_from(&process.trusted_proxies);
    config.tls.clone_from(&at.tls);
    config.public_details = process.public_details;
    config.front_end = front_end(process, credentials.key.clone(), at);
    config.session_lifetime = Duration::from_secs(60 * process.session_minutes.get::<u64>());
    config.redis = attendance_redis(process)?;
    config.dashboard_dir = Some(process.dashboard_dir.clone());
    config.board = metrics.board.clone();
    config.queue = queue(process);
    config.worker.tries = process.queue_tries.get();
    config.worker.backoff = Duration::from_secs(process.queue_backoff.get());
    // What `sync` could not publish in the request is left to the worker of the same process.
    config.worker.in_process = at.broadcast.is_some() || process.queue_connection == Queue::Sync;
    // Requests, then events, then (in `gema serve`) connections: each has its share of the whole.
    config.worker.drain = drain(process) / 3;
    Ok(config)
}

/// How events get from the outbox to a worker.
pub(crate) fn queue(process: &Process) -> gema_attendance::Queue {
    match process.queue_connection {
        Queue::Database => gema_attendance::Queue::Database,
        Queue::Redis => gema_attendance::Queue::Redis,
        Queue::Sync => gema_attendance::Queue::Sync,
    }
}

fn front_end(process: &Process, key: String, at: &Listeners) -> FrontEnd {
    let port = process.public_port.map(|port| port.get());
    let scheme = process.public_scheme.unwrap_or(usual_scheme(at));
    FrontEnd {
        key,
        // Empty: the name by which the browser reached the page.
        host: process.public_host.as_ref().map(|host| host.0.clone()).unwrap_or_default(),
        port: port.unwrap_or_else(|| at.broadcast.map_or(443, |address| address.port())),
        scheme: scheme.as_str().to_owned(),
    }
}

/// What a listener of ours speaks; elsewhere Laravel's default holds.
fn usual_scheme(at: &Listeners) -> Scheme {
    if at.broadcast.is_some() { at.scheme() } else { Scheme::Https }
}

/// Where people open the pages: as set, else where the API listens.
pub(crate) fn app_url(process: &Process, at: &Listeners) -> String {
    let scheme = at.scheme().as_str();
    let listening = at.attendance.map(|address| format!("{scheme}://{}", from_here(address)));
    let set = process.app_url.as_ref().map(|url| url.0.clone());
    set.or(listening).unwrap_or_else(|| format!("http://localhost:{}", process.app_port.get::<u16>()))
}

/// What publishes the events. Our own listener is known by its very certificate, whose name need not be the address.
fn publisher(process: &Process, credentials: &Credentials, at: &Listeners) -> Result<Publisher, Failure> {
    let url = publish_url(process, at)?;
    let own = at.tls.as_ref().filter(|_| process.publish_url.is_none() && at.broadcast.is_some());
    let publisher = match own.map(Acceptor::own_client).transpose() {
        Ok(None) => Publisher::new(&url, credentials.clone()).map_err(|error| error.to_string()),
        Ok(Some(tls)) => {
            Publisher::trusting(&url, credentials.clone(), tls).map_err(|error| error.to_string())
        }
        Err(error) => Err(error.to_string()),
    };
    let timeout = Duration::from_secs(process.queue_timeout.get());
    let publisher = publisher.map(|publisher| publisher.within(timeout));
    publisher.map_err(|cause| format!("events cannot be published: {cause}").into())
}

/// Where events go: as set, else our own listener, else where browsers find the server.
fn publish_url(process: &Process, at: &Listeners) -> Result<String, Failure> {
    if let Some(url) = &process.publish_url {
        return Ok(url.0.clone());
    }
    if let Some(address) = at.broadcast {
        let scheme = at.scheme().as_str();
        return Ok(format!("{scheme}://{}{}", from_here(address), process.server_path.0));
    }
    let Some(host) = &process.public_host else {
        let sentence = "where to publish events is not known: set REVERB_HOST, REVERB_PORT and REVERB_SCHEME to where \
            the broadcast server is, or REVERB_PUBLISH_URL if back ends reach it elsewhere than browsers";
        return Err(sentence.to_owned().into());
    };
    let scheme = process.public_scheme.unwrap_or(Scheme::Https).as_str();
    let port: u16 = process.public_port.map_or(443, |port| port.get());
    Ok(format!("{scheme}://{}:{port}", host.0))
}

#[cfg(test)]
mod tests;
