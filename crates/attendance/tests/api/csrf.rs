//! Browser sessions: `GET /sanctum/csrf-cookie`, `POST /login`, `POST /logout`, and the CSRF rule for `/api/*`.

use std::time::Duration;

use serde_json::json;

use crate::kit::{Call, Kit, Node, Reply};

/// The cookies of a browser.
#[derive(Clone)]
pub(crate) struct Browser {
    pub(crate) session: String,
    csrf: String,
}

impl Browser {
    pub(crate) fn from(reply: &Reply) -> Self {
        Self { session: reply.cookie("gema_session"), csrf: reply.cookie("XSRF-TOKEN") }
    }

    pub(crate) async fn open(node: &Node) -> Self {
        Self::from(&node.get("/sanctum/csrf-cookie").send().await)
    }

    pub(crate) async fn sign_in(&self, node: &Node) -> Self {
        let reply = self.post(node, "/login").json(&admin()).send().await;
        assert_eq!(reply.status, 200, "{}", reply.text);
        Self::from(&reply)
    }

    pub(crate) fn cookies(&self, call: Call) -> Call {
        call.header("cookie", &format!("gema_session={}; XSRF-TOKEN={}", self.session, self.csrf))
    }

    pub(crate) fn get(&self, node: &Node, path: &str) -> Call {
        self.cookies(node.get(path))
    }

    pub(crate) fn post(&self, node: &Node, path: &str) -> Call {
        self.cookies(node.post(path)).header("x-xsrf-token", &self.csrf)
    }
}

fn admin() -> serde_json::Value {
    json!({ "email": "admin@example.com", "password": "password" })
}

#[tokio::test]
async fn the_cookies_are_what_a_browser_needs() {
    let node = Kit::start().await.node;
    let reply = node.get("/sanctum/csrf-cookie").send().await;
    assert_eq!(reply.status, 204);
    let (session, csrf) = (reply.cookie_line("gema_session"), reply.cookie_line("XSRF-TOKEN"));
    assert!(
        session.contains("; HttpOnly") && session.contains("; SameSite=Lax") && session.contains("; Path=/")
    );
    assert!(csrf.contains("; SameSite=Lax") && !csrf.contains("HttpOnly"), "scripts must read it");
    assert!(!session.contains("Secure"));

    let secure = Kit::start_with(|config| config.app_url = "https://office.example.com".into()).await.node;
    let reply = secure.get("/sanctum/csrf-cookie").send().await;
    assert!(reply.cookie_line("gema_session").contains("; Secure"));
    assert!(reply.cookie_line("XSRF-TOKEN").contains("; Secure"));
}

#[tokio::test]
async fn signing_in_and_out_changes_the_session() {
    let Kit { stage, node } = Kit::start().await;
    let visitor = Browser::open(&node).await;
    assert_eq!(stage.count("SELECT COUNT(*) FROM sessions").await, 0, "a visit writes nothing");
    let again = Browser::from(&visitor.get(&node, "/sanctum/csrf-cookie").send().await);
    assert_eq!(visitor.session, again.session);

    let user = visitor.sign_in(&node).await;
    assert_ne!(user.session, visitor.session);
    assert_ne!(user.csrf, visitor.csrf);
    assert_eq!(user.get(&node, "/api/user").send().await.status, 200);
    assert_eq!(
        visitor.get(&node, "/api/user").send().await.status,
        401,
        "the id from before is worth nothing"
    );

    let reply = user.post(&node, "/logout").send().await;
    assert_eq!(reply.status, 204);
    assert_eq!(user.get(&node, "/api/user").send().await.status, 401);
    // The anonymous session it gave serves the next sign-in at once.
    Browser::from(&reply).sign_in(&node).await;
}

#[tokio::test]
async fn web_routes_refuse_without_the_token() {
    let node = Kit::start().await.node;
    let visitor = Browser::open(&node).await;
    let mismatch = json!({ "message": "CSRF token mismatch." });
    let calls = [
        node.post("/login").json(&admin()),
        visitor.cookies(node.post("/login")).json(&admin()),
        visitor.cookies(node.post("/login")).header("x-xsrf-token", "").json(&admin()),
        visitor.cookies(node.post("/login")).header("x-xsrf-token", &"0".repeat(64)).json(&admin()),
        visitor.cookies(node.post("/login")).body("application/json", "{".into()),
        node.post("/login").header("x-xsrf-token", &visitor.csrf).json(&admin()),
        visitor.cookies(node.post("/logout")),
    ];
    for call in calls {
        let reply = call.send().await;
        assert_eq!((reply.status, reply.json()), (419, mismatch.clone()));
    }
}

#[tokio::test]
async fn the_token_may_come_in_each_of_laravels_ways() {
    let node = Kit::start().await.node;
    let visitor = Browser::open(&node).await;
    let login = || visitor.cookies(node.post("/login"));
    assert_eq!(login().header("x-csrf-token", &visitor.csrf).json(&admin()).send().await.status, 200);
    let form = format!("email=admin%40example.com&password=password&_token={}", visitor.csrf);
    assert_eq!(login().form(&form).send().await.status, 200);
}

#[tokio::test]
async fn api_calls_by_session_need_the_token_and_by_bearer_do_not() {
    let Kit { stage, node } = Kit::start().await;
    let user = Browser::open(&node).await.sign_in(&node).await;
    let path = "/api/attendances/check-in";
    assert_eq!(user.cookies(node.post(path)).send().await.status, 419);
    assert_eq!(stage.count("SELECT COUNT(*) FROM attendances").await, 0);
    assert_eq!(user.post(&node, path).send().await.status, 201);
    assert_eq!(user.get(&node, "/api/attendances").send().await.status, 200);

    let token = node.admin().await;
    assert_eq!(node.post("/api/attendances/check-out").bearer(&token).send().await.status, 200);
    // A wrong token does not fall back to the cookie, which would escape the check.
    assert_eq!(user.cookies(node.post(path)).bearer("wrong").send().await.status, 401);
}

#[tokio::test]
async fn broadcasting_takes_the_session_without_the_token() {
    let node = Kit::start().await.node;
    let user = Browser::open(&node).await.sign_in(&node).await;
    let question = json!({ "socket_id": "1.2", "channel_name": "private-user.1" });
    let reply = user.cookies(node.post("/broadcasting/auth")).json(&question).send().await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn a_session_ends_when_its_time_is_over() {
    let Kit { stage, node } = Kit::start().await;
    let user = Browser::open(&node).await.sign_in(&node).await;
    let set_end = async |end: &str| stage.sql(&format!("UPDATE sessions SET expires_at = '{end}'")).await;
    let minutes = |minutes: u64| {
        let then = jiff::Timestamp::now() + Duration::from_secs(minutes * 60);
        then.strftime("%Y-%m-%d %H:%M:%S%.6f").to_string()
    };
    // Use moves the end.
    set_end(&minutes(10)).await;
    assert_eq!(user.get(&node, "/api/user").send().await.status, 200);
    let moved = format!("SELECT COUNT(*) FROM sessions WHERE expires_at > '{}'", minutes(60));
    stage.wait_for(&moved).await;
    set_end("2020-01-01 00:00:00.000000").await;
    assert_eq!(user.get(&node, "/api/user").send().await.status, 401);
}
