//! What every place where nodes meet must decide about webhooks, keep of them and give to successors: run on memory, and on a
//! Redis of the test's own.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use gema_cluster::engine::{Engine, Notice, Notices};
use gema_cluster::entry::Origin;
use gema_cluster::name::{Namespace, Partition};
use gema_cluster::redis::{Address, Redis as RedisEngine};
use gema_cluster::seal::Sealer;
use gema_cluster::telling::{Claim, Telling, Told};
use gema_cluster::webhook::{Dead, Parcel, Record, Rules, Settled, Webhooks, take_over};
use gema_protocol::app::Secret;
use gema_protocol::webhook::{Kind, Kinds};
use gema_tests::{Memory, PATIENCE, Redis};
use tokio::time::{Instant, sleep};

use super::contract::{channel, notice};

const AT_ONCE: Duration = Duration::ZERO;
const NEVER: Duration = Duration::from_secs(3_600);

/// Counts what is told, by whomever: only a higher number is believed.
static TOLD: AtomicU64 = AtomicU64::new(1);

/// A node of the test's app.
struct Node<'e, E> {
    engine: &'e E,
    id: Origin,
    channel: &'e str,
}

impl<E: Engine> Node<'_, E> {
    fn decide(&self, kinds: Kinds, grace: Duration) {
        self.engine.decide(Rules { kinds, grace });
    }

    fn partition(&self) -> Partition {
        Partition::of(&channel(self.channel))
    }

    /// Tells of its subscriptions and users: who is in, and who was confirmed before.
    async fn tell(&self, subscriptions: u64, known: bool, users: &[(&str, bool)]) -> Told {
        let member = |user: &str| Bytes::from(format!(r#"{{"user_id":"{user}"}}"#));
        let claim = |(user, is_in): &(&str, bool)| Claim {
            user_id: (*user).to_owned(),
            member: is_in.then(|| member(user)),
            known,
        };
        let telling = Telling {
            node: self.id,
            number: TOLD.fetch_add(1, Ordering::Relaxed),
            channel: channel(self.channel),
            subscriptions,
            known,
            whole: known,
            users: users.iter().map(claim).collect(),
        };
        self.engine.tell(&telling).await.expect("an answer")
    }

    async fn take(&self) -> Result<Vec<Record>, Dead> {
        let mut taken = self.engine.take(self.id, self.partition()).await.expect("an answer")?;
        taken.records.sort_by_key(|record| record.place);
        Ok(self.own(taken.records))
    }

    /// Other tests may have channels in the same partition.
    fn own(&self, mut records: Vec<Record>) -> Vec<Record> {
        records.retain(|record| &*record.channel == self.channel);
        records
    }

    /// What it is to deliver now, in order; it is settled at once.
    async fn deliver(&self) -> Vec<String> {
        let records = self.take().await.expect("a living node");
        self.settle(&records, None).await;
        records.iter().map(shown).collect()
    }

    /// This is what it delivers now.
    async fn delivers(&self, expected: &[&str]) {
        assert_eq!(self.deliver().await, expected);
    }

    /// How long until something is due.
    async fn pause(&self) -> Option<Duration> {
        self.engine.take(self.id, self.partition()).await.expect("an answer").expect("a living node").next
    }

    async fn settle(&self, records: &[Record], endpoint: Option<&str>) {
        let endpoint = endpoint.map(str::to_owned);
        let settled: Vec<_> = records
            .iter()
            .map(|record| Settled { place: record.place, endpoint: endpoint.clone() })
            .collect();
        self.engine
            .settle(self.id, self.partition(), &settled)
            .await
            .expect("an answer")
            .expect("a living node");
    }

    async fn handed(&self) -> Vec<Record> {
        self.own(self.engine.handed(self.id, self.partition(), None).await.expect("an answer"))
    }
}

fn shown(record: &Record) -> String {
    match record.kind {
        Kind::SubscriptionCount => format!("{} {}", record.kind.name(), record.count),
        kind => format!("{} {}", kind.name(), record.user).trim_end().to_owned(),
    }
}

fn nodes<'e, E: Engine>(engines: &'e [E; 3], name: &'e str) -> [Node<'e, E>; 3] {
    std::array::from_fn(|index| Node {
        engine: &engines[index],
        id: Origin(index as u128 + 1),
        channel: name,
    })
}

