//! Accepts connections and speaks HTTP/1.1 on them, with TLS or without: not too many at once, and none that only
//! pretends to ask.
//!
//! What is asked is `router.rs`; how long a body may take is `input.rs`.

use std::convert::Infallible;
use std::future::Future;
use std::io::{self, Error, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::http::StatusCode;
use axum::http::header::CONNECTION;
use axum::response::IntoResponse;
use gema_tls::{Acceptor, Incoming as Greeted};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};

/// Pause after the process ran out of descriptors, so that some can come back.
const BREATH: Duration = Duration::from_millis(100);

/// Most bytes of a request up to the end of its headers; browsers and balancers send a tenth of it.
const HEAD_LIMIT: usize = 64 * 1024;

/// How much the listener bears with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Connections at once; further ones wait in the kernel's queue.
    pub connections: usize,
    /// How long a request may take to arrive, up to the end of its headers. Ends idle connections, too.
    pub headers: Duration,
    /// How long a client may not take what it was sent, before its connection is cut.
    pub stall: Duration,
    /// How long the end waits for requests in flight.
    pub drain: Duration,
}

/// What every connection is served with.
struct Site {
    tls: Option<Acceptor>,
    /// Answers whoever came over TLS.
    sealed: Router,
    /// Answers whoever did not.
    plain: Router,
    bounds: Bounds,
    graceful: GracefulShutdown,
    /// Dropped when the end begins: handshakes under way lead nowhere.
    open: watch::Sender<()>,
}

/// Serves `router` until `shutdown` completes, then finishes what is in flight within the drain time. With `tls` that
/// is all that the listener speaks.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Option<Acceptor>,
    router: Router,
    bounds: Bounds,
    shutdown: impl Future<Output = ()>,
) {
    let plain = if tls.is_some() { Router::new().fallback(tls_required) } else { router.clone() };
    let (graceful, open) = (GracefulShutdown::new(), watch::Sender::default());
    let site = Site { tls, sealed: router, plain, bounds, graceful, open };
    tokio::select! {
        () = accept(&listener, &site) => {}
        () = shutdown => {}
    }
    drop((listener, site.open));
    if timeout(bounds.drain, site.graceful.shutdown()).await.is_err() {
        tracing::warn!("Requests that did not end in time were cut");
    }
}

/// Never ends.
async fn accept(listener: &TcpListener, site: &Site) {
    let permits = Arc::new(Semaphore::new(site.bounds.connections));
    // The semaphore is never closed.
    while let Ok(permit) = Arc::clone(&permits).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, client)) => spawn((stream, client), site, permit),
            Err(error) if is_about_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "No connection can be accepted");
                sleep(BREATH).await;
            }
        }
    }
}

fn spawn((stream, client): (TcpStream, SocketAddr), site: &Site, permit: OwnedSemaphorePermit) {
    // Answers are small and somebody waits for them.
    stream.set_nodelay(true).ok();
    SockRef::from(&stream).set_tcp_user_timeout(Some(site.bounds.stall)).ok();
    let (tls, headers) = (site.tls.clone(), site.bounds.headers);
    let (sealed, plain) = (site.sealed.clone(), site.plain.clone());
    let (mut open, watcher) = (site.open.subscribe(), site.graceful.watcher());
    tokio::spawn(async move {
        let incoming = tokio::select! {
            incoming = greet(tls, stream) => incoming,
            _ = open.changed() => return,
        };
        let served = match incoming {
            Ok(Greeted::Tls(stream)) => speak(stream, client, sealed, headers, watcher).await,
            Ok(Greeted::Plain(stream)) => speak(stream, client, plain, headers, watcher).await,
            Err(error) => return tracing::debug!(%error, %client, "TLS handshake failed"),
        };
        if let Err(error) = served {
            tracing::debug!(%error, %client, "Connection ended");
        }
        drop(permit);
    });
}

async fn greet(tls: Option<Acceptor>, stream: TcpStream) -> io::Result<Greeted> {
    match tls {
        Some(tls) => tls.accept(stream).await,
        None => Ok(Greeted::Plain(stream)),
    }
}

/// Speaks HTTP until the client or the end of the listener ends it.
async fn speak<S>(
    stream: S,
    client: SocketAddr,
    router: Router,
    headers: Duration,
    watcher: Watcher,
) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(client));
        let answer = router.call(request);
        async { answer.await.map_err(|never: Infallible| never) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(headers)
        .max_buf_size(HEAD_LIMIT)
        .serve_connection(TokioIo::new(stream), service);
    watcher.watch(connection).await
}

async fn tls_required() -> impl IntoResponse {
    let text = "This port speaks TLS: use https:// instead of http://.";
    (StatusCode::BAD_REQUEST, [(CONNECTION, "close")], text)
}

fn is_about_one_connection(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
    )
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn start(bounds: Bounds) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new()
            .route("/", get(async |client: ConnectInfo<SocketAddr>| client.to_string()))
            .route("/large", get(async || "x".repeat(LARGE)));
        tokio::spawn(serve(listener, None, router, bounds, std::future::pending()));
        address
    }

    /// More than the kernel takes off the server's hands.
    const LARGE: usize = 64 << 20;
    const MINUTE: Duration = Duration::from_secs(60);
    const LOOSE: Bounds = Bounds { connections: 100, headers: MINUTE, stall: MINUTE, drain: MINUTE };

    async fn say(address: SocketAddr, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        stream
    }

    async fn rest(mut stream: TcpStream) -> String {
        let mut text = String::new();
        timeout(Duration::from_secs(30), stream.read_to_string(&mut text)).await.unwrap().unwrap();
        text
    }

    const ASK: &str = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

    #[tokio::test]
    async fn handlers_know_the_client() {
        let address = start(LOOSE).await;
        let stream = say(address, ASK).await;
        let client = stream.local_addr().unwrap().to_string();
        assert!(rest(stream).await.ends_with(&client));
    }

    #[tokio::test]
    async fn who_never_finishes_asking_is_sent_away() {
        let address = start(Bounds { headers: Duration::from_millis(50), ..LOOSE }).await;
        for half in ["", "GET / HTTP/1.1\r\nHost:", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"] {
            // The last one asks once and then keeps its connection idle.
            rest(say(address, half).await).await;
        }
    }

    #[tokio::test]
    async fn a_request_whose_headers_do_not_end_is_refused() {
        let start_of_it = "GET / HTTP/1.1\r\nHost: x\r\nX: ";
        let head = format!("{start_of_it}{}", "x".repeat(HEAD_LIMIT - start_of_it.len()));
        let answer = rest(say(start(LOOSE).await, &head).await).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }

    #[tokio::test]
    async fn who_does_not_take_the_answer_loses_the_place() {
        let address = start(Bounds { connections: 1, stall: Duration::from_millis(200), ..LOOSE }).await;
        let _stalled = say(address, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(rest(say(address, ASK).await).await.starts_with("HTTP/1.1 200"));
    }

    #[tokio::test]
    async fn connections_beyond_the_bound_wait_for_their_turn() {
        let address = start(Bounds { connections: 1, ..LOOSE }).await;
        let first = say(address, "GET / HT").await;
        let second = say(address, ASK).await;
        assert!(timeout(Duration::from_millis(100), second.readable()).await.is_err());
        drop(first);
        assert!(rest(second).await.starts_with("HTTP/1.1 200"));
    }
}
