//! Webhooks while nodes die and sleep, Redis is away, and endpoints are dead: each event once, or counted.

mod asleep;
mod away;
mod dead_endpoint;
mod ends;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use gema_protocol::app::Credentials;
use gema_tests::{Delivery, Gema, Receiver, Recorder, Redis, Setup};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::stage::linked;

/// How long a node's own lease must have stood before it may declare others dead.
const SETTLED: Duration = Duration::from_secs(11);
/// A dead node's channels are told of within 15 s and the grace of 3 s; five times that on a busy machine.
const TOLD: Duration = Duration::from_secs(5 * 18);

/// A webhook in words: its name, channel and user.
fn named(event: &Value) -> String {
    let text = |field: &str| event[field].as_str().unwrap_or_default();
    format!("{} {} {}", text("name"), text("channel"), text("user_id")).trim_end().to_owned()
}

/// Somebody in a presence channel.
async fn member(node: &Gema, channel: &str, user: &str) -> Recorder {
    Recorder::of(node.member(channel, &json!({"user_id": user}).to_string()).await)
}

/// Nodes that tell this endpoint, linked.
async fn nodes(redis: &Redis, url: &str, count: usize) -> Vec<Gema> {
    let setup = Setup::broadcast().node(&redis.url()).env("REVERB_APP_WEBHOOK_URL", url);
    let setup = setup.env("GEMA_METRICS_PORT", "0");
    let nodes = join_all((0..count).map(|_| setup.clone().start())).await;
    join_all(nodes.iter().map(linked)).await;
    nodes
}

/// A back end and what it has taken, each delivery once. A delivery that comes again must be the same, word for word.
struct BackEnd {
    hooks: Receiver,
    app: Credentials,
    seen: BTreeMap<String, Delivery>,
    taken: BTreeSet<String>,
    /// In the order in which they were taken.
    events: Vec<Value>,
    /// Deliveries that were taken and came again.
    repeats: usize,
}

impl BackEnd {
    fn new(hooks: Receiver, app: &Credentials) -> Self {
        let (seen, taken) = (BTreeMap::new(), BTreeSet::new());
        Self { hooks, app: app.clone(), seen, taken, events: Vec::new(), repeats: 0 }
    }

    fn keep(&mut self, delivery: &Delivery) {
        let (id, events) = (delivery.header("x-gema-delivery").to_owned(), delivery.events(&self.app));
        let was_taken = delivery.answer == Some(200);
        let first = self.seen.entry(id.clone()).or_insert_with(|| delivery.clone());
        assert_eq!(
            (&first.headers, &first.body),
            (&delivery.headers, &delivery.body),
            "a repeat is the same"
        );
        if !was_taken {
            return;
        }
        if self.taken.insert(id) {
            self.events.extend(events);
        } else {
            self.repeats += 1;
        }
    }

    /// Takes what comes until it is as it should be.
    async fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let coming = async {
            while !is_so(self) {
                let next = self.hooks.next().await;
                self.keep(&next);
            }
        };
        let in_time = timeout(TOLD, coming).await.is_ok();
        assert!(in_time, "{what}: not within {TOLD:?}: {:#?}", self.named());
    }

    /// Takes what comes until all of these have come.
    async fn hears(&mut self, expected: &[&str]) {
        let all = |this: &Self| {
            let named = this.named();
            expected.iter().all(|one| named.iter().any(|event| event == one))
        };
        self.until(&format!("{expected:?}"), all).await;
    }

    /// What was taken, counts of subscriptions left out.
    fn named(&self) -> Vec<String> {
        self.events.iter().map(named).filter(|event| !event.starts_with("subscription_count")).collect()
    }

    /// The same of one channel.
    fn of(&self, channel: &str) -> Vec<String> {
        let of_channel = self.events.iter().filter(|event| event["channel"] == channel);
        of_channel.map(|event| named(event).replace(&format!(" {channel}"), "")).collect()
    }
}