const ANN: [(&str, bool); 1] = [("ann", true)];
const ANN_GONE: [(&str, bool); 1] = [("ann", false)];

/// The first to come and the last to go are told, by the node where that was.
async fn comings_and_goings_are_decided_once(engines: &[impl Engine; 3]) {
    let [a, b, _] = nodes(engines, "presence-once");
    [&a, &b].iter().for_each(|node| node.decide(Kinds::ALL, AT_ONCE));
    a.tell(1, false, &ANN).await;
    b.tell(1, false, &ANN).await;
    a.tell(1, false, &ANN).await;
    a.delivers(&["channel_occupied", "member_added ann"]).await;
    a.tell(0, false, &ANN_GONE).await;
    // She is at b, too.
    a.delivers(&[]).await;
    b.delivers(&[]).await;
    b.tell(0, false, &ANN_GONE).await;
    b.delivers(&["member_removed ann", "channel_vacated"]).await;
    a.delivers(&[]).await;
    assert_eq!(a.handed().await.len() + b.handed().await.len(), 0);
}

async fn what_nobody_asked_for_is_not_told(engines: &[impl Engine; 3]) {
    let [a, ..] = nodes(engines, "#server-to-user-ann");
    a.decide(Kinds::ALL, AT_ONCE);
    a.tell(1, false, &[]).await;
    a.delivers(&[]).await;
    let [a, ..] = nodes(engines, "presence-members");
    a.decide(Kinds::from_iter([Kind::MemberAdded, Kind::MemberRemoved]), AT_ONCE);
    a.tell(1, false, &ANN).await;
    a.delivers(&["member_added ann"]).await;
}

/// Whoever comes back in time was never away, wherever that is.
async fn a_return_takes_back(engines: &[impl Engine; 3]) {
    let [a, b, _] = nodes(engines, "presence-back");
    [&a, &b].iter().for_each(|node| node.decide(Kinds::ALL, NEVER));
    a.tell(1, false, &ANN).await;
    assert_eq!(a.deliver().await, ["channel_occupied", "member_added ann"]);
    a.tell(0, false, &ANN_GONE).await;
    let next = a.pause().await;
    assert!(next.is_some_and(|next| next > NEVER / 2), "{next:?}");
    b.tell(1, false, &ANN).await;
    let next = a.pause().await;
    assert_eq!((next, b.deliver().await), (None, vec![]));
}

/// Few subscriptions are counted one by one, many are summed up.
async fn counts_are_summed_up(engines: &[impl Engine; 3]) {
    let [a, b, _] = nodes(engines, "count");
    [&a, &b].iter().for_each(|node| node.decide(Kinds::from_iter([Kind::SubscriptionCount]), AT_ONCE));
    a.tell(1, false, &[]).await;
    a.tell(60, false, &[]).await;
    assert_eq!(a.deliver().await, ["subscription_count 1", "subscription_count 60"]);
    b.tell(60, false, &[]).await;
    a.tell(70, false, &[]).await;
    assert_eq!((a.deliver().await, b.deliver().await), (vec![], vec![]));
    a.tell(3, false, &[]).await;
    assert_eq!(a.deliver().await, ["subscription_count 63"], "what waited is out of date");
    let next = b.pause().await;
    assert_eq!(next, None);
}

