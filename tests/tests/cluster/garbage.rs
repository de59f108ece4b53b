//! What somebody else writes to the keys and topics of a cluster: it harms nobody, is counted, and is written over.

use std::time::Duration;

use gema_tests::{Client, Metrics, PATIENCE, Receiver, Redis, Setup};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use crate::queries::answers;
use crate::servers::{Node, pair, stop};
use crate::webhooks;

const ROOM: &str = "presence-room";
const REFUSED: &str = "gema_cluster_messages_refused_total{app=\"424242\"}";

/// Makes every key that matches something that it is not. Returns how many there were.
const OTHER_TYPES: &str = "
local keys = redis.call('KEYS', ARGV[1])
for _, key in ipairs(keys) do
  local kind = redis.call('TYPE', key).ok
  redis.call('DEL', key)
  if kind == 'string' then
    redis.call('RPUSH', key, 'garbage')
  else
    redis.call('SET', key, 'garbage')
  end
end
return #keys";

/// Leaves every key that matches its type, and fills it with what nobody can read.
const OTHER_VALUES: &str = "
local keys = redis.call('KEYS', ARGV[1])
for _, key in ipairs(keys) do
  local kind = redis.call('TYPE', key).ok
  if kind == 'hash' then
    for i, field in ipairs(redis.call('HKEYS', key)) do
      redis.call('HSET', key, field, i % 2 == 0 and 'garbage' or '1e300')
    end
    redis.call('HSET', key, 'garbage', 'garbage', '', '', '#', '-1', '/', string.rep('x', 100000))
  elseif kind == 'set' then
    redis.call('SADD', key, 'garbage', '', 'presence-' .. string.rep('x', 1000))
  elseif kind == 'zset' then
    redis.call('ZADD', key, 0, 'garbage', 0, '', 'inf', 'gone', '-inf', string.rep('f', 40))
  elseif kind == 'stream' then
    redis.call('XADD', key, '*', 'garbage', 'garbage')
  else
    redis.call('SET', key, 'garbage')
  end
end
return #keys";

