//! Keys that somebody else has made something of, read one by one: nobody waits, nothing too large comes in, each find is
//! counted, and afterwards all goes on.

use std::time::Duration;

use gema_cluster::engine::{Engine, EngineError, Notice, Notices};
use gema_cluster::entry::Origin;
use gema_cluster::name::{Namespace, Partition};
use gema_cluster::outgoing::Answer;
use gema_cluster::redis::Redis as RedisEngine;
use gema_cluster::telling::{Telling, Told};
use gema_cluster::webhook::{Rules, Webhooks};
use gema_protocol::webhook::Kinds;
use gema_tests::{PATIENCE, Redis};
use tokio::time::{Instant, sleep};

use super::contract::{append, channel, engine, notice, telling};

/// The channel of [`telling`].
const ROOM: &str = "presence-c";

async fn start() -> (Redis, RedisEngine, Notices) {
    let server = Redis::start().await;
    let (engine, mut heard) = engine(&server, "secret");
    assert_eq!(notice(&mut heard).await, Notice::Up);
    (server, engine, heard)
}

fn names() -> Namespace {
    Namespace::new("", "reverb", 0, "1")
}

/// Runs a script over one key; it must succeed.
fn write(server: &Redis, lua: &str, key: &str, arg: &str) {
    assert_eq!(server.cli(&["EVAL", &format!("{lua} return 'done'"), "1", key, arg]).trim(), "done");
}

/// Asks until there is a link: a busy machine may lose it over the work of making so much.
async fn asked<T>(ask: impl AsyncFn() -> Result<T, EngineError>) -> Result<T, EngineError> {
    let deadline = Instant::now() + 2 * PATIENCE;
    loop {
        match ask().await {
            Err(EngineError::Down(_) | EngineError::Timeout(_)) if Instant::now() < deadline => {
                sleep(Duration::from_millis(50)).await;
            }
            answered => return answered,
        }
    }
}

/// Something is found, and counted.
async fn counted<T>(engine: &RedisEngine, find: impl Future<Output = T>) -> T {
    let before = engine.refused();
    let found = find.await;
    assert!(engine.refused() > before, "what was found is in the metric");
    found
}

#[tokio::test]
async fn a_last_event_that_somebody_else_wrote_is_none_and_the_next_is_kept() {
    let (server, engine, _heard) = start().await;
    let (name, key) = (channel("cache-c"), names().last_event(&channel("cache-c")));
    let minute = Duration::from_secs(60);
    for (sequence, lua) in (1..).zip([
        "redis.call('SET', KEYS[1], 'garbage')",
        "redis.call('SET', KEYS[1], 'garbage', 'PX', 60000)",
        "redis.call('SET', KEYS[1], '', 'PX', 60000)",
        "redis.call('PERSIST', KEYS[1])",
        "redis.call('SETRANGE', KEYS[1], 3, 'x')",
        "redis.call('SET', KEYS[1], string.rep('x', 70000000), 'PX', 60000)",
        "redis.call('DEL', KEYS[1]) redis.call('RPUSH', KEYS[1], 'garbage')",
        "redis.call('DEL', KEYS[1]) redis.call('HSET', KEYS[1], 'garbage', 'garbage')",
    ]) {
        write(&server, lua, &key, "");
        assert_eq!(counted(&engine, asked(|| engine.last_event(&name))).await, Ok(None), "{lua}");
        let append = append("cache-c", sequence, None);
        let appended = asked(|| engine.append(&append, Some(("kept", minute)))).await;
        assert!(matches!(appended, Ok(Answer::Appended(_))), "{lua}: {appended:?}");
        let kept = asked(|| engine.last_event(&name)).await.expect("an answer").expect("it is kept");
        assert_eq!(kept.0, "kept", "{lua}");
    }
}

#[tokio::test]
async fn a_mark_that_would_hide_missed_events_for_good_is_written_over() {
    let (server, engine, _heard) = start().await;
    let (name, key) = (channel("cache-c"), names().missed(&channel("cache-c")));
    let period = Duration::from_secs(60);
    for lua in [
        "redis.call('SET', KEYS[1], 'garbage')",
        "redis.call('SET', KEYS[1], 'garbage', 'PX', 9000000000000)",
        "redis.call('DEL', KEYS[1]) redis.call('RPUSH', KEYS[1], 'garbage')",
    ] {
        write(&server, lua, &key, "");
        assert_eq!(counted(&engine, engine.is_first_miss(&name, period)).await, Ok(true), "{lua}");
        assert_eq!(engine.is_first_miss(&name, period).await, Ok(false), "{lua}");
    }
}

