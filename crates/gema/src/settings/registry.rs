//! Every setting of Gema, each declared once.
//!
//! From these tables come the typed structs, the parser, the flags, `gema config print`, the errors for unknown names
//! and the reference page of `gema config reference`. Names and defaults are those of Laravel Reverb where it has
//! them; a `.env` of a Laravel application is read as it is. The rules of the sources are in `sources.rs`.

use std::path::PathBuf;

use gema_attendance::TrustedProxies;
use gema_broadcast::WebhookUrl;

use super::declare::{Flag, Roles, Setting, read, settings};
use super::value::{
    AppProfile, Bytes, ClientEventSenders, Count, Database, Filter, Host, LogFormat, Names, Origins, Port,
    Prefix, Queue, RedisScheme, Scheme, Seconds, SecretText, TerminateCode, TimeOfDay, Value, WebUrl, Whole,
    Zone,
};

/// The roles that hold WebSocket connections.
const SOCKETS: Roles = Roles::BROADCAST.or(Roles::SERVE);
/// The roles that answer the attendance API.
const API: Roles = Roles::ATTENDANCE.or(Roles::SERVE);
/// The roles that publish attendance events.
const PUBLISHERS: Roles = API.or(Roles::WORKER);
/// The roles that open the database.
const STORE: Roles = PUBLISHERS.or(Roles::MIGRATE);

/// A flag with a value.
const fn flag(name: &'static str, roles: Roles) -> Flag {
    Flag { name, roles, stands_for: None }
}

