//! Starts a node on a free port with its own database and its own broadcast server, and speaks HTTP to it.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use gema_attendance::{Config, Database, MySqlServer, StartError, WorkerConfig};
use gema_client::Publisher;
use gema_protocol::app::{Credentials, Secret};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::mysql::MySqlConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Row};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Far beyond what anything here takes; only a test that fails waits this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn credentials() -> Credentials {
    Credentials { id: "123456".into(), key: "app-key".into(), secret: Secret::new("app-secret".into()) }
}

/// What the broadcast server shall do with a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer {
    Status(u16),
    /// Note the request and never answer.
    Hang,
}

/// One request that the broadcast server got.
#[derive(Debug, Clone)]
pub(crate) struct Published {
    pub path: String,
    pub query: String,
    pub ack: Option<String>,
    pub raw: Bytes,
}

impl Published {
    pub(crate) fn batch(&self) -> Vec<Value> {
        let body: Value = serde_json::from_slice(&self.raw).unwrap();
        body["batch"].as_array().unwrap().clone()
    }

    /// The payload of the copy for `channel`.
    pub(crate) fn data(&self, channel: &str) -> Value {
        let batch = self.batch();
        let copy = batch.iter().find(|event| event["channel"] == channel).unwrap();
        serde_json::from_str(copy["data"].as_str().unwrap()).unwrap()
    }

    pub(crate) fn event(&self) -> String {
        self.batch()[0]["name"].as_str().unwrap().to_owned()
    }
}

/// A broadcast server that takes notes. Answers 200 unless told otherwise.
#[derive(Clone, Default)]
pub(crate) struct Broadcast(Arc<Notes>);

#[derive(Default)]
struct Notes {
    published: Mutex<Vec<Published>>,
    /// The next answers, then 200 for ever.
    answers: Mutex<VecDeque<Answer>>,
    news: Notify,
}

impl Broadcast {
    /// Starts listening; ends with the runtime of the test.
    async fn listen(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(note).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        format!("http://{address}")
    }

    pub(crate) fn answer(&self, answers: impl IntoIterator<Item = Answer>) {
        self.0.answers.lock().unwrap().extend(answers);
    }

    pub(crate) fn published(&self) -> Vec<Published> {
        self.0.published.lock().unwrap().clone()
    }

    /// Waits until at least `count` requests have come.
    pub(crate) async fn wait(&self, count: usize) -> Vec<Published> {
        let arrived = async {
            loop {
                let news = self.0.news.notified();
                let published = self.published();
                if published.len() >= count {
                    return published;
                }
                news.await;
            }
        };
        timeout(PATIENCE, arrived)
            .await
            .unwrap_or_else(|_| panic!("{} of {count} publishes came", self.published().len()))
    }
}

async fn note(State(broadcast): State<Broadcast>, uri: Uri, headers: HeaderMap, raw: Bytes) -> Response {
    let notes = &broadcast.0;
    notes.published.lock().unwrap().push(Published {
        path: uri.path().to_owned(),
        query: uri.query().unwrap_or_default().to_owned(),
        ack: headers.get("x-gema-ack").map(|value| value.to_str().unwrap().to_owned()),
        raw,
    });
    let answer = notes.answers.lock().unwrap().pop_front();
    notes.news.notify_one();
    match answer {
        None => "{}".into_response(),
        Some(Answer::Status(status)) => (StatusCode::from_u16(status).unwrap(), "told to").into_response(),
        Some(Answer::Hang) => std::future::pending().await,
    }
}

