//! What queries ask of the place where nodes meet, and what servers answer with it.

use std::time::Duration;

use gema_cluster::engine::{Counts, Engine, Notice, Notices};
use gema_cluster::entry::Origin;
use gema_cluster::name::{Namespace, Partition};
use gema_cluster::telling::{Telling, Told};
use gema_tests::{Client, Memory, PATIENCE, Redis};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::contract::{channel, engine, notice, telling};
use crate::servers::{Node, pair, stop};

fn counts(subscriptions: u64, users: u64) -> Counts {
    Counts { subscriptions, users }
}

async fn told(engine: &impl Engine, telling: Telling) {
    assert!(matches!(engine.tell(&telling).await, Ok(Told::Taken(_))));
}

/// Sorted.
async fn users_of(engine: &impl Engine, name: &str) -> Vec<String> {
    let mut users = engine.users_of(&channel(name)).await.expect("an answer");
    users.sort();
    users
}

/// What two nodes have told is added up for whoever asks.
pub(super) async fn what_was_told_is_counted(a: impl Engine, b: impl Engine) {
    let [room, presence, nobody] = ["room", "presence-c", "nobody"].map(channel);
    told(&a, telling(1, 2, &[("ann", true), ("b/ob", true)])).await;
    told(&a, Telling { node: Origin(8), ..telling(1, 3, &[("ann", true)]) }).await;
    told(&a, Telling { node: Origin(9), channel: room.clone(), ..telling(1, 4, &[]) }).await;
    let asked = [presence.clone(), nobody, room.clone()];
    assert_eq!(b.counts(&asked).await, Ok(vec![counts(5, 2), counts(0, 0), counts(4, 0)]));
    assert_eq!(b.occupied("presence-").await, Ok(vec![(presence.clone(), 5)]));
    assert_eq!(b.occupied("presence-cc").await, Ok(vec![]));
    assert_eq!(b.occupied("").await.expect("an answer").len(), 2);
    assert_eq!(users_of(&b, "presence-c").await, ["ann", "b/ob"]);
    what_was_taken_back_is_not(a, b).await;
}

async fn what_was_taken_back_is_not(a: impl Engine, b: impl Engine) {
    let presence = channel("presence-c");
    told(&a, Telling { node: Origin(8), ..telling(2, 0, &[("ann", false)]) }).await;
    assert_eq!(b.counts(std::slice::from_ref(&presence)).await, Ok(vec![counts(2, 2)]));
    told(&a, telling(2, 0, &[("ann", false), ("b/ob", false)])).await;
    assert_eq!(b.occupied("presence-").await, Ok(vec![]));
    assert!(users_of(&b, "presence-c").await.is_empty());
}

async fn a_miss_is_new_once_in_a_period(a: impl Engine, b: impl Engine) {
    let (long, short) = (Duration::from_secs(3600), Duration::from_millis(1));
    assert_eq!(a.is_first_miss(&channel("cache-a"), long).await, Ok(true));
    assert_eq!(b.is_first_miss(&channel("cache-a"), long).await, Ok(false));
    assert_eq!(b.is_first_miss(&channel("cache-b"), short).await, Ok(true));
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(a.is_first_miss(&channel("cache-b"), short).await, Ok(true), "the period is over");
}

#[tokio::test]
async fn memory_counts_and_marks_misses() {
    let memory = Memory::default();
    what_was_told_is_counted(memory.join().0, memory.join().0).await;
    a_miss_is_new_once_in_a_period(memory.join().0, memory.join().0).await;
}

#[tokio::test]
async fn redis_counts_and_marks_misses() {
    let server = Redis::start().await;
    for contract in 0..2 {
        let ((a, mut a_heard), (b, mut b_heard)) = (engine(&server, "secret"), engine(&server, "secret"));
        assert_eq!((notice(&mut a_heard).await, notice(&mut b_heard).await), (Notice::Up, Notice::Up));
        match contract {
            0 => what_was_told_is_counted(a, b).await,
            _ => a_miss_is_new_once_in_a_period(a, b).await,
        }
    }
}

/// Sends one command as it is.
async fn command(server: &Redis, parts: &[&[u8]]) {
    let address = server.url().replace("redis://", "");
    let mut socket = TcpStream::connect(address).await.expect("it listens");
    let mut bytes = format!("*{}\r\n", parts.len()).into_bytes();
    for part in parts {
        bytes.extend_from_slice(format!("${}\r\n", part.len()).as_bytes());
        bytes.extend_from_slice(part);
        bytes.extend_from_slice(b"\r\n");
    }
    socket.write_all(&bytes).await.expect("it reads");
    let mut answer = [0; 256];
    let read = socket.read(&mut answer).await.expect("it answers");
    assert_ne!(answer.first(), Some(&b'-'), "{}", String::from_utf8_lossy(&answer[..read]));
}

