//! The listener: accepts sockets, speaks HTTP/1.1 on them, with TLS or without, and ends in order.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gema_metrics::{Board, Tally};
use gema_tls::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::router;
use crate::app::Apps;
use crate::cluster::Cluster;
use crate::config::{Config, ConfigError};
use crate::drain::{self, Summary};
use crate::in_place::InPlace;
use crate::metrics::Site;
use crate::webhooks::{HttpPost, Running};

/// Sockets that may wait to be accepted: room for everybody who comes back after a restart.
pub(crate) const BACKLOG: u32 = 4096;
/// A request head is small; this bounds what a stranger can make us hold.
const HEAD_BYTES: usize = 16 * 1024;
/// How long a connection may stay without a complete request head. Publishers keep theirs open between requests.
const HEAD_TIME: Duration = Duration::from_secs(75);
/// How often cached events whose time is over are forgotten; until then they only take room.
const SWEEP_PAUSE: Duration = Duration::from_secs(60);
/// How long a socket that has said nothing yet may still begin once everything else ends.
const FIRST_BYTES: Duration = Duration::from_millis(500);
/// Pause after a failed accept, which is a lack of descriptors nearly always.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A configured server that does not listen yet.
pub struct Server {
    shared: Arc<Shared>,
    /// Sends webhooks, if there is an app with some.
    post: Option<Arc<HttpPost>>,
    /// Where it shows what it does.
    board: Board,
}

/// What every request needs.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) apps: Apps,
    /// The prefix of every route, with its leading slash and without a trailing one.
    pub(crate) path: String,
    ending: AtomicBool,
    /// Told to HTTP connections when everybody was sent away: the request under way is the last.
    pub(crate) last_call: CancellationToken,
    /// The tasks that serve HTTP connections, and those that turn one into a WebSocket.
    pub(crate) requests: TaskTracker,
    /// The tasks that own WebSocket connections, goodbye included.
    pub(crate) connections: TaskTracker,
    /// Answers by route and status.
    pub(crate) requests_answered: Tally<(&'static str, u16)>,
    /// Refused handshakes by close code.
    pub(crate) refusals: Tally<u16>,
}

impl Shared {
    /// Whether the end has begun: nobody new is let in.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }
}

impl Server {
    /// Checks the configuration.
    ///
    /// # Errors
    /// When there is no app, two share an id or key, or webhooks cannot be sent.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        let apps = Apps::new(&config)?;
        let has_webhooks = config.apps.iter().any(|app| !app.webhooks.is_empty());
        let post = has_webhooks.then(|| HttpPost::new(config.webhooks.timeout)).transpose()?.map(Arc::new);
        let path = normalized(&config.path);
        Ok(Self {
            shared: Arc::new(Shared {
                config,
                apps,
                path,
                ending: AtomicBool::new(false),
                last_call: CancellationToken::new(),
                requests: TaskTracker::new(),
                connections: TaskTracker::new(),
                requests_answered: Tally::default(),
                refusals: Tally::default(),
            }),
            post,
            board: Board::default(),
        })
    }

    /// Shows on this board what it does, as long as it runs.
    #[must_use]
    pub fn with_metrics(self, board: Board) -> Self {
        Self { board, ..self }
    }
}

/// Listens on an address, with a backlog that takes a rush of reconnecting clients.
///
/// # Errors
/// When the address is taken, not ours or not allowed.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv6() { TcpSocket::new_v6()? } else { TcpSocket::new_v4()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves until `shutdown` ends; then refuses new sockets, closes every connection with 4200, on which pusher-js comes back at
/// once, and lets requests finish: see [`drain`]. Webhooks of all this are sent before it returns, as far as their time
/// allows.
pub async fn run(server: Server, listener: TcpListener, shutdown: impl Future<Output = ()>) -> Summary {
    let Server { shared, post, board } = server;
    if let Some(cluster) = &shared.config.cluster {
        shared.apps.all().for_each(|app| Cluster::join_redis(app, cluster));
    }
    let webhooks = Running::start(shared.apps.all(), &shared.config, post.as_ref());
    let _shown = board.show(Arc::new(Site { shared: shared.clone(), waiting: webhooks.waiting() }));
    tokio::select! {
        () = accept_all(&shared, &listener) => {}
        () = sweep_caches(&shared) => {}
        () = shutdown => {}
    }
    // Before the listener closes: whoever sees it closed must not be let in by a handshake under way.
    shared.ending.store(true, Ordering::Release);
    drain::run(&shared, listener, webhooks).await
}

