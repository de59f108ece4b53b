//! Somebody who signed in with a browser: whatever breaks, the session stands.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gema_tests::{Answer, request, try_request};
use serde_json::json;
use tokio::time::sleep;

/// Between two requests.
const PAUSE: Duration = Duration::from_millis(100);
/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(8);

/// A browser with its cookies.
pub(crate) struct Session {
    web: SocketAddr,
    cookies: String,
}

impl Session {
    /// Signs the admin in as a page does.
    pub(crate) async fn begin(web: SocketAddr) -> Self {
        let cookies = cookies(&request(web, "GET", "/sanctum/csrf-cookie", &[], b"").await);
        let (_, token) = cookies.split_once("XSRF-TOKEN=").expect("a token");
        let headers = [("cookie", &*cookies), ("x-xsrf-token", token), ("content-type", "application/json")];
        let body = json!({"email": "admin@example.com", "password": "password"}).to_string();
        let answer = request(web, "POST", "/login", &headers, body.as_bytes()).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        Self { web, cookies: self::cookies(&answer) }
    }

    /// Asks who it is until told to stop; how often it was told. An outage is no answer, but nobody is signed out by one.
    pub(crate) async fn live(self, stop: Arc<AtomicBool>) -> usize {
        let (mut told, headers) = (0, [("cookie", &*self.cookies), ("accept", "application/json")]);
        while !stop.load(Ordering::Acquire) {
            if let Ok(answer) = try_request(self.web, LIMIT, ("GET", "/api/user"), &headers, b"").await {
                assert!(matches!(answer.status, 200 | 502..=504), "{} {}", answer.status, answer.body);
                told += usize::from(answer.status == 200);
            }
            sleep(PAUSE).await;
        }
        told
    }
}

/// What a browser sends back.
fn cookies(answer: &Answer) -> String {
    let set = answer.headers.iter().filter(|(name, _)| name == "set-cookie");
    let pairs: Vec<_> = set.filter_map(|(_, value)| value.split(';').next()).collect();
    pairs.join("; ")
}