/// A Redis with one good fact, and an engine over it, whose link lasts as long as somebody may read its notices.
async fn good_and() -> (Redis, Namespace, impl Engine, Notices) {
    let server = Redis::start().await;
    let (a, mut heard) = engine(&server, "secret");
    assert_eq!(notice(&mut heard).await, Notice::Up);
    told(&a, telling(1, 2, &[("ann", true)])).await;
    (server, Namespace::new("", "reverb", 0, "1"), a, heard)
}

#[tokio::test]
async fn values_that_no_node_has_written_are_passed_over() {
    let (server, namespace, a, _heard) = good_and().await;
    let good = channel("presence-c");
    let index = namespace.occupied(Partition::of(&good));
    for (field, value) in [
        (&b"negative"[..], &b"-5"[..]),
        (b"nan", b"nan"),
        (b"infinite", b"inf"),
        (b"huge", b"99999999999999999999"),
        (b"text", b"many"),
        (b"\xff\xfe", b"1"),
        (b"no legal name", b"1"),
        (&[b'x'; 5_000], b"1"),
    ] {
        command(&server, &[b"HSET", index.as_bytes(), field, value]).await;
    }
    command(&server, &[b"HSET", namespace.users(&good).as_bytes(), b"\xff", b"1"]).await;
    assert_eq!(a.occupied("").await, Ok(vec![(good.clone(), 2)]));
    let found = a.counts(&[good, channel("negative"), channel("huge")]).await.expect("an answer");
    assert_eq!(found.iter().map(|counts| counts.subscriptions).collect::<Vec<_>>(), [2, 0, 0]);
    assert_eq!(users_of(&a, "presence-c").await, ["ann"]);
}

#[tokio::test]
async fn keys_of_another_type_and_floods_are_passed_over() {
    let (server, namespace, a, _heard) = good_and().await;
    let (good, other) = (channel("presence-c"), channel("a"));
    let index = namespace.occupied(Partition::of(&good));
    for key in [namespace.occupied(Partition::of(&other)), namespace.users(&other)] {
        command(&server, &[b"SET", key.as_bytes(), b"no hash"]).await;
    }
    assert_eq!(a.occupied("").await, Ok(vec![(good.clone(), 2)]));
    assert_eq!(a.counts(std::slice::from_ref(&other)).await, Ok(vec![counts(0, 0)]));
    assert!(users_of(&a, "a").await.is_empty());

    let flood = b"for i = 1, 70000 do redis.call('HSET', KEYS[1], 'c' .. i, 1) end";
    command(&server, &[b"EVAL", flood, b"1", index.as_bytes()]).await;
    command(&server, &[b"EVAL", flood, b"1", namespace.users(&good).as_bytes()]).await;
    assert_eq!(a.occupied("").await, Ok(vec![]), "a flooded partition is left out");
    assert_eq!(a.counts(std::slice::from_ref(&good)).await.expect("an answer")[0].subscriptions, 2);
    assert!(a.users_of(&good).await.is_err());
}