async fn accept_all(shared: &Arc<Shared>, listener: &TcpListener) {
    loop {
        match listener.accept().await {
            Ok((socket, _)) => accept(shared, socket),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection; raise the limit of open files if it says so");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves a socket, beside all others.
pub(crate) fn accept(shared: &Arc<Shared>, socket: TcpStream) {
    shared.requests.spawn(serve(shared.clone(), socket));
}

/// Forgets cached events whose time is over, from time to time.
async fn sweep_caches(shared: &Shared) {
    loop {
        sleep(SWEEP_PAUSE).await;
        shared.apps.all().for_each(|app| app.cache.sweep());
    }
}

/// One socket, until it ends or becomes a WebSocket.
async fn serve(shared: Arc<Shared>, socket: TcpStream) {
    let _ = socket.set_nodelay(true);
    if !has_begun(&shared, &socket).await {
        return;
    }
    let Some(tls) = &shared.config.tls else {
        return serve_http(shared, socket, Security::Enough).await;
    };
    // In boxes: a plain connection would carry the room for the rest of this.
    let incoming = tokio::select! {
        incoming = Box::pin(tls.accept(socket)) => incoming,
        () = shared.last_call.cancelled() => return,
    };
    match incoming {
        Ok(Incoming::Tls(stream)) => Box::pin(serve_http(shared, stream, Security::Enough)).await,
        Ok(Incoming::Plain(socket)) => Box::pin(serve_http(shared, socket, Security::Missing)).await,
        Err(error) => tracing::debug!(%error, "a TLS handshake failed"),
    }
}

/// Waits for the first bytes; false when none come. hyper ends a connection that is told to stop before it has read
/// anything, even if a request waits in the socket.
async fn has_begun(shared: &Shared, socket: &TcpStream) -> bool {
    let last_bytes = async {
        shared.last_call.cancelled().await;
        sleep(FIRST_BYTES).await;
    };
    tokio::select! {
        biased;
        begun = socket.readable() => begun.is_ok(),
        () = last_bytes => false,
        () = sleep(HEAD_TIME) => false,
    }
}

/// One HTTP connection.
async fn serve_http<S>(shared: Arc<Shared>, stream: S, security: Security)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let last_call = shared.last_call.clone();
    let service = service_fn(move |request| {
        let shared = shared.clone();
        async move {
            Ok::<_, Infallible>(match security {
                Security::Enough => router::route(shared, request).await,
                Security::Missing => router::refuse_plain(&shared, request),
            })
        }
    });
    let mut http = http1::Builder::new();
    http.max_buf_size(HEAD_BYTES).timer(TokioTimer::new()).header_read_timeout(HEAD_TIME);
    let mut connection = InPlace::new(http.serve_connection(TokioIo::new(stream), service).with_upgrades());
    let served = tokio::select! {
        // A request that has come already is read before the last call is heard.
        biased;
        served = &mut connection => served,
        () = last_call.cancelled() => {
            connection.inner().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "an HTTP connection broke");
    }
}

/// Whether a connection is as safe as the listener asks for.
#[derive(Clone, Copy)]
enum Security {
    /// TLS, or a listener that has none.
    Enough,
    /// Plain, on a listener that speaks TLS.
    Missing,
}

/// `ws`, `/ws` and `/ws/` name the same prefix.
fn normalized(path: &str) -> String {
    let trimmed = path.trim_matches('/');
    if trimmed.is_empty() { String::new() } else { format!("/{trimmed}") }
}