fn spoil(redis: &Redis, script: &str, pattern: &str) {
    let spoilt = redis.cli(&["EVAL", script, "0", pattern]);
    assert!(spoilt.parse::<u64>().is_ok_and(|keys| keys > 0), "{pattern}: {spoilt}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_somebody_else_wrote_over_begins_anew() {
    let redis = Redis::start().await;
    let (a, b) = pair(&redis).await;
    let (mut at_a, mut at_b) = (a.subscriber("private-c").await, b.subscriber("private-c").await);
    let mut number = 0;
    for script in ["return 1", OTHER_TYPES, OTHER_VALUES] {
        for pattern in ["gema:*:log:*", "gema:*:counters:*"] {
            spoil(&redis, script, pattern);
            for node in [&a, &b] {
                number += 1;
                node.publish_confirmed("private-c", "e", &number.to_string()).await;
                for client in [&mut at_a, &mut at_b] {
                    assert_eq!(client.expect("e").await.data, number.to_string(), "{pattern} {script}");
                }
            }
        }
    }
    drop((at_a, at_b));
    stop(a, b).await;
}

/// Until a newcomer at one server is told of, at the other; whatever else is heard meanwhile.
async fn is_seen(at: &Node, watcher: &mut Client, user: &str) -> Client {
    let mut client = at.client().await;
    client.join(&at.app, ROOM, &json!({"user_id": user}).to_string()).await;
    let seen =
        async { while watcher.expect("pusher_internal:member_added").await.inner()["user_id"] != user {} };
    timeout(PATIENCE, seen).await.expect("told of in time");
    client
}

/// Until both servers name exactly these users, and count them.
async fn agree(nodes: [&Node; 2], users: &[&str]) {
    let deadline = Instant::now() + PATIENCE;
    let all: Vec<_> = users.iter().map(|id| json!({"id": id})).collect();
    let expected = (json!({"users": all}), json!({"occupied": true, "user_count": users.len()}));
    for node in nodes {
        loop {
            let mut listed = node.api().get(&format!("/channels/{ROOM}/users"), &[]).await.ok();
            if let Some(listed) = listed["users"].as_array_mut() {
                listed.sort_by_key(|user| user["id"].to_string());
            }
            let counted = node.api().get(&format!("/channels/{ROOM}"), &[("info", "user_count")]).await.ok();
            if (&listed, &counted) == (&expected.0, &expected.1) {
                break;
            }
            assert!(Instant::now() < deadline, "{listed} {counted}");
            sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_that_somebody_else_wrote_over_are_told_again() {
    for script in [OTHER_TYPES, OTHER_VALUES] {
        let redis = Redis::start().await;
        let (a, b) = pair(&redis).await;
        let mut at_a = a.client().await;
        at_a.join(&a.app, ROOM, &json!({"user_id": "ann"}).to_string()).await;
        let mut at_b = is_seen(&b, &mut at_a, "bob").await;
        spoil(&redis, script, "gema:*");
        let one = is_seen(&a, &mut at_b, "cem").await;
        let two = is_seen(&b, &mut at_a, "dan").await;
        agree([&a, &b], &["ann", "bob", "cem", "dan"]).await;
        drop((one, at_a));
        agree([&a, &b], &["bob", "dan"]).await;
        drop((two, at_b));
        stop(a, b).await;
    }
}

/// Publishes to every topic that is asked for what is no message, what was one before somebody cut or changed it, and a
/// genuine entry under another number.
const TO_TOPICS: &str = "
local sent = 0
for _, key in ipairs(redis.call('KEYS', 'gema:*:log:*')) do
  local topic, at = string.gsub(key, ':log:', ':topic:', 1), '1:1:'
  local entry = redis.call('XRANGE', key, '-', '+', 'COUNT', 1)[1][2][4]
  for _, text in ipairs({
    '', 'garbage', '::', '1:2', at, '1:99999999999999999999:' .. entry, 'facts:1:2:', 'gone:1:2:' .. entry,
    'facts:0:0:' .. entry, at .. string.char(255) .. string.sub(entry, 2), at .. string.sub(entry, 1, #entry / 2),
    at .. entry .. entry, at .. string.rep(string.char(0), 1048576), '7:99999999:' .. entry,
  }) do
    sent = sent + redis.call('SPUBLISH', topic, text)
  end
end
return sent";

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_no_server_wrote_are_dropped_counted_and_said_once() {
    let redis = Redis::start().await;
    let server = || Setup::broadcast().node(&redis.url()).env("GEMA_METRICS_PORT", "0").start();
    let (a, b) = tokio::join!(server(), server());
    let (mut at_a, mut at_b) = (a.subscriber("c").await, b.subscriber("c").await);
    let mut number = 0;
    for _ in 0..3 {
        for from in [&a, &b] {
            number += 1;
            from.api().publish("c", "e", &number.to_string()).await;
            for client in [&mut at_a, &mut at_b] {
                assert_eq!(client.expect("e").await.data, number.to_string());
            }
        }
        spoil(&redis, TO_TOPICS, "");
    }
    for gema in [&a, &b] {
        let refused = |metrics: &Metrics| metrics.get(REFUSED) >= 36.0;
        gema.metrics_when(refused).await;
        let log = gema.log();
        assert_eq!(log.matches("it does not begin with two numbers").count(), 1, "{log}");
        assert_eq!(log.matches("does not carry this app's seal").count(), 1, "{log}");
    }
}

/// Until both servers say the same of all channels.
async fn agree_on(nodes: [&Node; 2], channels: &Value) {
    for node in nodes {
        answers(
            node,
            "/channels",
            &[("info", "subscription_count,user_count")],
            &json!({"channels": channels}),
        )
        .await;
    }
}

/// Nobody comes or goes: the question itself heals, and every server tells again what it has.
#[tokio::test(flavor = "multi_thread")]
async fn a_query_heals_what_it_finds_and_every_server_tells_again() {
    let redis = Redis::start().await;
    let (a, b) = pair(&redis).await;
    let mut at_a = a.client().await;
    at_a.join(&a.app, ROOM, &json!({"user_id": "ann"}).to_string()).await;
    let at_b = (is_seen(&b, &mut at_a, "bob").await, b.subscriber("plain").await);
    let all = json!({ROOM: {"user_count": 2}, "plain": {"subscription_count": 1}});
    agree_on([&a, &b], &all).await;
    for (script, pattern) in [
        (OTHER_TYPES, "gema:*:occupied"),
        (OTHER_VALUES, "gema:*:occupied"),
        (OTHER_TYPES, "gema:*:users:*"),
        (OTHER_TYPES, "gema:*"),
    ] {
        spoil(&redis, script, pattern);
        agree_on([&a, &b], &all).await;
        agree([&a, &b], &["ann", "bob"]).await;
    }
    drop((at_a, at_b));
    agree_on([&a, &b], &json!({})).await;
    stop(a, b).await;
}

/// Makes all keys with webhooks something that they are not.
const LEDGERS_OF_OTHER_TYPES: &str = "
local keys = redis.call('KEYS', ARGV[1])
for _, key in ipairs(keys) do
  for _, what in ipairs({ 'proofs', 'records', 'entries', 'batches' }) do
    local name = string.gsub(key, 'records$', what)
    redis.call('DEL', name)
    redis.call('RPUSH', name, 'garbage')
  end
end
return #keys";

/// Fills them with what no script has written: records and batches of every server among it.
const LEDGERS_OF_OTHER_VALUES: &str = "
local keys = redis.call('KEYS', ARGV[1])
local nodes = redis.call('ZRANGE', redis.call('KEYS', 'gema:*:nodes')[1], 0, -1)
for _, key in ipairs(keys) do
  local entries, batches = string.gsub(key, 'records$', 'entries'), string.gsub(key, 'records$', 'batches')
  for _, field in ipairs(redis.call('HKEYS', key)) do
    redis.call('HSET', key, field, 'garbage')
  end
  redis.call('HSET', string.gsub(key, 'records$', 'proofs'), 'garbage', 'garbage', '', '')
  redis.call('ZADD', entries, 0, 'garbage', 0, '', 'inf', 'gone', '-inf', string.rep('f', 66), '-inf', string.rep('0', 66))
  for number, node in ipairs(nodes) do
    for class, text in pairs({ r = 'garbage', w = '', h = 'r 0 ab - presence-room mallory', x = string.rep('x', 100000) }) do
      local id = string.format('%016.0f', 1000 * number + string.byte(class))
      redis.call('ZADD', entries, 0, node .. class .. id .. id)
      redis.call('HSET', key, id, text)
    end
    redis.call('ZADD', entries, 0, node .. 'r', 0, node .. 'w' .. string.rep('x', 100))
    redis.call('HSET', batches, node .. '/garbage', 'garbage', node .. '/', string.rep('x', 17000000))
  end
end
return #keys";

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_go_on_whatever_somebody_else_writes_to_their_keys() {
    let (redis, mut receiver) = (Redis::start().await, Receiver::start().await);
    let (a, b) = webhooks::pair(&redis, &receiver).await;
    let stays = webhooks::ann(&a, ROOM).await;
    let mut told = Vec::new();
    for (round, script) in
        ["return 1", LEDGERS_OF_OTHER_TYPES, LEDGERS_OF_OTHER_VALUES, LEDGERS_OF_OTHER_TYPES]
            .iter()
            .enumerate()
    {
        for (number, server) in [&a, &b].into_iter().enumerate() {
            let user = format!("user-{round}-{number}");
            let is = |name: &str, event: &Value| event["name"] == name && event["user_id"] == *user;
            let mut client = server.client().await;
            client.join(&server.app, ROOM, &json!({"user_id": user}).to_string()).await;
            told.extend(receiver.events_until(&a.app, |event| is("member_added", event)).await);
            spoil(&redis, script, "gema:*:records");
            // A new link reads again what was handed out and kept.
            redis.cli(&["CLIENT", "KILL", "TYPE", "normal"]);
            drop(client);
            told.extend(receiver.events_until(&a.app, |event| is("member_removed", event)).await);
        }
    }
    let known = |user: &str| user == "ann" || user.starts_with("user-");
    assert!(told.iter().all(|event| event["user_id"].as_str().is_none_or(known)), "{told:?}");
    drop(stays);
    stop(a, b).await;
}