/// All that happens in a channel is told by one node as long as that has something to tell of it.
async fn a_channel_stays_with_one_node(engines: &[impl Engine; 3]) {
    let [a, b, _] = nodes(engines, "presence-lane");
    [&a, &b].iter().for_each(|node| node.decide(Kinds::ALL, AT_ONCE));
    a.tell(1, false, &ANN).await;
    let first = a.take().await.expect("a living node");
    b.tell(1, false, &[("bob", true)]).await;
    b.tell(0, false, &[("bob", false)]).await;
    assert_eq!(b.deliver().await, [""; 0]);
    let then = a.take().await.expect("a living node");
    assert_eq!(then.iter().map(shown).collect::<Vec<_>>(), ["member_added bob", "member_removed bob"]);
    a.settle(&first, None).await;
    a.settle(&then[..1], None).await;
    a.settle(&then[1..], Some("e1")).await;
    a.settle(&then[1..], Some("e2")).await;
    assert_eq!(a.handed().await[0].taken_by, ["e1", "e2"]);
    a.settle(&then, None).await;
    b.tell(1, false, &[("bob", true)]).await;
    assert_eq!(b.deliver().await, ["member_added bob"], "a has nothing to tell any more");
}

fn parcel(records: &[Record]) -> Parcel {
    let events = records.iter().map(|record| (record.channel.clone(), Some(record.place))).collect();
    Parcel { endpoint: "e".to_owned(), made_ms: 7, body: Bytes::from_static(b"{}"), events }
}

/// A dead node's facts, records and batches are its successor's; nothing of it is taken any more.
async fn a_successor_takes_over(engines: &[impl Engine; 3]) {
    let [a, b, c] = nodes(engines, "presence-heir");
    [&a, &b, &c].iter().for_each(|node| node.decide(Kinds::ALL, AT_ONCE));
    a.tell(2, false, &[("ann", true), ("bob", true)]).await;
    c.tell(1, false, &[("bob", true)]).await;
    let begun = a.take().await.expect("a living node");
    let batch = parcel(&begun);
    a.engine.keep(a.id, a.partition(), "d1", &batch).await.expect("an answer").expect("a living node");
    a.tell(2, false, &[("cid", true)]).await;

    for partition in Partition::all() {
        b.engine.reap(a.id, partition).await.expect("an answer");
    }
    assert_eq!(a.take().await, Err(Dead));
    assert_eq!(a.engine.keep(a.id, a.partition(), "d2", &batch).await, Ok(Err(Dead)));
    assert_eq!(a.engine.settle(a.id, a.partition(), &[]).await, Ok(Err(Dead)));
    the_first_to_ask_has_all(&a, &b, &c, &begun, batch).await;
}

/// Two at once ask for what a leaves.
async fn the_first_to_ask_has_all<E: Engine>(
    a: &Node<'_, E>,
    b: &Node<'_, E>,
    c: &Node<'_, E>,
    begun: &[Record],
    batch: Parcel,
) {
    assert_eq!(take_over(b.engine, a.id, b.id).await, Ok(b.id));
    assert_eq!(take_over(c.engine, a.id, c.id).await, Ok(b.id));
    assert_eq!(b.engine.kept(b.id, b.partition()).await.expect("an answer"), [("d1".to_owned(), batch)]);
    let handed = b.handed().await;
    assert_eq!(handed[..begun.len()], *begun);
    assert_eq!(handed[begun.len()..].iter().map(shown).collect::<Vec<_>>(), ["member_added cid"]);
    assert_eq!(until_delivered(b, 2).await, ["member_removed ann", "member_removed cid"], "bob is at c");
    b.settle(&handed, None).await;
    b.engine.drop_kept(b.id, b.partition(), "d1").await.expect("an answer");
    assert_eq!(b.engine.kept(b.id, b.partition()).await, Ok(vec![]));
}

/// In any order; what has no order is sorted.
async fn until_delivered(node: &Node<'_, impl Engine>, count: usize) -> Vec<String> {
    let (start, mut all) = (Instant::now(), Vec::new());
    while all.len() < count {
        assert!(start.elapsed() < PATIENCE, "only {all:?}");
        all.extend(node.deliver().await);
        sleep(Duration::from_millis(5)).await;
    }
    all.sort();
    all
}

/// A successor that has died itself is replaced.
async fn a_dead_successor_is_replaced(engines: &[impl Engine; 3]) {
    let [_, b, c] = nodes(engines, "presence-heirs");
    let dead = Origin(99);
    assert_eq!(b.engine.successor(dead, b.id, None).await, Ok(b.id));
    for partition in Partition::all() {
        c.engine.reap(b.id, partition).await.expect("an answer");
    }
    assert_eq!(take_over(c.engine, dead, c.id).await, Ok(c.id));
}