settings! {
    /// The settings of a process.
    Process {
        /// Address that the broadcast server listens on.
        server_host: String = "0.0.0.0",
            Setting::named("REVERB_SERVER_HOST", "server.host").used_by(SOCKETS).flags(&[flag("host", SOCKETS)]);
        /// Port that the broadcast server listens on; 0 takes a free one.
        server_port: Port = "8080",
            Setting::named("REVERB_SERVER_PORT", "server.port").used_by(SOCKETS).flags(&[flag("port", SOCKETS)]);
        /// Prefix of all routes of the broadcast server (`/app`, `/apps`, `/up`). It is not part of what is signed.
        server_path: Prefix = "",
            Setting::named("REVERB_SERVER_PATH", "server.path").used_by(SOCKETS).flags(&[flag("path", SOCKETS)]);
        /// A higher value raises, for apps with the profile `reverb`, what a request body may hold above 1.5 MiB and
        /// an event's data above 10,240 bytes; Reverb's default of 10000 lowers nothing. In bytes.
        max_request_size: Whole<10_000, 1_073_741_824> = "10000",
            Setting::named("REVERB_MAX_REQUEST_SIZE", "server.max_request_size").used_by(SOCKETS);
        /// Bytes that may wait for one slow connection before it is closed.
        queue_bytes: Bytes = "1048576",
            Setting::named("GEMA_QUEUE_BYTES", "server.queue_bytes").used_by(SOCKETS);
        /// Bytes of published events that may wait in one channel; above it publishers get 503 with Retry-After.
        backlog_bytes: Bytes = "4194304",
            Setting::named("GEMA_BACKLOG_BYTES", "server.backlog_bytes").used_by(SOCKETS);
        /// Seconds that a stopping server gives to what is under way, and over which a broadcast server closes its
        /// clients, evenly. Unset: 20; then one that shares channels with no other closes them at once, for they have
        /// nowhere else to go.
        drain_seconds: Option<Seconds> = "",
            Setting::named("GEMA_DRAIN_SECONDS", "server.drain_seconds").used_by(SOCKETS.or(PUBLISHERS));

        /// Address that shows metrics, over plain HTTP: whoever reaches it can read them.
        metrics_host: String = "127.0.0.1",
            Setting::named("GEMA_METRICS_HOST", "metrics.host").used_by(SOCKETS.or(PUBLISHERS));
        /// Port for Prometheus (`/metrics`), with `/live` and `/ready`; 0 takes a free one. Unset: there are none, since
        /// several processes of one machine could not share a port that nobody asked for.
        metrics_port: Option<Port> = "",
            Setting::named("GEMA_METRICS_PORT", "metrics.port").used_by(SOCKETS.or(PUBLISHERS));

        /// PEM file with the certificate and its chain. With it and GEMA_TLS_KEY every listener speaks TLS, and TLS only.
        /// Both files are read again when they change, and on SIGHUP. Unset, the broadcast server takes the certificate
        /// that Laravel Valet has for REVERB_HOST, as Reverb does; without one it speaks plain HTTP.
        tls_cert: Option<PathBuf> = "",
            Setting::named("GEMA_TLS_CERT", "tls.cert").used_by(Roles::LISTENERS);
        /// PEM file with the key of the certificate, without a passphrase.
        tls_key: Option<PathBuf> = "", Setting::named("GEMA_TLS_KEY", "tls.key").used_by(Roles::LISTENERS);

        /// Name under which browsers and back ends reach the broadcast server. Unset: the name in the page's own
        /// address.
        public_host: Option<Host> = "",
            Setting::named("REVERB_HOST", "public.host").flags(&[flag("hostname", SOCKETS)]);
        /// Port under which browsers and back ends reach the broadcast server. Unset: in `gema serve` the port it
        /// listens on, elsewhere 443.
        public_port: Option<Whole<1, 65_535>> = "",
            Setting::named("REVERB_PORT", "public.port").used_by(PUBLISHERS);
        /// How browsers and back ends reach the broadcast server. Unset: in `gema serve` as its listener
        /// speaks, elsewhere https.
        public_scheme: Option<Scheme> = "",
            Setting::named("REVERB_SCHEME", "public.scheme").used_by(PUBLISHERS);

        /// Whether several broadcast servers share channels through Redis.
        scaling_enabled: bool = "false",
            Setting::named("REVERB_SCALING_ENABLED", "scaling.enabled").used_by(SOCKETS);
        /// Namespace that servers which share channels have in common.
        scaling_channel: String = "reverb",
            Setting::named("REVERB_SCALING_CHANNEL", "scaling.channel").used_by(SOCKETS);
        /// Bytes of events per app that are kept for other servers while Redis is away; what is more is lost to them.
        outgoing_bytes: Bytes = "67108864",
            Setting::named("GEMA_OUTGOING_BYTES", "scaling.outgoing_bytes").used_by(SOCKETS);
        /// Address of Redis as a URL (`redis://`, `rediss://`, `redis-cluster://`, `redis-sentinel://`); wins over the parts.
        redis_url: Option<SecretText> = "",
            Setting::named("REDIS_URL", "redis.url").secret();
        /// Certificates (a file in PEM form) of the authorities that sign those of Redis; unset: the system's. For TLS only.
        redis_ca: Option<PathBuf> = "",
            Setting::named("GEMA_REDIS_CA", "redis.ca").used_by(SOCKETS.or(STORE));
        /// How Redis is spoken to when it is named in parts: `tcp`, or `tls`.
        redis_scheme: RedisScheme = "tcp",
            Setting::named("REDIS_SCHEME", "redis.scheme").used_by(SOCKETS.or(STORE));
        /// Host of Redis. Unset: 127.0.0.1 for what asks for a Redis (`REVERB_SCALING_ENABLED`, `QUEUE_CONNECTION=redis`).
        /// Only when this or REDIS_URL is set, the attendance API has in Redis when sessions were used and who guesses
        /// passwords; otherwise, and while Redis is away, the database has it.
        redis_host: Option<String> = "", Setting::named("REDIS_HOST", "redis.host");
        /// Port of Redis.
        redis_port: Port = "6379", Setting::named("REDIS_PORT", "redis.port");
        /// User at Redis.
        redis_username: Option<String> = "", Setting::named("REDIS_USERNAME", "redis.username");
        /// Password at Redis.
        redis_password: Option<SecretText> = "", Setting::named("REDIS_PASSWORD", "redis.password").secret();
        /// Number of the database in Redis.
        redis_db: Whole<0, 65_535> = "0", Setting::named("REDIS_DB", "redis.db");
        /// Prefix of what Gema has in Redis: two installations with different ones never hear each other.
        redis_prefix: Option<String> = "", Setting::named("REDIS_PREFIX", "redis.prefix");

        /// Address that the attendance API listens on.
        app_host: String = "0.0.0.0",
            Setting::named("APP_HOST", "attendance.host").used_by(API).flags(&[flag("host", API)]);
        /// Port that the attendance API and the pages listen on; 0 takes a free one.
        app_port: Port = "8000",
            Setting::named("APP_PORT", "attendance.port").used_by(API)
                .flags(&[flag("port", Roles::ATTENDANCE), flag("app-port", Roles::SERVE)]);
        /// Address under which people open the pages. Unset: where the attendance API listens.
        app_url: Option<WebUrl> = "",
            Setting::named("APP_URL", "attendance.url").used_by(PUBLISHERS);
        /// Time zone of a working day.
        app_timezone: Zone = "Asia/Jakarta",
            Setting::named("APP_TIMEZONE", "attendance.time_zone").used_by(STORE);
        /// Number of this node; every record says which node wrote it.
        node_id: Whole<0, 2_147_483_647> = "1",
            Setting::named("NODE_ID", "attendance.node_id").used_by(PUBLISHERS);
        /// Whether events on the public channel carry e-mail addresses and notes. Everybody who knows the app key,
        /// so every visitor of the pages, can read that channel.
        public_details: bool = "false",
            Setting::named("ATTENDANCE_PUBLIC_DETAILS", "attendance.public_details").used_by(PUBLISHERS);
        /// When work starts. Later check-ins are `late`; unset, nobody is.
        work_starts_at: Option<TimeOfDay> = "",
            Setting::named("ATTENDANCE_WORK_STARTS_AT", "attendance.work_starts_at").used_by(API);
        /// Minutes after the start of work that still count as `present`.
        grace_minutes: Whole<0, 1_440> = "0",
            Setting::named("ATTENDANCE_GRACE_MINUTES", "attendance.grace_minutes").used_by(API);
        /// Minutes after which an unused browser session ends.
        session_minutes: Whole<1, 525_600> = "120",
            Setting::named("SESSION_LIFETIME", "attendance.session_minutes").used_by(API);
        /// Proxies before the attendance API, as networks (`10.0.0.0/8`) or addresses, or `*` for all: their X-Forwarded-For
        /// says which client is slowed down after failed sign-ins, their X-Forwarded-Proto whether cookies are `Secure`.
        /// Unset: nobody's.
        trusted_proxies: TrustedProxies = "",
            Setting::named("TRUSTED_PROXIES", "attendance.trusted_proxies").used_by(API);
        /// Folder of the built pages.
        dashboard_dir: PathBuf = "examples/dashboard/dist",
            Setting::named("ATTENDANCE_DASHBOARD_DIR", "attendance.dashboard_dir").used_by(API);
        /// Where events are published. Unset: in `gema serve` its own listener, elsewhere REVERB_SCHEME, REVERB_HOST
        /// and REVERB_PORT.
        publish_url: Option<WebUrl> = "",
            Setting::named("REVERB_PUBLISH_URL", "attendance.publish_url").used_by(PUBLISHERS);

        /// Kind of the database; `mariadb` means the same as `mysql`.
        db_connection: Database = "sqlite",
            Setting::named("DB_CONNECTION", "database.connection").used_by(STORE);
        /// File of the database (`sqlite`) or its name at the server (`mysql`). Unset: `gema.sqlite` or `laravel`.
        db_database: Option<PathBuf> = "",
            Setting::named("DB_DATABASE", "database.database").used_by(STORE);
        /// Address of the database server as `mysql://user:password@host:port/database`; wins over the parts.
        db_url: Option<SecretText> = "", Setting::named("DB_URL", "database.url").used_by(STORE).secret();
        /// Host of the database server.
        db_host: String = "127.0.0.1", Setting::named("DB_HOST", "database.host").used_by(STORE);
        /// Port of the database server.
        db_port: Port = "3306", Setting::named("DB_PORT", "database.port").used_by(STORE);
        /// Unix socket of the database server, in place of host and port.
        db_socket: Option<PathBuf> = "", Setting::named("DB_SOCKET", "database.socket").used_by(STORE);
        /// User at the database server.
        db_username: String = "root", Setting::named("DB_USERNAME", "database.username").used_by(STORE);
        /// Password at the database server.
        db_password: Option<SecretText> = "",
            Setting::named("DB_PASSWORD", "database.password").used_by(STORE).secret();
        /// PEM file with the authority of the database server's certificate. With it TLS is demanded and the server's
        /// name checked; without it TLS is used where the server offers it.
        db_ssl_ca: Option<PathBuf> = "",
            Setting::named("MYSQL_ATTR_SSL_CA", "database.ssl_ca").used_by(STORE);
        /// How an event gets from the record to the publisher: `database` (workers look for it in the outbox), `redis` (a
        /// list tells them its row there) or `sync` (in the request, for development).
        queue_connection: Queue = "database",
            Setting::named("QUEUE_CONNECTION", "queue.connection").used_by(STORE);
        /// Refusals (4xx) after which an event goes to the table `failed_jobs`. An outage uses up none.
        queue_tries: Count = "3", Setting::named("QUEUE_TRIES", "queue.tries").used_by(PUBLISHERS);
        /// Seconds between the first refusal and the next try; doubles with each refusal.
        queue_backoff: Seconds = "1", Setting::named("QUEUE_BACKOFF", "queue.backoff").used_by(PUBLISHERS);
        /// Seconds that the broadcast server may take to answer.
        queue_timeout: Seconds = "30", Setting::named("QUEUE_TIMEOUT", "queue.timeout").used_by(PUBLISHERS);

        /// What is logged, as a filter such as `info` or `info,gema_broadcast=debug`.
        log: Filter = "info",
            Setting::named("GEMA_LOG", "log.filter")
                .flags(&[Flag { name: "debug", roles: Roles::ALL, stands_for: Some(DEBUG_FILTER) }]);
        /// How log lines look.
        log_format: LogFormat = "text", Setting::named("GEMA_LOG_FORMAT", "log.format");
    }
}