/// 70 MiB, where 16 of a log and 64 of facts are read.
#[tokio::test]
async fn more_than_can_be_read_does_not_come_in() {
    let (server, engine, _heard) = start().await;
    let first = engine.append(&append("c", 1, None), None).await;
    assert!(matches!(first, Ok(Answer::Appended(_))));
    let log = "for i = 1, 70 do redis.call('XADD', KEYS[1], '1-' .. i, 'at', 1, 'entry', string.rep('x', 1048576)) end";
    write(&server, log, &names().log(&channel("c")), "");
    let name = channel("c");
    let page = counted(&engine, asked(|| engine.page(&name, None))).await.expect("an answer");
    assert_eq!(page.entries, [(1, append("c", 1, None).entry)]);
    let next = append("c", 2, None);
    let appended = asked(|| engine.append(&next, None)).await;
    assert!(matches!(appended, Ok(Answer::Appended(_))), "{appended:?}");

    let name = channel(ROOM);
    let told = telling(1, 1, &[("ann", true)]);
    let taken = asked(|| engine.tell(&told)).await;
    assert!(matches!(taken, Ok(Told::Taken(_))), "{taken:?}");
    let facts = "for i = 1, 70 do redis.call('HSET', KEYS[1], string.rep('0', 31) .. '9/' .. i, string.rep('x', 1048576)) end";
    write(&server, facts, &names().facts(&name), "");
    let refused = counted(&engine, asked(|| engine.snapshot(&name))).await;
    assert!(matches!(refused, Err(EngineError::Answer(_))), "{refused:?}");
    let told = telling(2, 1, &[("ann", true)]);
    let taken = asked(|| engine.tell(&told)).await;
    assert!(matches!(taken, Ok(Told::Taken(_))), "{taken:?}");
    let snapshot = asked(|| engine.snapshot(&name)).await.expect("an answer");
    assert_eq!((snapshot.facts.len(), snapshot.counts.len()), (1, 1));
}

#[tokio::test]
async fn fields_of_no_node_are_taken_out_of_facts_and_names_of_no_channel_out_of_the_list() {
    let (server, engine, _heard) = start().await;
    let (name, here) = (channel(ROOM), Partition::of(&channel(ROOM)));
    let told = telling(1, 1, &[("ann", true)]);
    assert!(matches!(engine.tell(&told).await, Ok(Told::Taken(_))));
    let right = engine.snapshot(&name).await.expect("an answer");
    for field in ["", "#", "/", "garbage", "#garbage", "x/y", "#000000000000000000000000000000zz"] {
        write(&server, "redis.call('HSET', KEYS[1], ARGV[1], 'garbage')", &names().facts(&name), field);
        assert_eq!(counted(&engine, engine.snapshot(&name)).await.as_ref(), Ok(&right), "{field}");
        let refused = engine.refused();
        assert_eq!(
            (engine.snapshot(&name).await.as_ref(), engine.refused()),
            (Ok(&right), refused),
            "it is gone"
        );
    }
    // What has a node's form is never believed: it is not sealed for its place.
    let field = format!("{:032x}/eve", 9);
    write(&server, "redis.call('HSET', KEYS[1], ARGV[1], 'garbage')", &names().facts(&name), &field);
    assert_eq!(counted(&engine, engine.snapshot(&name)).await.as_ref(), Ok(&right));

    let list = names().channels_of(told.node, here);
    let strange =
        "redis.call('SADD', KEYS[1], 'no name', '', string.rep('x', 100000), 'elsewhere-1', 'elsewhere-2')";
    write(&server, strange, &list, "");
    assert_eq!(counted(&engine, engine.channels_of(told.node, here)).await, Ok(vec![name.clone()]));
    assert_eq!(counted(&engine, engine.reap(told.node, here)).await, Ok(()));
    assert_eq!(server.cli(&["EXISTS", &list]).trim(), "0");
    assert_eq!(engine.occupied("").await, Ok(vec![]));
}

