//! What every place where nodes meet must do: run on memory, and on a Redis that each test starts for itself.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use gema_cluster::engine::{Engine, EngineError, Notice, Notices};
use gema_cluster::entry::{Entry, Event, Origin, Published};
use gema_cluster::inbox::Position;
use gema_cluster::name::{Namespace, Partition};
use gema_cluster::outgoing::{Answer, Append};
use gema_cluster::redis::{Address, Redis as RedisEngine};
use gema_cluster::replica::{Delta, Fact, Snapshot, Version};
use gema_cluster::seal::Sealer;
use gema_cluster::telling::{Claim, Telling, Told};
use gema_protocol::app::Secret;
use gema_protocol::channel::ChannelName;
use gema_tests::{Memory, PATIENCE, Redis};
use tokio::time::timeout;

use crate::contract_leases::leases_hold;
use crate::queries::what_was_told_is_counted;

/// One app's share of a Redis, for a process of its own.
pub(crate) fn engine(server: &Redis, secret: &str) -> (RedisEngine, Notices) {
    engine_at(Address::parse(&server.url()).expect("an address"), "1", secret)
}

/// As [`engine`], for any app.
pub(super) fn engine_at(address: Address, app: &str, secret: &str) -> (RedisEngine, Notices) {
    static PROCESSES: AtomicU64 = AtomicU64::new(1);
    let unique = PROCESSES.fetch_add(1, Ordering::Relaxed).into();
    let sealer = Sealer::new(&Secret::new(secret.to_owned()));
    RedisEngine::start(address.patient(10), Namespace::new("", "reverb", 0, app), sealer, unique)
}

pub(super) fn channel(name: &str) -> ChannelName {
    ChannelName::parse(name, 200).expect("a legal name")
}

pub(super) fn append(name: &str, sequence: u64, expected: Option<Position>) -> Append {
    let events = vec![Event { text: format!("event {sequence}").into(), except: None, keep: false }];
    let events = events.into_iter().map(|event| Published { at_ms: 1, event }).collect();
    let entry = Entry { origin: Origin(7), sequence, events };
    Append { channel: channel(name), expected, entry }
}

pub(super) async fn notice(notices: &mut Notices) -> Notice {
    timeout(PATIENCE, notices.recv()).await.expect("a notice in time").expect("an engine that lives")
}

/// The position of an entry that was appended.
async fn appended(engine: &impl Engine, append: &Append) -> Position {
    match engine.append(append, None).await {
        Ok(Answer::Appended(at)) => at,
        other => panic!("not appended: {other:?}"),
    }
}

/// Two nodes that meet: what one appends the other hears, if it holds the topic.
async fn entries_are_numbered_logged_and_heard(a: impl Engine, b: impl Engine, mut heard: Notices) {
    assert_eq!(notice(&mut heard).await, Notice::Up);
    let (quiet, busy) = (channel("quiet"), channel("busy"));
    assert_eq!(b.page(&busy, None).await.expect("an answer").newest, None);
    b.subscribe(&[busy.clone(), quiet.clone()]).await.expect("an answer");
    let first = appended(&a, &append("busy", 1, None)).await;
    appended(&a, &append("nobody-holds-this", 2, None)).await;
    let second = appended(&a, &append("busy", 3, Some(first))).await;
    assert_eq!((first.number, second), (1, Position { number: 2, ..first }));
    assert_eq!(notice(&mut heard).await, entry("busy", first, 1));
    assert_eq!(notice(&mut heard).await, entry("busy", second, 3));
    let page = b.page(&busy, Some(first)).await.expect("an answer");
    assert_eq!((page.newest, page.entries), (Some(second), vec![(2, append("busy", 3, None).entry)]));
    assert_eq!(b.page(&busy, None).await.expect("an answer").entries.len(), 2);
    what_was_let_go_is_not_heard(&a, &b, &mut heard).await;
}

async fn what_was_let_go_is_not_heard(a: &impl Engine, b: &impl Engine, heard: &mut Notices) {
    b.unsubscribe(&[channel("busy")]).await.expect("an answer");
    appended(a, &append("busy", 4, None)).await;
    let last = appended(a, &append("quiet", 5, None)).await;
    assert_eq!(notice(heard).await, entry("quiet", last, 5));
}

/// How an entry is noticed.
fn entry(name: &str, at: Position, sequence: u64) -> Notice {
    Notice::Entry { channel: channel(name), at, entry: append(name, sequence, None).entry }
}

