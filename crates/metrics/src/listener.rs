//! The port where operators look. Plain HTTP, for a monitor on this machine or in a network that is trusted.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::board::{Board, Health};
use crate::page;

/// Connections at once; a monitor needs one.
const MOST: usize = 32;
/// How long a connection may stay without a request.
const HEAD_TIME: Duration = Duration::from_secs(75);
/// Pause after a failed accept, which is a lack of descriptors nearly always.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// Serves `/metrics`, `/live` and `/ready` until it is dropped, also while the process drains.
pub async fn serve(board: Board, listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < MOST => match accepted {
                Ok((socket, _)) => { connections.spawn(serve_http(board.clone(), socket)); }
                Err(_) => sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve_http(board: Board, socket: TcpStream) {
    let service = service_fn(move |request| {
        let board = board.clone();
        async move { Ok::<_, Infallible>(route(&board, &request).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME);
    if let Err(error) = http.serve_connection(TokioIo::new(socket), service).await {
        tracing::debug!(%error, "a connection for metrics broke");
    }
}

async fn route(board: &Board, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    if request.method() != Method::GET {
        let mut refusal = answer(405, TEXT, "Method not allowed.".to_owned());
        refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
        return refusal;
    }
    match request.uri().path() {
        "/metrics" => answer(200, page::CONTENT_TYPE, board.page().await),
        // The process answers; that says nothing about what it needs from elsewhere.
        "/live" => answer(200, JSON, Health::Well.answer().1),
        "/ready" => {
            let (status, body) = board.health().await.answer();
            answer(status, JSON, body)
        }
        _ => answer(404, TEXT, "Not found.".to_owned()),
    }
}

fn answer(status: u16, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}