#[tokio::test]
async fn a_death_is_worked_off_whatever_somebody_made_of_its_keys() {
    let (server, engine, _heard) = start().await;
    let (name, here, names) = (channel(ROOM), Partition::of(&channel(ROOM)), names());
    engine.decide(Rules { kinds: Kinds::ALL, grace: Duration::ZERO });
    for (number, key) in (1..).zip([
        names.taken(here),
        names.occupied(here),
        names.facts(&name),
        names.users(&name),
        names.proofs(here),
        names.records(here),
        names.entries(here),
    ]) {
        let said_by = |node, number, user: &[(&str, bool)]| {
            let subscriptions = user.iter().filter(|(_, is_in)| *is_in).count() as u64;
            Telling { node: Origin(node), whole: true, ..telling(number, subscriptions, user) }
        };
        let (dead, bob) = (1_000 + u128::from(number), [("bob", true)]);
        for told in [said_by(dead, 1, &[("ann", true)]), said_by(2, 10 * number, &bob)] {
            assert!(matches!(engine.tell(&told).await, Ok(Told::Taken(_))), "{key}");
        }
        write(&server, "redis.call('DEL', KEYS[1]) redis.call('SET', KEYS[1], 'garbage')", &key, "");
        assert_eq!(counted(&engine, engine.reap(Origin(dead), here)).await, Ok(()), "{key}");
        // Every node tells again what it has.
        let told = engine.tell(&said_by(2, 10 * number + 1, &bob)).await;
        assert!(matches!(told, Ok(Told::Taken(_))), "{key}");
        assert_eq!(engine.occupied("").await, Ok(vec![(name.clone(), 1)]), "{key}");
        assert_eq!(engine.users_of(&name).await, Ok(vec!["bob".to_owned()]), "{key}");
        let told = engine.tell(&said_by(2, 10 * number + 2, &[("bob", false)])).await;
        assert!(matches!(told, Ok(Told::Taken(_))), "{key}");
        assert_eq!(engine.occupied("").await, Ok(vec![]), "{key}");
    }
}

#[tokio::test]
async fn nothing_is_waited_for_that_can_never_be_due() {
    let (server, engine, _heard) = start().await;
    let (node, here) = (Origin(7), Partition::of(&channel("c")));
    let own = format!("{:032x}", node.0);
    let strange = format!(
        "for _, rest in ipairs({{ 'r', 'rx', 'w', 'w5', 'wx', 'w' .. string.rep('9', 33), 'h', 'hx' }}) do
           redis.call('ZADD', KEYS[1], 0, '{own}' .. rest)
         end
         redis.call('ZADD', KEYS[1], '-inf', string.rep('f', 65), 1, '', 'inf', string.rep('0', 65))"
    );
    write(&server, &strange, &names().entries(here), "");
    let mut takes = 0;
    let look = async {
        while engine.take(node, here).await.expect("an answer").expect("a living node").next.is_some() {
            takes += 1;
        }
        engine.handed(node, here, None).await
    };
    assert_eq!(counted(&engine, look).await, Ok(vec![]));
    assert!(takes < 8, "{takes}");
    assert_eq!(server.cli(&["ZCARD", &names().entries(here)]).trim(), "0");
}

#[tokio::test]
async fn a_batch_is_dropped_and_a_successor_found_whatever_somebody_made_of_their_keys() {
    let (server, engine, _heard) = start().await;
    let (node, here) = (Origin(7), Partition::of(&channel("c")));
    let list = "redis.call('DEL', KEYS[1]) redis.call('RPUSH', KEYS[1], 'garbage')";
    write(&server, list, &names().batches(here), "");
    assert_eq!(counted(&engine, engine.drop_kept(node, here, "d")).await, Ok(()));
    write(&server, list, &names().batches(here), "");
    assert_eq!(counted(&engine, engine.kept(node, here)).await, Ok(vec![]));
    let own =
        format!("redis.call('HSET', KEYS[1], '{:032x}/' .. ARGV[1], string.rep('x', 17000000))", node.0);
    for delivery in ["", "d", "/", "d/d"] {
        write(&server, &own, &names().batches(here), delivery);
        assert_eq!(counted(&engine, engine.kept(node, here)).await, Ok(vec![]), "{delivery}");
        assert_eq!(server.cli(&["EXISTS", &names().batches(here)]).trim(), "0", "{delivery}");
    }
    for lua in
        [list, "redis.call('SET', KEYS[1], 'garbage')", "redis.call('SET', KEYS[1], string.rep('x', 32))"]
    {
        write(&server, lua, &names().successor(node), "");
        assert_eq!(engine.successor(node, Origin(8), None).await, Ok(Origin(8)), "{lua}");
    }
}
