//! Accepts connections and speaks HTTP/1.1 on them: not too many at once, and none that only pretends to ask.
//!
//! What is asked is `router.rs`; how long a body may take is `input.rs`.

use std::convert::Infallible;
use std::future::Future;
use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

/// Pause after the process ran out of descriptors, so that some can come back.
const BREATH: Duration = Duration::from_millis(100);

/// How much the listener bears with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Connections at once; further ones wait in the kernel's queue.
    pub connections: usize,
    /// How long a request may take to arrive, up to the end of its headers. Ends idle connections, too.
    pub headers: Duration,
    /// How long the end waits for requests in flight.
    pub drain: Duration,
}

/// Serves `router` until `shutdown` completes, then finishes what is in flight within the drain time.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    bounds: Bounds,
    shutdown: impl Future<Output = ()>,
) {
    let graceful = GracefulShutdown::new();
    tokio::select! {
        () = accept(&listener, &router, bounds, &graceful) => {}
        () = shutdown => {}
    }
    drop(listener);
    if timeout(bounds.drain, graceful.shutdown()).await.is_err() {
        tracing::warn!("Requests that did not end in time were cut");
    }
}

/// Never ends.
async fn accept(listener: &TcpListener, router: &Router, bounds: Bounds, graceful: &GracefulShutdown) {
    let permits = Arc::new(Semaphore::new(bounds.connections));
    // The semaphore is never closed.
    while let Ok(permit) = Arc::clone(&permits).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, client)) => spawn((stream, client), router.clone(), bounds, graceful, permit),
            Err(error) if is_about_one_connection(&error) => {}
            Err(error) => {
                tracing::error!(%error, "No connection can be accepted");
                sleep(BREATH).await;
            }
        }
    }
}

fn spawn(
    (stream, client): (TcpStream, SocketAddr),
    router: Router,
    bounds: Bounds,
    graceful: &GracefulShutdown,
    permit: OwnedSemaphorePermit,
) {
    // Answers are small and somebody waits for them.
    stream.set_nodelay(true).ok();
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(client));
        let answer = router.call(request);
        async { answer.await.map_err(|never: Infallible| never) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.headers)
        .serve_connection(TokioIo::new(stream), service);
    let connection = graceful.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, %client, "Connection ended");
        }
        drop(permit);
    });
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
        let router =
            Router::new().route("/", get(async |client: ConnectInfo<SocketAddr>| client.to_string()));
        tokio::spawn(serve(listener, router, bounds, std::future::pending()));
        address
    }

    const LOOSE: Bounds =
        Bounds { connections: 100, headers: Duration::from_secs(60), drain: Duration::from_secs(60) };

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
    async fn connections_beyond_the_bound_wait_for_their_turn() {
        let address = start(Bounds { connections: 1, ..LOOSE }).await;
        let first = say(address, "GET / HT").await;
        let second = say(address, ASK).await;
        assert!(timeout(Duration::from_millis(100), second.readable()).await.is_err());
        drop(first);
        assert!(rest(second).await.starts_with("HTTP/1.1 200"));
    }
}