/// What `--debug` logs: every message of clients and publishers, without the noise of libraries.
const DEBUG_FILTER: &str = "info,gema=debug,gema_broadcast=debug,gema_attendance=debug,gema_client=debug";

settings! {
    /// The settings of one app.
    App {
        /// Id of the app, part of the HTTP API's paths. Some SDKs accept digits only.
        id: Option<String> = "", Setting::named("REVERB_APP_ID", "id");
        /// Key of the app, known to browsers.
        key: Option<String> = "", Setting::named("REVERB_APP_KEY", "key");
        /// Secret of the app, known to back ends only.
        secret: Option<SecretText> = "", Setting::named("REVERB_APP_SECRET", "secret").secret();
        /// Whose limits and defaults the app has: Laravel Reverb's or those of Pusher Channels.
        profile: AppProfile = "reverb", Setting::named("REVERB_APP_PROFILE", "profile").used_by(SOCKETS);
        /// Whether the app accepts connections and requests.
        enabled: bool = "true", Setting::named("REVERB_APP_ENABLED", "enabled").used_by(SOCKETS);
        /// Pages that may connect, as hosts (`app.example`, `*.app.example`, `localhost:3000`) or whole origins
        /// (`https://app.example:8443`); `*` alone admits all, also clients that name no origin.
        allowed_origins: Origins = "*",
            Setting::named("REVERB_APP_ALLOWED_ORIGINS", "allowed_origins").used_by(SOCKETS);
        /// Seconds without a message after which the server pings a client.
        ping_interval: Seconds = "60",
            Setting::named("REVERB_APP_PING_INTERVAL", "ping_interval").used_by(SOCKETS).for_pusher("120");
        /// Seconds that a client then has to answer, by anything, before it is closed with 4201.
        pong_timeout: Seconds = "30",
            Setting::named("REVERB_APP_PONG_TIMEOUT", "pong_timeout").used_by(SOCKETS);
        /// Seconds without a message after which clients ping the server, as announced to them.
        activity_timeout: Seconds = "30",
            Setting::named("REVERB_APP_ACTIVITY_TIMEOUT", "activity_timeout").used_by(SOCKETS).for_pusher("120");
        /// How many clients may be connected, to all servers that share channels together; unset means no limit.
        max_connections: Option<Count> = "",
            Setting::named("REVERB_APP_MAX_CONNECTIONS", "max_connections").used_by(SOCKETS);
        /// Bytes that a message of a client may hold. Unset: 10000 for `reverb`, the profile's own for `pusher`.
        max_message_size: Option<Bytes> = "10000",
            Setting::named("REVERB_APP_MAX_MESSAGE_SIZE", "max_message_size").used_by(SOCKETS).for_pusher("");
        /// Whether connections that name no version of the protocol, or one that is unknown, are refused (4006 to 4008).
        strict_protocol: bool = "false",
            Setting::named("REVERB_APP_STRICT_PROTOCOL", "strict_protocol").used_by(SOCKETS);
        /// Seconds within which a connection must sign in or join a private or presence channel; else it is closed with
        /// 4009. Unset: it need not.
        authorization_timeout: Option<Seconds> = "",
            Setting::named("REVERB_APP_AUTHORIZATION_TIMEOUT", "authorization_timeout").used_by(SOCKETS);
        /// Whether clients may sign in (`pusher:signin`).
        user_authentication: bool = "true",
            Setting::named("REVERB_APP_USER_AUTHENTICATION", "user_authentication").used_by(SOCKETS);
        /// Whether signed-in users hear of the coming and going of those on their watchlist.
        watchlists: bool = "true",
            Setting::named("REVERB_APP_WATCHLISTS", "watchlists").used_by(SOCKETS);
        /// Whether `terminate_connections` also ends connections that are in a presence channel as the user without
        /// having signed in.
        terminate_by_presence: bool = "true",
            Setting::named("REVERB_APP_TERMINATE_BY_PRESENCE", "terminate_by_presence").used_by(SOCKETS);
        /// What `terminate_connections` closes with: after 4009 clients stay away, after 4200 they come back at once.
        terminate_close_code: TerminateCode = "4009",
            Setting::named("REVERB_APP_TERMINATE_CLOSE_CODE", "terminate_close_code").used_by(SOCKETS);
        /// Whether the subscribers of a channel, except presence channels, are told how many they are.
        subscription_count: bool = "false",
            Setting::named("REVERB_APP_SUBSCRIPTION_COUNT", "subscription_count").used_by(SOCKETS);
        /// Whether a refused subscription is also answered with `pusher:subscription_error`, as soketi does; it makes
        /// Echo's `.error()` fire.
        subscription_errors: bool = "false",
            Setting::named("REVERB_APP_SUBSCRIPTION_ERRORS", "subscription_errors").used_by(SOCKETS);
        /// Seconds that a cache channel keeps its last event.
        cache_ttl: Seconds = "1800",
            Setting::named("REVERB_APP_CACHE_TTL", "cache_ttl").used_by(SOCKETS);
        /// How many users a presence channel may have; unset means no limit.
        max_presence_members: Option<Count> = "",
            Setting::named("REVERB_APP_MAX_PRESENCE_MEMBERS", "max_presence_members")
                .used_by(SOCKETS).for_pusher("100");
        /// Bytes that the `user_info` of a presence member may have; unset means as many as fit into a message.
        max_user_info_size: Option<Count> = "",
            Setting::named("REVERB_APP_MAX_USER_INFO_SIZE", "max_user_info_size")
                .used_by(SOCKETS).for_pusher("1024");
        /// How many events one `batch_events` request may hold; unset means no limit.
        max_batch_size: Option<Count> = "",
            Setting::named("REVERB_APP_MAX_BATCH_SIZE", "max_batch_size").used_by(SOCKETS).for_pusher("10");
        /// Seconds that the clock of a signed request may differ from the server's.
        signature_window: Seconds = "600",
            Setting::named("REVERB_APP_SIGNATURE_WINDOW", "signature_window").used_by(SOCKETS);
        /// Who may send client events: `members` of the channel, `none`, or `all` connections, members or not.
        accept_client_events_from: ClientEventSenders = "members",
            Setting::named("REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM", "accept_client_events_from")
                .used_by(SOCKETS).for_pusher("none");
        /// Whether client events also pass in public channels, where nobody has signed who sends them.
        client_events_on_public_channels: bool = "false",
            Setting::named("REVERB_APP_CLIENT_EVENTS_ON_PUBLIC_CHANNELS", "client_events_on_public_channels")
                .used_by(SOCKETS);
        /// Client events that a connection may send in a second; unset means no limit.
        max_client_events_per_second: Option<Count> = "",
            Setting::named("REVERB_APP_MAX_CLIENT_EVENTS_PER_SECOND", "max_client_events_per_second")
                .used_by(SOCKETS).for_pusher("10");
        /// Whether the messages of each client are limited, pings and subscriptions included. What is above the limit
        /// is answered with 4301 and has no effect.
        rate_limiting_enabled: bool = "false",
            Setting::named("REVERB_APP_RATE_LIMITING_ENABLED", "rate_limiting.enabled").used_by(SOCKETS);
        /// Messages that a client may send within the window.
        rate_limit_max_attempts: Count = "60",
            Setting::named("REVERB_APP_RATE_LIMIT_MAX_ATTEMPTS", "rate_limiting.max_attempts").used_by(SOCKETS);
        /// Length of the window in seconds.
        rate_limit_decay_seconds: Seconds = "60",
            Setting::named("REVERB_APP_RATE_LIMIT_DECAY_SECONDS", "rate_limiting.decay_seconds").used_by(SOCKETS);
        /// Whether a client above the limit is also disconnected, with 4100: it comes back after a second.
        rate_limit_terminate: bool = "false",
            Setting::named("REVERB_APP_RATE_LIMIT_TERMINATE", "rate_limiting.terminate_on_limit").used_by(SOCKETS);
    }
}