/// What a node expects and does not find is refused, so that it tells it again.
async fn a_lost_memory_is_noticed(a: impl Engine) {
    let known = appended(&a, &append("c", 1, None)).await;
    let other = Position { epoch: known.epoch.wrapping_add(1), number: 1 };
    assert_eq!(a.append(&append("c", 2, Some(other)), None).await, Ok(Answer::Behind(Some(known))));
    let ahead = Position { number: 9, ..known };
    let answer = a.append(&append("c", 2, Some(ahead)), None).await;
    let Ok(Answer::Behind(Some(anew))) = answer else { panic!("a lost end: {answer:?}") };
    assert!(
        anew.number == 1 && anew.epoch != known.epoch,
        "numbers that others may have seen begin a new life"
    );
    assert_eq!(a.append(&append("new", 2, Some(known)), None).await, Ok(Answer::Behind(None)));
    assert_eq!(
        a.page(&channel("c"), Some(ahead)).await.expect("an answer").entries.len(),
        1,
        "all of it for who is ahead"
    );
}

/// What comes once more, late, or as a mere look changes nothing; an entry counts as many numbers as it has events.
async fn nothing_is_taken_twice(a: impl Engine) {
    let cache = channel("cache-twice");
    let first = appended(&a, &append("cache-twice", 1, None)).await;
    let mut three = append("cache-twice", 2, Some(first));
    three.entry.events = vec![three.entry.events[0].clone(); 3];
    let keep = |text| Some((text, Duration::from_secs(60)));
    let at = Position { number: 4, ..first };
    assert_eq!(a.append(&three, keep("new")).await, Ok(Answer::Appended(at)));
    assert_eq!(a.append(&append("cache-twice", 1, None), keep("old")).await, Ok(Answer::Appended(at)));
    let mut look = append("cache-twice", 0, Some(at));
    look.entry.events.clear();
    assert_eq!(a.append(&look, None).await, Ok(Answer::Appended(at)));
    let look = Append { channel: channel("never"), ..look };
    assert_eq!(a.append(&look, None).await, Ok(Answer::Behind(None)));
    let page = a.page(&cache, None).await.expect("an answer");
    let numbers: Vec<u64> = page.entries.iter().map(|(number, _)| *number).collect();
    assert_eq!((page.newest, numbers), (Some(at), vec![1, 4]));
    assert_eq!(a.last_event(&cache).await.expect("an answer").expect("an event").0, "new");
}

async fn the_last_event_is_kept(a: impl Engine) {
    let cache = channel("cache-c");
    assert_eq!(a.last_event(&cache).await, Ok(None));
    let keep = Some(("kept", Duration::from_secs(60)));
    a.append(&append("cache-c", 1, None), keep).await.expect("an answer");
    appended(&a, &append("cache-c", 2, None)).await;
    let (text, left) = a.last_event(&cache).await.expect("an answer").expect("an event");
    assert_eq!(text, "kept");
    assert!(left > Duration::ZERO && left <= Duration::from_secs(60), "{left:?}");
}

/// Two of an app whose links stand.
async fn two(address: &Address, app: &str) -> (RedisEngine, RedisEngine, Notices) {
    let (a, mut a_heard) = engine_at(address.clone(), app, "secret");
    assert_eq!(notice(&mut a_heard).await, Notice::Up);
    let (b, heard) = engine_at(address.clone(), app, "secret");
    (a, b, heard)
}

/// All of the contract, at a Redis of any kind.
pub(super) async fn holds(address: &Address) {
    tokio::join!(
        async {
            let (a, b, heard) = two(address, "entries").await;
            entries_are_numbered_logged_and_heard(a, b, heard).await;
        },
        async { a_lost_memory_is_noticed(two(address, "losses").await.0).await },
        async { the_last_event_is_kept(two(address, "kept").await.0).await },
        async {
            let (a, b, heard) = two(address, "facts").await;
            facts_are_ordered_told_and_found(a, b, heard).await;
        },
        async {
            let (a, b, mut heard) = two(address, "queries").await;
            assert_eq!(notice(&mut heard).await, Notice::Up);
            what_was_told_is_counted(a, b).await;
        },
        leases_hold(address),
    );
}

#[tokio::test]
async fn memory_numbers_logs_and_tells() {
    let memory = Memory::default();
    let (a, _) = memory.join();
    let (b, heard) = memory.join();
    entries_are_numbered_logged_and_heard(a, b, heard).await;
}