/// A database and a broadcast server, on which nodes come and go.
pub(crate) struct Stage {
    dir: Arc<TempDir>,
    pub database: Database,
    pub broadcast: Broadcast,
    broadcast_url: String,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        let stage = Self::empty().await;
        gema_attendance::migrate(&stage.database, true).await.unwrap();
        stage
    }

    /// A stage on which nobody has migrated yet.
    pub(crate) async fn empty() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().to_owned();
        let database = tokio::task::spawn_blocking(move || crate::database(&path)).await.unwrap();
        Self::with(dir, database).await
    }

    pub(crate) async fn with(dir: TempDir, database: Database) -> Self {
        // The second time somebody else has done it.
        rustls::crypto::ring::default_provider().install_default().ok();
        let broadcast = Broadcast::default();
        let broadcast_url = broadcast.listen().await;
        Self { dir: Arc::new(dir), database, broadcast, broadcast_url }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A node whose worker is quick to try again.
    pub(crate) fn config(&self) -> Config {
        let publisher = Publisher::new(&self.broadcast_url, credentials()).unwrap();
        let mut config = Config::new(self.database.clone(), credentials(), publisher);
        config.node_id = 7;
        config.worker = WorkerConfig {
            backoff: Duration::from_millis(10),
            outage_backoff: Duration::from_millis(10),
            outage_backoff_max: Duration::from_millis(100),
            ..WorkerConfig::default()
        };
        config
    }

    pub(crate) async fn node(&self, config: Config) -> Node {
        Node { _dir: Some(Arc::clone(&self.dir)), ..Node::start(config).await }
    }

    /// Changes something behind the node's back.
    pub(crate) async fn sql(&self, statement: &str) {
        let text = AssertSqlSafe(statement.to_owned());
        match &self.database {
            Database::Sqlite(path) => sqlx::query(text).execute(&mut sqlite(path).await).await.map(drop),
            Database::MySql(server) => sqlx::query(text).execute(&mut mysql(server).await).await.map(drop),
        }
        .unwrap();
    }

    /// What a query of one number says.
    pub(crate) async fn count(&self, query: &str) -> i64 {
        let text = AssertSqlSafe(query.to_owned());
        match &self.database {
            Database::Sqlite(path) => {
                sqlx::query(text).fetch_one(&mut sqlite(path).await).await.unwrap().get(0)
            }
            Database::MySql(server) => {
                sqlx::query(text).fetch_one(&mut mysql(server).await).await.unwrap().get(0)
            }
        }
    }

    /// Waits until a query that counts finds something.
    pub(crate) async fn wait_for(&self, query: &str) {
        let there = async {
            while self.count(query).await == 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        assert!(timeout(PATIENCE, there).await.is_ok(), "{query}");
    }

    /// Waits until the outbox is empty.
    pub(crate) async fn drained(&self) {
        let empty = async {
            while self.count("SELECT COUNT(*) FROM outbox").await > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, empty).await.expect("the outbox is not worked off");
    }
}

pub(crate) async fn sqlite(path: &Path) -> sqlx::SqliteConnection {
    SqliteConnectOptions::new().filename(path).connect().await.unwrap()
}

async fn mysql(server: &MySqlServer) -> sqlx::MySqlConnection {
    let options = MySqlConnectOptions::new().host(&server.host).port(server.port).username(&server.username);
    options.database(&server.database).connect().await.unwrap()
}

/// A running node.
pub(crate) struct Node {
    pub url: String,
    http: reqwest::Client,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Result<(), StartError>>,
    /// The database outlives the node, also where a test forgets the stage.
    _dir: Option<Arc<TempDir>>,
}

impl Node {
    pub(crate) async fn start(config: Config) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(async move {
            let node = gema_attendance::Node::open(config, listener.local_addr()?).await?;
            node.run(listener, async { drop(stopped.await) }).await
        });
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self { url, http, stop, running, _dir: None }
    }

    /// Ends the node as SIGTERM does, and hands on what `run` says.
    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        // A kept-alive connection must not hold up the end.
        drop(self.http);
        timeout(PATIENCE, self.running).await.expect("the node does not end").unwrap().unwrap();
    }

    pub(crate) fn get(&self, path: &str) -> Call {
        self.call(Method::GET, path)
    }

    pub(crate) fn post(&self, path: &str) -> Call {
        self.call(Method::POST, path)
    }

    pub(crate) fn call(&self, method: Method, path: &str) -> Call {
        Call(self.http.request(method, format!("{}{path}", self.url)))
    }

    pub(crate) async fn token(&self, email: &str, password: &str) -> String {
        let credentials = json!({ "email": email, "password": password });
        let reply = self.post("/api/login").json(&credentials).send().await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.json()["token"].as_str().unwrap().to_owned()
    }

    /// The cookie of a browser that has signed in.
    pub(crate) async fn session(&self, email: &str, password: &str) -> String {
        let visit = self.get("/sanctum/csrf-cookie").send().await;
        let cookie = format!("gema_session={}", visit.cookie("gema_session"));
        let call = self.post("/login").header("cookie", &cookie);
        let call = call.header("x-xsrf-token", &visit.cookie("XSRF-TOKEN"));
        let reply = call.json(&json!({ "email": email, "password": password })).send().await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        format!("gema_session={}", reply.cookie("gema_session"))
    }

    pub(crate) async fn admin(&self) -> String {
        self.token("admin@example.com", "password").await
    }

    /// A new employee: id and token.
    pub(crate) async fn employee(&self, name: &str) -> (i64, String) {
        let email = format!("{}@example.com", name.to_lowercase());
        let new = json!({ "name": name, "email": email, "password": "password-1", "role": "employee" });
        let reply = self.post("/api/users").bearer(&self.admin().await).json(&new).send().await;
        assert_eq!(reply.status, 201, "{}", reply.text);
        (reply.json()["id"].as_i64().unwrap(), self.token(&email, "password-1").await)
    }

    pub(crate) async fn check_in(&self, token: &str) -> Value {
        let reply = self.post("/api/attendances/check-in").bearer(token).send().await;
        assert_eq!(reply.status, 201, "{}", reply.text);
        reply.json()
    }

    pub(crate) async fn check_out(&self, token: &str) -> Value {
        let reply = self.post("/api/attendances/check-out").bearer(token).send().await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        reply.json()
    }
}