/// What was confirmed before the memory was lost is no news; whoever left meanwhile is, unless somebody else has them.
async fn a_lost_memory_makes_no_news<E: Engine>(engines: &[E; 3], lose: impl AsyncFnOnce()) {
    let [a, b, _] = nodes(engines, "presence-lost");
    [&a, &b].iter().for_each(|node| node.decide(Kinds::ALL, AT_ONCE));
    a.tell(2, false, &[("ann", true), ("bob", true)]).await;
    a.delivers(&["channel_occupied", "member_added ann", "member_added bob"]).await;
    b.tell(1, false, &[("bob", true)]).await;
    lose().await;
    a.tell(1, true, &[("ann", true), ("bob", false)]).await;
    // Others may still have to claim bob.
    a.delivers(&[]).await;
    assert!(a.pause().await.is_some_and(|pause| pause > Duration::from_secs(2)));
    b.tell(1, true, &[("bob", true)]).await;
    assert_eq!(a.pause().await, None);
    b.delivers(&[]).await;
    everybody_goes_and_repeats_it(&a, &b).await;
}

async fn everybody_goes_and_repeats_it<E: Engine>(a: &Node<'_, E>, b: &Node<'_, E>) {
    a.tell(0, false, &ANN_GONE).await;
    b.tell(0, false, &[("bob", false)]).await;
    a.delivers(&["member_removed ann"]).await;
    b.delivers(&["member_removed bob", "channel_vacated"]).await;
    // Repeated because its answer was lost: the memory has not been lost again.
    b.tell(0, true, &[("bob", false)]).await;
    assert_eq!(b.pause().await, None);
}

/// What a model says of one channel.
#[derive(Default)]
struct Model {
    /// Which nodes have a user.
    users: BTreeMap<usize, BTreeSet<usize>>,
    gone: BTreeSet<Option<usize>>,
}

impl Model {
    fn nodes(&self) -> BTreeSet<usize> {
        self.users.values().flatten().copied().collect()
    }

    /// The node's user comes or goes: what is told at once.
    fn toggle(&mut self, node: usize, user: usize, at_once: bool) -> Vec<String> {
        let before = (self.nodes().is_empty(), self.users.get(&user).is_none_or(BTreeSet::is_empty));
        let of_user = self.users.entry(user).or_default();
        let comes = of_user.insert(node) || !of_user.remove(&node);
        let after = (self.nodes().is_empty(), self.users[&user].is_empty());
        let changes = [
            (before.0 != after.0).then_some((None, ["channel_occupied", "channel_vacated"])),
            (before.1 != after.1).then_some((Some(user), ["member_added", "member_removed"])),
        ];
        let mut told: Vec<_> = changes
            .into_iter()
            .flatten()
            .filter_map(|(subject, names)| {
                let name = subject.map_or(names[usize::from(!comes)].to_owned(), |user| {
                    format!("{} {user}", names[usize::from(!comes)])
                });
                let is_told =
                    if comes { !self.gone.remove(&subject) } else { at_once || !self.gone.insert(subject) };
                is_told.then_some(name)
            })
            .collect();
        if !comes {
            told.reverse();
        }
        told
    }
}

/// Any coming and going on three nodes is told as one server would tell it.
async fn decisions_equal_a_model(engines: &[impl Engine; 3], seed: u64) {
    let name = format!("presence-model-{seed}");
    let nodes = nodes(engines, &name);
    let (mut model, mut present) = (Model::default(), BTreeSet::new());
    let mut chance = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut dice = |sides: u64| {
        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((chance >> 33) % sides).expect("a small number")
    };
    for step in 0..25 {
        let (node, user, at_once) = (dice(3), dice(3), dice(2) == 0);
        let is_in = present.insert((node, user)) || !present.remove(&(node, user));
        let subscriptions = present.iter().filter(|(of, _)| *of == node).count() as u64;
        nodes[node].decide(Kinds::ALL, if at_once { AT_ONCE } else { NEVER });
        nodes[node].tell(subscriptions, false, &[(&user.to_string(), is_in)]).await;
        let expected = model.toggle(node, user, at_once);
        assert_eq!(nodes[node].deliver().await, expected, "seed {seed}, step {step}");
    }
}