#[tokio::test]
async fn memory_notices_a_loss_and_keeps_last_events() {
    a_lost_memory_is_noticed(Memory::default().join().0).await;
    nothing_is_taken_twice(Memory::default().join().0).await;
    the_last_event_is_kept(Memory::default().join().0).await;
}

#[tokio::test]
async fn redis_numbers_logs_and_tells() {
    let server = Redis::start().await;
    let (a, mut a_heard) = engine(&server, "secret");
    assert_eq!(notice(&mut a_heard).await, Notice::Up);
    let (b, heard) = engine(&server, "secret");
    entries_are_numbered_logged_and_heard(a, b, heard).await;
}

#[tokio::test]
async fn redis_notices_a_loss_and_keeps_last_events() {
    let server = Redis::start().await;
    let (a, mut heard) = engine(&server, "secret");
    assert_eq!(notice(&mut heard).await, Notice::Up);
    a_lost_memory_is_noticed(a).await;
    let (a, mut heard) = engine(&server, "secret");
    assert_eq!(notice(&mut heard).await, Notice::Up);
    the_last_event_is_kept(a).await;
    let (a, mut heard) = engine(&server, "secret");
    assert_eq!(notice(&mut heard).await, Notice::Up);
    nothing_is_taken_twice(a).await;
}

#[tokio::test]
async fn redis_that_starts_again_is_found_again() {
    let mut server = Redis::start().await;
    let (a, mut heard) = engine(&server, "secret");
    assert_eq!(notice(&mut heard).await, Notice::Up);
    let known = appended(&a, &append("c", 1, None)).await;
    server.kill().await;
    assert_eq!(notice(&mut heard).await, Notice::Down);
    assert!(matches!(a.append(&append("c", 2, Some(known)), None).await, Err(EngineError::Down(_))));
    server.start_again().await;
    assert_eq!(notice(&mut heard).await, Notice::Up);
    assert_eq!(a.append(&append("c", 2, Some(known)), None).await, Ok(Answer::Behind(None)));
}

#[tokio::test]
async fn redis_may_come_later() {
    let mut server = Redis::start().await;
    server.kill().await;
    let (a, mut heard) = engine(&server, "secret");
    assert!(matches!(a.page(&channel("c"), None).await, Err(EngineError::Down(_))));
    server.start_again().await;
    assert_eq!(notice(&mut heard).await, Notice::Up);
    appended(&a, &append("c", 1, None)).await;
}

#[tokio::test]
async fn another_secret_is_not_believed() {
    let server = Redis::start().await;
    let (stranger, mut stranger_heard) = engine(&server, "another");
    let (a, mut heard) = engine(&server, "secret");
    assert_eq!((notice(&mut heard).await, notice(&mut stranger_heard).await), (Notice::Up, Notice::Up));
    a.subscribe(&[channel("c")]).await.expect("an answer");
    let forged = appended(&stranger, &append("c", 1, None)).await;
    let good = appended(&a, &append("c", 2, None)).await;
    let entry = append("c", 2, None).entry;
    assert_eq!(
        notice(&mut heard).await,
        Notice::Entry { channel: channel("c"), at: good, entry: entry.clone() }
    );
    let page = a.page(&channel("c"), None).await.expect("an answer");
    assert_eq!((page.newest, page.entries), (Some(Position { number: 2, ..forged }), vec![(2, entry)]));
}