settings! {
    /// The settings of an endpoint that gets an app's webhooks.
    Webhook {
        /// Where events are posted. A user name and password in it are sent as HTTP Basic authentication.
        url: Option<WebhookUrl> = "",
            Setting::named("REVERB_APP_WEBHOOK_URL", "url").used_by(SOCKETS).secret();
        /// Which events: `channel_occupied`, `channel_vacated`, `member_added`, `member_removed`, `client_event`,
        /// `cache_miss`, `subscription_count`. Unset: all.
        events: Option<Names> = "", Setting::named("REVERB_APP_WEBHOOK_EVENTS", "events").used_by(SOCKETS);
        /// Only events of channels whose name starts like this. Unset: of all.
        channel_prefix: Option<String> = "",
            Setting::named("REVERB_APP_WEBHOOK_CHANNEL_PREFIX", "channel_prefix").used_by(SOCKETS);
        /// Whether events that happen within 50 ms share a request.
        batching: bool = "true", Setting::named("REVERB_APP_WEBHOOK_BATCHING", "batching").used_by(SOCKETS);
    }
}

/// A variable of Reverb that Gema knows and does not need.
pub(crate) struct Needless {
    /// Its name.
    pub(crate) env: &'static str,
    /// Why it changes nothing.
    pub(crate) why: &'static str,
    /// Whether its user should hear of it at start.
    pub(crate) notice: bool,
}

/// The variables that are accepted and change nothing.
pub(crate) const NEEDLESS: &[Needless] = &[
    Needless { env: "REVERB_SERVER", why: "there is one kind of server", notice: false },
    Needless {
        env: "REVERB_PULSE_INGEST_INTERVAL",
        why: "Pulse asks the server over HTTP, which needs no interval",
        notice: false,
    },
    Needless {
        env: "REVERB_TELESCOPE_INGEST_INTERVAL",
        why: "Telescope observes PHP processes only",
        notice: false,
    },
    Needless { env: "REDIS_TIMEOUT", why: "Gema reconnects to Redis for ever", notice: true },
];
