//! Nodes over a place where they meet: what one publishes the others deliver, once and in order, through cuts and losses.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gema_cluster::engine::Engine;
use gema_cluster::entry::{Event, Origin};
use gema_cluster::node::{Listener, Node};
use gema_cluster::replica::{Change, Replica};
use gema_protocol::channel::ChannelName;
use gema_protocol::presence::Member;
use gema_tests::{Memory, MemoryEngine, PATIENCE};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

const LIMIT: usize = 1024 * 1024;

/// What a node delivered: the channel, the text, and whether it came from the log.
type Delivered = (String, String, bool);

struct Recorder(mpsc::Sender<Delivered>, Arc<Clients>);

/// How many clients a node has, and all nodes may have.
pub(super) struct Clients {
    pub(super) count: AtomicU64,
    pub(super) most: Option<u64>,
}

impl Listener for Recorder {
    fn deliver(&self, channel: &ChannelName, event: Event, published_ms: Option<u64>) {
        let text = String::from_utf8(event.text.to_vec()).expect("text");
        self.0.try_send((channel.to_string(), text, published_ms.is_some())).expect("room");
    }

    fn keep(&self, channel: &ChannelName, text: &str, _: Duration) {
        self.0.try_send((channel.to_string(), format!("kept {text}"), true)).expect("room");
    }

    fn members(&self, channel: &ChannelName, changes: Vec<Change>) {
        for change in changes {
            let text = match change {
                Change::Enter(user, _) => format!("+{user}"),
                Change::Exit(user) => format!("-{user}"),
            };
            self.0.try_send((channel.to_string(), text, false)).expect("room");
        }
    }

    fn count(&self, channel: &ChannelName, elsewhere: u64) {
        self.0.try_send((channel.to_string(), format!("elsewhere {elsewhere}"), false)).expect("room");
    }

    fn cache_ttl(&self) -> Duration {
        Duration::from_secs(60)
    }

    fn connections(&self) -> u64 {
        self.1.count.load(Ordering::Relaxed)
    }

    fn most_connections(&self) -> Option<u64> {
        self.1.most
    }
}

pub(super) struct Running {
    pub(super) node: Node,
    pub(super) engine: Arc<MemoryEngine>,
    pub(super) clients: Arc<Clients>,
    delivered: mpsc::Receiver<Delivered>,
}

impl Running {
    pub(super) async fn start(memory: &Memory, origin: u128) -> Self {
        Self::start_limited(memory, origin, None).await
    }

    pub(super) async fn start_limited(memory: &Memory, origin: u128, most: Option<u64>) -> Self {
        let (engine, notices) = memory.join();
        let engine = Arc::new(engine);
        let (record, delivered) = mpsc::channel(10_000);
        let clients = Arc::new(Clients { count: AtomicU64::new(0), most });
        let recorder = Arc::new(Recorder(record, clients.clone()));
        let node = Node::start(engine.clone(), notices, recorder, Origin(origin), LIMIT);
        let running = Self { node, engine, clients, delivered };
        running.linked(true).await;
        running
    }

    pub(super) async fn linked(&self, linked: bool) {
        timeout(PATIENCE, async {
            while self.node.is_linked() != linked {
                sleep(Duration::from_millis(1)).await;
            }
        })
        .await
        .expect("the link changes");
    }

    async fn hold(&self, name: &str) {
        if let Some(confirmed) = self.node.hold(&channel(name)) {
            timeout(PATIENCE, confirmed).await.expect("in time").expect("confirmed");
        }
    }

    fn publish(&self, name: &str, text: &str) {
        self.node.publish(&channel(name), event(text)).expect("room");
    }

    async fn next(&mut self) -> Delivered {
        timeout(PATIENCE, self.delivered.recv())
            .await
            .expect("a delivery in time")
            .expect("a node that lives")
    }

    /// The texts of the next deliveries.
    async fn texts(&mut self, count: usize) -> Vec<String> {
        let mut texts = Vec::new();
        for _ in 0..count {
            texts.push(self.next().await.1);
        }
        texts
    }
}

fn channel(name: &str) -> ChannelName {
    ChannelName::parse(name, 200).expect("a legal name")
}

fn event(text: &str) -> Event {
    Event { text: text.to_owned().into(), except: None, keep: false }
}