pub(super) fn telling(number: u64, subscriptions: u64, users: &[(&str, bool)]) -> Telling {
    let member = |user: &str| Bytes::from(format!(r#"{{"user_id":"{user}"}}"#));
    let claim = |(user, is_in): &(&str, bool)| Claim {
        user_id: (*user).to_owned(),
        member: is_in.then(|| member(user)),
        known: false,
    };
    let (known, whole, users) = (false, false, users.iter().map(claim).collect());
    Telling { node: Origin(7), number, channel: channel("presence-c"), subscriptions, known, whole, users }
}

pub(super) fn facts(telling: &Telling) -> Vec<Fact> {
    telling.delta(0, 0).facts
}

/// All that is known once this was told.
fn snapshot(version: Version, telling: &Telling) -> Snapshot {
    let counts = Vec::from([(telling.node, telling.subscriptions)]);
    Snapshot { version, facts: facts(telling), counts }
}

async fn taken(engine: &impl Engine, telling: &Telling) -> Version {
    match engine.tell(telling).await {
        Ok(Told::Taken(version)) => version,
        other => panic!("not taken: {other:?}"),
    }
}

async fn delta(notices: &mut Notices) -> Delta {
    match notice(notices).await {
        Notice::Delta { delta, .. } => delta,
        other => panic!("no delta: {other:?}"),
    }
}

/// What a node says of its clients is ordered, told to whoever holds the topic, and found by whoever asks.
async fn facts_are_ordered_told_and_found(a: impl Engine, b: impl Engine, mut heard: Notices) {
    assert_eq!(notice(&mut heard).await, Notice::Up);
    let name = channel("presence-c");
    b.subscribe(std::slice::from_ref(&name)).await.expect("an answer");
    let both_in = telling(1, 2, &[("ann", true), ("b/ob", true)]);
    let first = heard_as_told(&a, &mut heard, 0, &both_in).await;
    found(&b, &[(first, &both_in)]).await;
    assert_eq!(a.tell(&telling(1, 0, &[("ann", false)])).await, Ok(Told::Stale(1)), "an old word");
    assert_eq!(taken(&a, &telling(2, 2, &[("ann", true)])).await, first, "nothing new");
    let second = heard_as_told(&a, &mut heard, first, &telling(3, 1, &[("ann", false)])).await;
    found(&b, &[(second, &telling(0, 1, &[("b/ob", true)]))]).await;
    let third = heard_as_told(&a, &mut heard, second, &telling(4, 5, &[])).await;
    found(&b, &[(third, &telling(0, 5, &[("b/ob", true)]))]).await;
    a_whole_telling_leaves_nothing_else(&a, &b, &mut heard, third).await;
}

/// Continues where everybody knows of "b/ob" and five subscriptions.
async fn a_whole_telling_leaves_nothing_else(
    a: &impl Engine,
    b: &impl Engine,
    heard: &mut Notices,
    version: Version,
) {
    let listed = || b.channels_of(Origin(7), Partition::of(&channel("presence-c")));
    let stranger = Telling { node: Origin(8), ..telling(1, 1, &[("b/ob", true)]) };
    let version = heard_as_told(a, heard, version, &stranger).await;
    let whole = Telling { whole: true, known: true, ..telling(5, 2, &[("cem", true)]) };
    let version = heard_as_told(a, heard, version, &whole).await;
    found(b, &[(version, &whole), (version, &stranger)]).await;
    assert_eq!(listed().await, Ok(vec![channel("presence-c")]));
    let farewell = Telling { whole: true, ..telling(6, 0, &[]) };
    let version = heard_as_told(a, heard, version, &farewell).await;
    found(b, &[(version, &stranger)]).await;
    assert_eq!(listed().await, Ok(vec![]));
    let again = Telling { number: 7, ..farewell };
    heard_as_told(a, heard, version, &again).await;
}

/// Tells something new, and hears it.
async fn heard_as_told(a: &impl Engine, heard: &mut Notices, follows: Version, telling: &Telling) -> Version {
    let version = taken(a, telling).await;
    assert_eq!(delta(heard).await, telling.delta(follows, version));
    version
}

/// Exactly what these nodes have told is found.
async fn found(b: &impl Engine, told: &[(Version, &Telling)]) {
    let mut all = b.snapshot(&channel("presence-c")).await.expect("an answer");
    all.facts.sort_by_key(|fact| fact.node);
    all.counts.sort_unstable();
    let parts = || told.iter().map(|(version, telling)| snapshot(*version, telling));
    assert_eq!(all.version, told[0].0);
    assert_eq!(all.facts, parts().flat_map(|part| part.facts).collect::<Vec<_>>());
    assert_eq!(all.counts, parts().flat_map(|part| part.counts).collect::<Vec<_>>());
}

#[tokio::test]
async fn memory_orders_tells_and_finds_facts() {
    let memory = Memory::default();
    let (a, _) = memory.join();
    let (b, heard) = memory.join();
    facts_are_ordered_told_and_found(a, b, heard).await;
}

#[tokio::test]
async fn redis_orders_tells_and_finds_facts() {
    let server = Redis::start().await;
    let (a, mut a_heard) = engine(&server, "secret");
    assert_eq!(notice(&mut a_heard).await, Notice::Up);
    let (b, heard) = engine(&server, "secret");
    facts_are_ordered_told_and_found(a, b, heard).await;
}
