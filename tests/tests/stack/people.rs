//! People who come to work and go home, through nginx, whatever happens to it: each request is made again until it is
//! answered, a check-in under the name that it had the first time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use gema_tests::{Answer, Dice, try_request};
use serde_json::{Value, json};
use tokio::time::sleep;

/// How long somebody waits for an answer before they try again.
pub(crate) const LIMIT: Duration = Duration::from_secs(8);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(200);
/// How long anything may take until it is answered. Only a fault of ours ever takes that long.
const PATIENCE: Duration = Duration::from_secs(180);

/// Somebody with a token.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    /// Where the API is.
    pub(crate) web: SocketAddr,
    pub(crate) id: i64,
    pub(crate) token: String,
}

/// A change that was acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) attendance: i64,
    pub(crate) user: i64,
    pub(crate) version: u64,
    /// When it was asked for the first time, in milliseconds since 1970.
    pub(crate) begun: f64,
    /// When it was acknowledged.
    pub(crate) answered: f64,
    /// How often it was asked for.
    pub(crate) tries: usize,
    /// Whether it had been done by another node than the one that answered: a repeat that was recognised.
    pub(crate) done_before: bool,
    /// The `Idempotency-Key` of a check-in, which is also its notes.
    pub(crate) key: Option<String>,
}

/// The clock that watchers have, too.
pub(crate) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64() * 1_000.0
}

impl Person {
    /// The admin that every database has.
    pub(crate) async fn admin(web: SocketAddr) -> Self {
        Self::login(web, "admin@example.com", "password").await
    }

    /// A new employee.
    pub(crate) async fn hire(&self, number: usize) -> Self {
        let (email, password) = (format!("person-{number}@example.com"), format!("a long password {number}"));
        let new = json!({"name": format!("Person {number}"), "email": email, "password": password,
                         "role": "employee"});
        self.must(201, "/api/users", &new).await;
        Self::login(self.web, &email, &password).await
    }

    async fn login(web: SocketAddr, email: &str, password: &str) -> Self {
        let nobody = Self { web, id: 0, token: String::new() };
        let body = nobody.must(200, "/api/login", &json!({"email": email, "password": password})).await;
        let id = body["user"]["id"].as_i64().expect("an id");
        Self { web, id, token: body["token"].as_str().expect("a token").to_owned() }
    }

    async fn must(&self, status: u16, path: &str, body: &Value) -> Value {
        let answer = self.post(path, None, body, PATIENCE).await.expect("nothing is broken yet");
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        answer.json()
    }

    async fn post(
        &self,
        path: &str,
        key: Option<&str>,
        body: &Value,
        limit: Duration,
    ) -> Result<Answer, String> {
        let bearer = format!("Bearer {}", self.token);
        let mut headers = vec![("content-type", "application/json"), ("accept", "application/json")];
        if !self.token.is_empty() {
            headers.push(("authorization", &bearer));
        }
        headers.extend(key.map(|key| ("idempotency-key", key)));
        try_request(self.web, limit, ("POST", path), &headers, body.to_string().as_bytes()).await
    }

    /// Asks until there is an answer, the first time for no longer than `first`; it, and how often it took.
    async fn insist(&self, path: &str, key: Option<&str>, body: &Value, first: Duration) -> (Answer, usize) {
        let start = Instant::now();
        for tries in 1.. {
            let limit = if tries == 1 { first } else { LIMIT };
            let said = match self.post(path, key, body, limit).await {
                Ok(answer) if !matches!(answer.status, 429 | 500..) => return (answer, tries),
                // What we could not do is no secret of ours: only what may pass may be said so.
                Ok(answer) if answer.status == 500 => panic!("{path}: {}", answer.body),
                Ok(answer) => format!("{} {}", answer.status, answer.body),
                Err(error) => error,
            };
            assert!(start.elapsed() < PATIENCE, "{path}: not answered after {PATIENCE:?}; at last {said}");
            sleep(PAUSE).await;
        }
        unreachable!("it tries for ever")
    }

    /// Comes and goes until told to stop, and may then stay; everything that was acknowledged.
    pub(crate) async fn live(self, mut dice: Dice, pace: usize, stop: Arc<AtomicBool>) -> Vec<Change> {
        let (mut changes, mut doubtful) = (Vec::new(), false);
        while !stop.load(Ordering::Acquire) {
            // Some lose their own connection just then, and do not know what became of it.
            let patience =
                if dice.below(4) == 0 { Duration::from_millis(dice.below(60) as u64) } else { LIMIT };
            let came = self.check_in(&format!("{}-{}", self.id, changes.len()), patience).await;
            let (attendance, may_stay) = (came.attendance, dice.below(2) == 0);
            changes.push(came);
            sleep(Duration::from_millis(dice.below(pace) as u64)).await;
            if may_stay && stop.load(Ordering::Acquire) {
                break;
            }
            changes.extend(self.check_out(attendance, &mut doubtful).await);
            sleep(Duration::from_millis(dice.below(pace) as u64)).await;
        }
        changes
    }

    /// Comes, under this name; for how long the first try lasts.
    pub(crate) async fn check_in(&self, key: &str, first: Duration) -> Change {
        let begun = now();
        let body = json!({"notes": key});
        let (answer, tries) = self.insist("/api/attendances/check-in", Some(key), &body, first).await;
        // Nothing of this person is open, so a refusal would be a fault of ours.
        assert_eq!(answer.status, 201, "check-in {key}, try {tries}: {}", answer.body);
        assert_eq!(answer.json()["notes"], key, "the answer to another check-in");
        let mut change = self.change(&answer.json(), begun, tries, Some(key.to_owned()));
        change.done_before = answer.header("x-node-id").parse().ok() != answer.json()["node_id"].as_i64();
        change
    }

    /// None if it was done by a request whose answer nobody got. Such a request may also have been on its way for so long
    /// that it closes a later record: after the first of them a refusal says no more than that nothing is open.
    pub(crate) async fn check_out(&self, attendance: i64, doubtful: &mut bool) -> Option<Change> {
        let begun = now();
        let (answer, tries) = self.insist("/api/attendances/check-out", None, &json!({}), LIMIT).await;
        *doubtful |= tries > 1;
        if answer.status == 409 && *doubtful {
            return None;
        }
        assert_eq!(answer.status, 200, "check-out of {attendance}, try {tries}: {}", answer.body);
        let change = self.change(&answer.json(), begun, tries, None);
        assert_eq!((change.attendance, change.version), (attendance, 2), "the wrong record was closed");
        Some(change)
    }

    fn change(&self, record: &Value, begun: f64, tries: usize, key: Option<String>) -> Change {
        let number = |name: &str| record[name].as_i64().unwrap_or_else(|| panic!("no {name} in {record}"));
        assert_eq!(number("user_id"), self.id);
        let version = u64::try_from(number("version")).expect("a version");
        Change {
            attendance: number("id"),
            user: self.id,
            version,
            begun,
            answered: now(),
            tries,
            done_before: false,
            key,
        }
    }
}