fn numbers(from: usize, to: usize) -> Vec<String> {
    (from..to).map(|number| number.to_string()).collect()
}

#[tokio::test]
async fn what_one_publishes_the_other_delivers_in_order_and_once() {
    let memory = Memory::default();
    let (mut a, mut b) = (Running::start(&memory, 1).await, Running::start(&memory, 2).await);
    a.hold("c").await;
    b.hold("c").await;
    for number in numbers(0, 200) {
        a.publish("c", &number);
    }
    assert_eq!(b.texts(200).await, numbers(0, 200));
    b.publish("c", "from b");
    assert_eq!(
        a.next().await,
        ("c".to_owned(), "from b".to_owned(), false),
        "its own events are not brought back"
    );
}

#[tokio::test]
async fn a_topic_that_nobody_holds_costs_a_node_nothing() {
    let memory = Memory::default();
    let (a, mut b) = (Running::start(&memory, 1).await, Running::start(&memory, 2).await);
    b.hold("held").await;
    a.publish("other", "x");
    a.publish("held", "y");
    assert_eq!(b.next().await.1, "y");
}

#[tokio::test]
async fn what_was_published_during_a_cut_comes_afterwards_in_order_and_is_marked() {
    let memory = Memory::default();
    let (a, mut b) = (Running::start(&memory, 1).await, Running::start(&memory, 2).await);
    b.hold("c").await;
    a.publish("c", "0");
    assert_eq!(b.next().await.1, "0");
    // The hearing side is cut, then the telling side, then both.
    for (from, cut) in
        [(1, [&b.engine, &b.engine]), (11, [&a.engine, &a.engine]), (21, [&a.engine, &b.engine])]
    {
        cut.iter().for_each(|engine| engine.set_link(false));
        for number in numbers(from, from + 10) {
            a.publish("c", &number);
        }
        if cut.iter().all(|engine| Arc::ptr_eq(engine, &b.engine)) {
            timeout(PATIENCE, a.node.told()).await.expect("everything is in the log");
        }
        sleep(Duration::from_millis(20)).await;
        cut.iter().for_each(|engine| engine.set_link(true));
        let mut texts = Vec::new();
        for _ in 0..10 {
            texts.push(timeout(PATIENCE, b.delivered.recv()).await.expect("in time").unwrap().1);
        }
        assert_eq!(texts, numbers(from, from + 10));
    }
    assert_eq!(b.node.losses().heard.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_place_that_forgot_everything_is_told_again() {
    let memory = Memory::default();
    let (a, mut b) = (Running::start(&memory, 1).await, Running::start(&memory, 2).await);
    b.hold("c").await;
    a.publish("c", "0");
    assert_eq!(b.next().await.1, "0");
    b.engine.set_link(false);
    b.linked(false).await;
    for number in numbers(1, 5) {
        a.publish("c", &number);
        timeout(PATIENCE, a.node.told()).await.expect("told");
    }
    memory.restart();
    a.publish("c", "5");
    assert_eq!(b.texts(5).await, numbers(1, 6), "also what was acknowledged before");
}

#[tokio::test]
async fn an_acknowledgement_says_that_the_event_is_in_the_log() {
    let memory = Memory::default();
    let a = Running::start(&memory, 1).await;
    let confirmed = a.node.publish_acknowledged(&channel("c"), event("1")).unwrap();
    assert_eq!(confirmed.by(Instant::now() + PATIENCE).await, Ok(()));
    assert_eq!(a.engine.page(&channel("c"), None).await.expect("an answer").entries.len(), 1);
    a.engine.set_link(false);
    a.linked(false).await;
    let waiting = a.node.publish_acknowledged(&channel("c"), event("2")).unwrap();
    assert!(waiting.by(Instant::now() + Duration::from_millis(50)).await.is_err());
}

#[tokio::test]
async fn the_last_event_is_there_before_the_topic_counts_as_held() {
    let memory = Memory::default();
    let (a, mut b) = (Running::start(&memory, 1).await, Running::start(&memory, 2).await);
    let keep = Event { keep: true, ..event("1") };
    a.node.publish(&channel("cache-c"), keep).unwrap();
    timeout(PATIENCE, a.node.told()).await.expect("told");
    b.hold("cache-c").await;
    assert_eq!(b.delivered.try_recv().unwrap().1, "kept 1");
}

#[tokio::test]
async fn without_a_link_nobody_waits() {
    let memory = Memory::default();
    let a = Running::start(&memory, 1).await;
    a.engine.set_link(false);
    a.linked(false).await;
    assert!(a.node.hold(&channel("c")).is_none());
    let text = "x".repeat(LIMIT / 8);
    let taken = (0..20).take_while(|_| a.node.publish(&channel("c"), event(&text)).is_ok()).count();
    assert_eq!(taken, 7, "the buffer is bounded");
    assert_eq!(a.node.losses().told.load(Ordering::Relaxed), 1);
}

fn member(user: &str) -> Member {
    Member::passed_on(user, &format!(r#"{{"user_id":"{user}"}}"#))
}

impl Running {
    /// A member comes, and waits until everybody knows; then these users of other nodes are known.
    async fn join(&self, name: &str, user: &str) -> Vec<String> {
        if let Some(wait) = self.node.enter(&channel(name), Some(&member(user))) {
            timeout(PATIENCE, wait).await.expect("in time").expect("known");
        }
        let members = |others: &Replica| others.members().map(|(user, _)| user.to_owned()).collect();
        self.node.others().with(&channel(name), members)
    }

    fn leave(&self, name: &str, user: &str) {
        self.node.leave(&channel(name), Some(&member(user).user_id));
    }
}

#[tokio::test]
async fn whoever_joins_knows_of_everybody_who_did_before() {
    let memory = Memory::default();
    let (mut a, b) = (Running::start(&memory, 1).await, Running::start(&memory, 2).await);
    assert_eq!(a.join("presence-c", "ann").await, [""; 0]);
    assert_eq!(b.join("presence-c", "bob").await, ["ann"]);
    assert_eq!(a.texts(2).await, ["+bob", "elsewhere 1"]);
    assert_eq!(b.join("presence-c", "ann").await, ["ann"]);
    a.leave("presence-c", "ann");
    b.leave("presence-c", "bob");
    assert_eq!(a.texts(4).await, ["+ann", "elsewhere 2", "-bob", "elsewhere 1"]);
}

#[tokio::test]
async fn a_node_that_was_away_says_and_hears_what_is_so_by_now() {
    let memory = Memory::default();
    let (mut a, b) = (Running::start(&memory, 1).await, Running::start(&memory, 2).await);
    a.join("presence-c", "ann").await;
    b.join("presence-c", "bob").await;
    b.join("presence-c", "cem").await;
    assert_eq!(a.texts(4).await, ["+bob", "elsewhere 1", "+cem", "elsewhere 2"]);
    b.engine.set_link(false);
    b.linked(false).await;
    assert!(b.node.enter(&channel("presence-c"), Some(&member("dia"))).is_none(), "nobody waits");
    b.leave("presence-c", "bob");
    b.leave("presence-c", "cem");
    b.engine.set_link(true);
    let mut texts = a.texts(4).await;
    texts.sort();
    assert_eq!(texts, ["+dia", "-bob", "-cem", "elsewhere 1"]);
}

#[tokio::test(start_paused = true)]
async fn a_place_that_forgot_who_is_there_is_told_and_nobody_is_away_meanwhile() {
    let memory = Memory::default();
    let (mut a, b) = (Running::start(&memory, 1).await, Running::start(&memory, 2).await);
    a.join("presence-c", "ann").await;
    b.join("presence-c", "bob").await;
    b.join("presence-c", "cem").await;
    assert_eq!(a.texts(4).await.len(), 4);
    b.engine.set_link(false);
    b.linked(false).await;
    b.leave("presence-c", "cem");
    memory.restart();
    b.join("presence-c", "dia").await;
    // By the nodes that have them: one that was forgotten goes on under another id.
    let mut present = BTreeMap::from([("bob".to_owned(), 1), ("cem".to_owned(), 1)]);
    while present != BTreeMap::from([("bob".to_owned(), 1), ("dia".to_owned(), 1)]) {
        let text = a.next().await.1;
        match text.split_at(1) {
            ("+", user) => *present.entry(user.to_owned()).or_insert(0) += 1,
            ("-", user) => *present.entry(user.to_owned()).or_insert(0) -= 1,
            _ => assert!(text == "elsewhere 2" || text == "elsewhere 1", "{text}"),
        }
        present.retain(|_, nodes| *nodes > 0);
        assert!(present.contains_key("bob"), "never away");
    }
}