async fn everything<E: Engine>(engines: &[E; 3], models: u64) {
    comings_and_goings_are_decided_once(engines).await;
    what_nobody_asked_for_is_not_told(engines).await;
    a_return_takes_back(engines).await;
    counts_are_summed_up(engines).await;
    a_channel_stays_with_one_node(engines).await;
    for seed in 0..models {
        decisions_equal_a_model(engines, seed).await;
    }
    a_successor_takes_over(engines).await;
    a_dead_successor_is_replaced(engines).await;
}

fn redis_node(server: &Redis, secret: &str, unique: u128) -> (RedisEngine, Notices) {
    let address = Address::parse(&server.url()).expect("an address").patient(10);
    let sealer = Sealer::new(&Secret::new(secret.to_owned()));
    RedisEngine::start(address, Namespace::new("", "reverb", 0, "1"), sealer, unique)
}

async fn redis_nodes(server: &Redis) -> ([RedisEngine; 3], [Notices; 3]) {
    let [a, b, c] = [1, 2, 3].map(|unique| redis_node(server, "secret", unique));
    let (engines, mut notices) = ([a.0, b.0, c.0], [a.1, b.1, c.1]);
    for heard in &mut notices {
        assert_eq!(notice(heard).await, Notice::Up);
    }
    (engines, notices)
}

async fn until_up(notices: &mut [Notices; 3]) {
    for heard in notices {
        while notice(heard).await != Notice::Up {}
    }
}

#[tokio::test]
async fn memory_decides_keeps_and_hands_over() {
    let memory = Memory::default();
    let joined = [memory.join(), memory.join(), memory.join()];
    let (engines, _notices): (Vec<_>, Vec<_>) = joined.into_iter().unzip();
    let engines: [_; 3] = engines.try_into().ok().expect("three of them");
    a_lost_memory_makes_no_news(&engines, async || memory.restart()).await;
    everything(&engines, 300).await;
}

#[tokio::test]
async fn redis_decides_keeps_and_hands_over() {
    let server = Redis::start().await;
    let (engines, _notices) = redis_nodes(&server).await;
    everything(&engines, 20).await;
}

#[tokio::test]
async fn redis_without_its_memory_makes_no_news() {
    let mut server = Redis::start().await;
    let (engines, mut notices) = redis_nodes(&server).await;
    let lose = async || {
        server.kill().await;
        server.start_again().await;
        until_up(&mut notices).await;
    };
    a_lost_memory_makes_no_news(&engines, lose).await;
}

#[tokio::test]
async fn records_and_batches_of_a_stranger_are_dropped() {
    let server = Redis::start().await;
    let (engines, _notices) = redis_nodes(&server).await;
    let [a, ..] = nodes(&engines, "presence-forged");
    let (stranger, mut heard) = redis_node(&server, "another", 9);
    assert_eq!(notice(&mut heard).await, Notice::Up);
    let forger = Node { engine: &stranger, id: a.id, channel: a.channel };
    forger.decide(Kinds::ALL, AT_ONCE);
    a.decide(Kinds::ALL, AT_ONCE);
    forger.tell(1, false, &ANN).await;
    assert_eq!(a.take().await, Ok(vec![]), "not sealed with this app's secret");
    assert_eq!(a.handed().await, [], "and gone");
    stranger.keep(a.id, a.partition(), "d", &parcel(&[])).await.expect("an answer").expect("a living node");
    assert_eq!(a.engine.kept(a.id, a.partition()).await, Ok(vec![]));
    a.tell(2, false, &[("bob", true)]).await;
    assert_eq!(a.deliver().await, ["member_added bob"]);
}