/// A stage with one node, for tests that need no more.
pub(crate) struct Kit {
    pub stage: Stage,
    pub node: Node,
}

impl Kit {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let stage = Stage::new().await;
        let mut config = stage.config();
        change(&mut config);
        let node = stage.node(config).await;
        Self { stage, node }
    }
}

/// A request in the making.
pub(crate) struct Call(reqwest::RequestBuilder);

impl Call {
    pub(crate) fn bearer(self, token: &str) -> Self {
        Self(self.0.bearer_auth(token))
    }

    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        Self(self.0.header(name, value))
    }

    pub(crate) fn json(self, value: &Value) -> Self {
        self.body("application/json", value.to_string())
    }

    pub(crate) fn form(self, text: &str) -> Self {
        self.body("application/x-www-form-urlencoded", text.to_owned())
    }

    pub(crate) fn body(self, kind: &str, body: String) -> Self {
        Self(self.0.header("content-type", kind).body(body))
    }

    /// Waits for the headers only.
    pub(crate) async fn start(self) -> reqwest::Response {
        self.0.send().await.unwrap()
    }

    pub(crate) async fn send(self) -> Reply {
        let response = self.start().await;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Reply { status, headers, text: response.text().await.unwrap() }
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub status: u16,
    headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The `Set-Cookie` line of a cookie, attributes included.
    pub(crate) fn cookie_line(&self, name: &str) -> String {
        let lines = self.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
        let line = lines.into_iter().find(|line| line.starts_with(&format!("{name}=")));
        line.unwrap_or_else(|| panic!("no cookie {name}")).to_owned()
    }

    /// The value of a cookie that was set.
    pub(crate) fn cookie(&self, name: &str) -> String {
        let line = self.cookie_line(name);
        line[name.len() + 1..].split(';').next().unwrap().to_owned()
    }
}
