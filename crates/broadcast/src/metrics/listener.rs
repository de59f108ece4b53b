//! The port where operators look. Plain HTTP, for a monitor on this machine or in a network that is trusted.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{Site, gather, page};
use crate::api::answer::{self, Body};
use crate::api::health;

/// Connections at once; a monitor needs one.
const MOST: usize = 32;
/// How long a connection may stay without a request.
const HEAD_TIME: Duration = Duration::from_secs(75);
/// Pause after a failed accept, which is a lack of descriptors nearly always.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until it is dropped, also while the server drains.
pub(crate) async fn serve(site: Arc<Site>, listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < MOST => match accepted {
                Ok((socket, _)) => { connections.spawn(serve_http(site.clone(), socket)); }
                Err(_) => sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve_http(site: Arc<Site>, socket: TcpStream) {
    let service = service_fn(move |request| {
        let site = site.clone();
        async move { Ok::<_, Infallible>(route(&site, &request).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME);
    if let Err(error) = http.serve_connection(TokioIo::new(socket), service).await {
        tracing::debug!(%error, "a connection for metrics broke");
    }
}

async fn route(site: &Arc<Site>, request: &Request<Incoming>) -> Response<Body> {
    if request.method() != Method::GET {
        return answer::method_not_allowed("GET").into_response();
    }
    match request.uri().path() {
        "/metrics" => metrics(site).await,
        "/live" => health::live().into_response(),
        "/ready" => health::ready(&site.shared).into_response(),
        _ => answer::not_found().into_response(),
    }
}

async fn metrics(site: &Arc<Site>) -> Response<Body> {
    let mut response = Response::new(gather::text(site).await.into_bytes().into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(page::CONTENT_TYPE));
    response
}