/// Asks until the answer is this one: counts of other servers are told within moments, not at once.
pub(crate) async fn answers(node: &Node, path: &str, params: &[(&str, &str)], expected: &Value) {
    let mut answer = Value::Null;
    let right = async {
        while answer != *expected {
            sleep(Duration::from_millis(20)).await;
            answer = node.api().get(path, params).await.ok();
        }
    };
    let in_time = timeout(PATIENCE, right).await.is_ok();
    assert!(in_time, "{path} {params:?}: {answer} instead of {expected}");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_those_of_all_servers_and_of_one_that_is_cut_off_at_once() {
    let mut redis = Redis::start().await;
    let (a, b) = pair(&redis).await;
    let clients = [a.client().await, b.client().await, b.client().await];
    for node in [&a, &b] {
        answers(node, "/connections", &[], &json!({"connections": 3})).await;
    }
    redis.kill().await;
    let fourth = a.client().await;
    answers(&a, "/connections", &[], &json!({"connections": 4})).await;
    drop((clients, fourth));
    stop(a, b).await;
}

async fn member(node: &Node, user: &str) -> Client {
    let mut client = node.client().await;
    client.join(&node.app, "presence-c", &json!({"user_id": user}).to_string()).await;
    client
}

const COUNTS: [(&str, &str); 1] = [("info", "user_count,subscription_count")];

#[tokio::test(flavor = "multi_thread")]
async fn r_reverb_130_r_sockudo_154_every_server_gives_the_same_answer() {
    let redis = Redis::start().await;
    let (a, b) = pair(&redis).await;
    let mut clients = vec![a.subscriber("room-1").await, b.subscriber("room-1").await];
    clients.extend([b.subscriber("room-2").await, a.user(r#"{"id":"7"}"#).await]);
    clients.extend([member(&a, "ann").await, member(&b, "ann").await, member(&b, "bob").await]);
    let (one, two) = (json!({"subscription_count": 2}), json!({"subscription_count": 1}));
    let presence = json!({"user_count": 2});
    for node in [&a, &b] {
        let all = json!({"channels": {"room-1": one, "room-2": two, "presence-c": presence}});
        answers(node, "/channels", &COUNTS, &all).await;
        let only = [("filter_by_prefix", "room-2"), COUNTS[0]];
        answers(node, "/channels", &only, &json!({"channels": {"room-2": two}})).await;
        let occupied = json!({"occupied": true, "subscription_count": 1});
        answers(node, "/channels/room-2", &COUNTS, &occupied).await;
        answers(node, "/channels/nobody", &[], &json!({"occupied": false})).await;
        let users = json!({"users": [{"id": "ann"}, {"id": "bob"}]});
        answers(node, "/channels/presence-c/users", &[], &users).await;
        let names = json!(["room-1", "room-2", "presence-c"]);
        let event = json!({"name": "e", "data": "", "channels": names, "info": COUNTS[0].1});
        assert_eq!(node.api().post("/events", &event).await.ok(), all);
        let batch = json!({"batch": [{"name": "e", "data": "", "channel": "room-2", "info": COUNTS[0].1}]});
        assert_eq!(node.api().post("/batch_events", &batch).await.ok(), json!({"batch": [two]}));
    }
    drop(clients);
    for node in [&a, &b] {
        answers(node, "/channels", &[], &json!({"channels": {}})).await;
        answers(node, "/channels/presence-c/users", &[], &json!({"users": []})).await;
    }
    stop(a, b).await;
}

/// What was told about ten times a second is asked about more often than that.
#[tokio::test(flavor = "multi_thread")]
async fn r_soketi_608_a_question_right_after_a_change_on_the_same_server_is_answered_right() {
    let redis = Redis::start().await;
    let (a, b) = pair(&redis).await;
    let (at_a, mut at_b) = (a.subscriber("room").await, b.subscriber("room").await);
    answers(&b, "/channels/room", &COUNTS, &json!({"occupied": true, "subscription_count": 2})).await;
    let mut others: Vec<Client> = Vec::new();
    for count in 3..20 {
        others.push(b.subscriber("room").await);
        let answer = b.api().get("/channels/room", &COUNTS).await.ok();
        assert_eq!(answer, json!({"occupied": true, "subscription_count": count}));
    }
    for (other, count) in others.iter_mut().zip((2..19).rev()) {
        other.leave("room").await;
        let answer = b.api().get("/channels", &COUNTS).await.ok();
        assert_eq!(answer, json!({"channels": {"room": {"subscription_count": count}}}));
    }
    at_b.nothing_came().await;
    drop((at_a, at_b, others));
    stop(a, b).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_the_answer_is_what_the_server_has_seen() {
    let mut redis = Redis::start().await;
    let (a, b) = pair(&redis).await;
    let clients = [member(&a, "ann").await, member(&b, "bob").await, b.subscriber("elsewhere").await];
    let both = json!({"users": [{"id": "ann"}, {"id": "bob"}]});
    answers(&a, "/channels/presence-c/users", &[], &both).await;
    redis.kill().await;
    let carl = member(&a, "carl").await;
    let all = json!({"users": [{"id": "ann"}, {"id": "bob"}, {"id": "carl"}]});
    assert_eq!(a.api().get("/channels/presence-c/users", &[]).await.ok(), all);
    let seen = json!({"channels": {"presence-c": {"user_count": 3}}});
    assert_eq!(a.api().get("/channels", &COUNTS).await.ok(), seen);
    redis.start_again().await;
    let again =
        json!({"channels": {"presence-c": {"user_count": 3}, "elsewhere": {"subscription_count": 1}}});
    answers(&a, "/channels", &COUNTS, &again).await;
    drop((clients, carl));
    stop(a, b).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_event_of_a_cache_channel_is_known_where_nobody_listens() {
    let redis = Redis::start().await;
    let (a, b) = pair(&redis).await;
    a.publish_confirmed("cache-c", "e", "kept").await;
    let answer = b.api().get("/channels/cache-c", &[("info", "cache")]).await.ok();
    assert_eq!((&answer["occupied"], &answer["cache"]["data"]), (&json!(false), &json!("kept")));
    let none = b.api().get("/channels/cache-d", &[("info", "cache")]).await.ok();
    assert_eq!(none, json!({"occupied": false, "cache": null}));
    stop(a, b).await;
}
