//! The publisher against real listeners: what it sends, and what it makes of the answers.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use gema_client::{ClientError, Event, PublishError, Publisher};
use gema_protocol::app::{Credentials, Secret};
use gema_protocol::signature::{RequestParts, verify_request};
use tokio::net::TcpListener;

fn credentials() -> Credentials {
    Credentials { id: "42".into(), key: "the-key".into(), secret: Secret::new("the-secret".into()) }
}

fn event(channel: &str) -> Event {
    Event { name: "greeting".into(), channel: channel.into(), data: "{\"a\":\"é\"}".into(), socket_id: None }
}

fn publisher(base: &str) -> Publisher {
    rustls::crypto::ring::default_provider().install_default().ok();
    Publisher::new(base, credentials()).unwrap().within(Duration::from_secs(20))
}

#[derive(Clone)]
struct Seen {
    client: SocketAddr,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

/// A server that gives one answer to everything and keeps what it got.
async fn server(
    answer: impl Fn() -> Response + Clone + Send + Sync + 'static,
) -> (String, Arc<Mutex<Vec<Seen>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&seen);
    let note = async move |ConnectInfo(client): ConnectInfo<SocketAddr>, uri, headers, body| {
        notes.lock().unwrap().push(Seen { client, uri, headers, body });
        answer()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let service = Router::new().fallback(note).into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
    (base, seen)
}

async fn failure(status: u16) -> PublishError {
    let status = StatusCode::from_u16(status).unwrap();
    let (base, seen) =
        server(move || (status, [("location", "/elsewhere")], "why ".repeat(1000)).into_response()).await;
    let error = publisher(&base).batch(&[event("a")]).await.unwrap_err();
    assert_eq!(seen.lock().unwrap().len(), 1, "nothing is repeated or followed");
    error
}

#[tokio::test]
async fn a_batch_is_signed_without_the_prefix() {
    let (base, seen) = server(|| "{}".into_response()).await;
    for base in [base.clone(), format!("{base}/"), format!("{base}/ws"), format!("{base}/a/b/")] {
        publisher(&base).batch(&[event("a"), event("b")]).await.unwrap();
    }
    let seen = seen.lock().unwrap().clone();
    let paths: Vec<_> = seen.iter().map(|seen| seen.uri.path()).collect();
    let signed = "/apps/42/batch_events";
    assert_eq!(paths, [signed.into(), signed.into(), format!("/ws{signed}"), format!("/a/b{signed}")]);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    for seen in &seen {
        let query = seen.uri.query().unwrap();
        let parts = RequestParts { method: "POST", path: signed, query, body: &seen.body };
        verify_request(&credentials(), &parts, now, 600).unwrap();
        assert_eq!(seen.headers["x-gema-ack"], "cluster");
        assert_eq!(seen.headers["content-type"], "application/json");
    }
    let body = r#"{"batch":[{"name":"greeting","channel":"a","data":"{\"a\":\"é\"}"},{"name":"greeting","channel":"b","data":"{\"a\":\"é\"}"}]}"#;
    assert_eq!(seen[0].body, body);
}

#[tokio::test]
async fn an_excluded_socket_is_named() {
    let (base, seen) = server(|| "{}".into_response()).await;
    let event = Event { socket_id: Some("1.2".into()), ..event("a") };
    publisher(&base).batch(&[event]).await.unwrap();
    let body = seen.lock().unwrap()[0].body.clone();
    assert!(std::str::from_utf8(&body).unwrap().contains(r#""socket_id":"1.2""#));
}

#[tokio::test]
async fn connections_are_used_again() {
    let (base, seen) = server(|| "{}".into_response()).await;
    let publisher = publisher(&base);
    for _ in 0..5 {
        publisher.batch(&[event("a")]).await.unwrap();
    }
    let clients: Vec<_> = seen.lock().unwrap().iter().map(|seen| seen.client).collect();
    assert!(clients.iter().all(|client| *client == clients[0]), "{clients:?}");
}

#[tokio::test]
async fn what_may_pass_is_transient() {
    for status in [429, 500, 502, 503, 504, 599] {
        assert!(failure(status).await.is_transient(), "{status}");
    }
    for status in [301, 307, 400, 401, 403, 404, 413, 422] {
        assert!(!failure(status).await.is_transient(), "{status}");
    }
}

#[tokio::test]
async fn the_servers_words_are_kept_but_cut() {
    let PublishError::Refused { status, text } = failure(413).await else { panic!("another error") };
    assert_eq!((status, text.chars().count()), (413, 300));
    assert!(text.starts_with("why why"));
}

#[tokio::test]
async fn nobody_there_is_transient_and_told_without_the_signature() {
    let refused = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let hung_up = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let reset = format!("http://{}", hung_up.local_addr().unwrap());
    tokio::spawn(async move { while hung_up.accept().await.is_ok() {} });
    for base in [refused, reset] {
        let error = publisher(&base).batch(&[event("a")]).await.unwrap_err();
        assert!(error.is_transient(), "{error}");
        let text = error.to_string();
        assert!(text.contains(&base) && !text.contains("auth_signature"), "{text}");
    }
}

#[tokio::test]
async fn a_server_that_keeps_silent_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", silent.local_addr().unwrap());
    rustls::crypto::ring::default_provider().install_default().ok();
    let publisher = Publisher::new(&base, credentials()).unwrap().within(Duration::from_millis(50));
    let error = publisher.batch(&[event("a")]).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
}

#[test]
fn unusable_addresses_are_named() {
    rustls::crypto::ring::default_provider().install_default().ok();
    for base in ["", "localhost:8080", "ws://x", "http://", "http://x?y", "http://x#y", "http://u:p@x", "/x"]
    {
        let error = Publisher::new(base, credentials()).unwrap_err();
        assert!(matches!(&error, ClientError::BaseUrl { url } if url == base), "{base}: {error}");
    }
}

#[test]
fn debug_shows_no_secret() {
    let shown = format!("{:?}", publisher("http://127.0.0.1:9"));
    assert!(!shown.contains("the-secret"), "{shown}");
}
