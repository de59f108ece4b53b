//! A back end that takes webhooks: it checks what every delivery must have, and hands the test one after the other.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use gema_protocol::app::Credentials;
use gema_protocol::signature::sign_webhook;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use crate::certificate::Certificate;
use crate::{PATIENCE, Wire};

/// One request as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Path and query.
    pub target: String,
    /// Header fields, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// The status it was answered with; `None`: never.
    pub answer: Option<u16>,
}

impl Delivery {
    /// The value of a header field, or "" if it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }

    /// Its events, after a check of everything that the receiver of a webhook may rely on.
    pub fn events(&self, app: &Credentials) -> Vec<Value> {
        assert_eq!(self.header("content-type"), "application/json");
        assert_eq!(self.header("x-pusher-key"), app.key);
        assert_eq!(self.header("x-pusher-signature"), sign_webhook(&app.secret, &self.body));
        assert_eq!(self.header("x-gema-delivery").len(), 36, "a UUID: {:?}", self.headers);
        let body: Value = serde_json::from_slice(&self.body).expect("a body of JSON");
        assert!(body["time_ms"].as_u64().is_some_and(|time| time.abs_diff(crate::now() * 1000) < 300_000));
        assert_eq!(body.as_object().map(serde_json::Map::len), Some(2), "{body}");
        body["events"].as_array().expect("a list of events").clone()
    }
}

/// Decides how the n-th request (from 0), with this `X-Gema-Delivery`, is answered; `None`: never.
type Answers = dyn Fn(usize, &str) -> Option<u16> + Send + Sync;

/// A running back end. Dropping it ends it.
#[derive(Debug)]
pub struct Receiver {
    at: SocketAddr,
    secure: bool,
    deliveries: mpsc::Receiver<Delivery>,
    events: Vec<Value>,
    _server: JoinSet<()>,
}

impl Receiver {
    /// Takes everything.
    pub async fn start() -> Self {
        Self::answering(|_, _| Some(200)).await
    }

    /// Answers as told. Redirects lead to `/elsewhere` on the same server.
    pub async fn answering(answers: impl Fn(usize, &str) -> Option<u16> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        Self::on(listener, Arc::new(answers))
    }

    /// Takes everything, over TLS only; its certificate is for 127.0.0.1.
    pub async fn with_certificate(certificate: &Certificate) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        Self::over(listener, Arc::new(|_, _| Some(200)), Some(certificate.acceptor()))
    }

    /// A port that refuses connections until [`Receiver::listen`] is called.
    pub fn refusing() -> (String, TcpSocket) {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a free port");
        (url_of(socket.local_addr().expect("its address")), socket)
    }

    /// Begins to take everything on a port of [`Receiver::refusing`].
    pub fn listen(socket: TcpSocket) -> Self {
        Self::on(socket.listen(64).expect("a listener"), Arc::new(|_, _| Some(200)))
    }

    fn on(listener: TcpListener, answers: Arc<Answers>) -> Self {
        Self::over(listener, answers, None)
    }

    fn over(listener: TcpListener, answers: Arc<Answers>, tls: Option<TlsAcceptor>) -> Self {
        let secure = tls.is_some();
        let at = listener.local_addr().expect("its address");
        let (sender, deliveries) = mpsc::channel(10_000);
        let mut server = JoinSet::new();
        server.spawn(accept(listener, sender, answers, tls));
        Self { at, secure, deliveries, events: Vec::new(), _server: server }
    }

    /// Its address.
    pub fn url(&self) -> String {
        let url = url_of(self.at);
        if self.secure { url.replace("http:", "https:") } else { url }
    }

    /// Where it listens.
    pub fn at(&self) -> SocketAddr {
        self.at
    }

    /// The next request, whether it is taken or not.
    pub async fn delivery(&mut self) -> Delivery {
        timeout(PATIENCE, self.next()).await.unwrap_or_else(|_| panic!("no webhook came for {PATIENCE:?}"))
    }

    /// As [`Receiver::delivery`], however long that takes.
    pub async fn next(&mut self) -> Delivery {
        self.deliveries.recv().await.expect("the server runs")
    }

    /// The next event that was taken.
    pub async fn event(&mut self, app: &Credentials) -> Value {
        while self.events.is_empty() {
            let delivery = self.delivery().await;
            let events = delivery.events(app);
            if delivery.answer == Some(200) {
                self.events = events;
                self.events.reverse();
            }
        }
        self.events.pop().expect("at least one")
    }

    /// All events that are taken from now on, up to the first that `is_last`.
    pub async fn events_until(&mut self, app: &Credentials, is_last: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut events = vec![self.event(app).await];
        while !events.last().is_some_and(&is_last) {
            events.push(self.event(app).await);
        }
        events
    }

    /// What came and was not looked at.
    pub fn rest(&mut self) -> Vec<Delivery> {
        std::iter::from_fn(|| self.deliveries.try_recv().ok()).collect()
    }
}

fn url_of(at: SocketAddr) -> String {
    format!("http://{at}/hook")
}

async fn accept(
    listener: TcpListener,
    sender: mpsc::Sender<Delivery>,
    answers: Arc<Answers>,
    tls: Option<TlsAcceptor>,
) {
    let (count, mut connections) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
    while let Ok((socket, _)) = listener.accept().await {
        let (sender, answers, count) = (sender.clone(), answers.clone(), count.clone());
        let Some(tls) = tls.clone() else {
            connections.spawn(serve(socket, sender, answers, count));
            continue;
        };
        connections.spawn(async move {
            // Who does not trust us goes away.
            if let Ok(socket) = tls.accept(socket).await {
                serve(socket, sender, answers, count).await;
            }
        });
    }
}

async fn serve(
    socket: impl Wire + 'static,
    sender: mpsc::Sender<Delivery>,
    answers: Arc<Answers>,
    count: Arc<AtomicUsize>,
) {
    let service = service_fn(move |request| {
        let (sender, answers, number) =
            (sender.clone(), answers.clone(), count.fetch_add(1, Ordering::Relaxed));
        async move { Ok::<_, Infallible>(take(request, &sender, |id| answers(number, id)).await) }
    });
    // A client that goes away is nobody's fault.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
}

async fn take(
    request: Request<Incoming>,
    sender: &mpsc::Sender<Delivery>,
    answer: impl Fn(&str) -> Option<u16>,
) -> Response<Full<Bytes>> {
    let target = request.uri().to_string();
    let text = |value: &hyper::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers = request.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    let body = request.into_body().collect().await.expect("a whole body").to_bytes();
    let mut delivery = Delivery { target, headers, body, answer: None };
    delivery.answer = answer(delivery.header("x-gema-delivery"));
    let answer = delivery.answer;
    // Closed: the test has ended.
    let overflow = matches!(sender.try_send(delivery), Err(TrySendError::Full(_)));
    assert!(!overflow, "more came than any test wants");
    let Some(status) = answer else { std::future::pending().await };
    let response = Response::builder().status(status).header("location", "/elsewhere");
    response.body(Full::default()).expect("a valid answer")
}
