//! What every place where nodes meet must do about leases and deaths: run on memory, and on a Redis of the test's own.

use std::time::Duration;

use gema_cluster::engine::{Engine, Notice, Notices};
use gema_cluster::entry::Origin;
use gema_cluster::lease::{LEASE, Places, Renewal, Renewed, Standing};
use gema_cluster::name::{Namespace, Partition};
use gema_cluster::redis::{Address, Redis as RedisEngine};
use gema_cluster::replica::Delta;
use gema_cluster::seal::Sealer;
use gema_cluster::telling::{Telling, Told};
use gema_protocol::app::Secret;
use gema_protocol::channel::ChannelName;
use gema_tests::{Memory, Redis};

use super::contract::{channel, facts, notice, telling};

/// How long leases stand in Redis here.
const SHORT: Duration = Duration::from_secs(3);
const LIMIT: Option<u64> = Some(100);

/// A node of an app of its own: the tests share a Redis and no more.
fn engine(address: &Address, app: &str, secret: &str, unique: u128) -> (RedisEngine, Notices) {
    let address = address.clone().patient(10);
    let sealer = Sealer::new(&Secret::new(secret.to_owned()));
    RedisEngine::start(address, Namespace::new("", "reverb", 0, app), sealer, unique)
}

fn renewal(node: u128, first: bool, connections: u64, wanted: u64) -> Renewal {
    Renewal { node: Origin(node), first, connections, wanted, limit: LIMIT }
}

async fn renewed(engine: &impl Engine, renewal: Renewal) -> Option<Standing> {
    match engine.renew(&renewal).await.expect("an answer") {
        Renewed::Stands(standing) => Some(standing),
        Renewed::Ended => None,
    }
}

/// `wait` ends when leases of now have ended.
async fn leases_end_and_are_not_revived(a: impl Engine, wait: impl AsyncFn()) {
    let begun = renewed(&a, renewal(7, true, 5, 0)).await.expect("it stands");
    assert_eq!((begun.elsewhere, begun.ended), (0, vec![]));
    assert_eq!(renewed(&a, renewal(8, false, 1, 0)).await, None, "nobody knows it");
    assert_eq!(renewed(&a, renewal(8, true, 1, 0)).await.expect("it stands").elsewhere, 5);
    assert_eq!(renewed(&a, renewal(7, false, 4, 0)).await.expect("it stands").elsewhere, 1);
    assert!(renewed(&a, renewal(7, true, 4, 0)).await.is_some(), "the answer was lost, so it begins again");
    wait().await;
    the_dead_stay_dead(a).await;
}

/// The leases of 7 and 8 have ended.
async fn the_dead_stay_dead(a: impl Engine) {
    assert_eq!(renewed(&a, renewal(7, false, 5, 0)).await, None);
    assert_eq!(renewed(&a, renewal(7, true, 5, 0)).await, None);
    let mut other = renewed(&a, renewal(9, true, 0, 0)).await.expect("it stands");
    other.ended.sort();
    assert_eq!((other.elsewhere, other.ended), (0, vec![Origin(7), Origin(8)]), "the dead have no clients");
    assert_eq!(a.bury(Origin(7)).await, Ok(true));
    assert_eq!(a.bury(Origin(7)).await, Ok(false), "somebody did it before");
    assert_eq!(renewed(&a, renewal(7, true, 5, 0)).await, None, "not even when it is forgotten");
    assert_eq!(renewed(&a, renewal(9, false, 0, 0)).await.expect("it stands").ended, [Origin(8)]);
}

async fn places_are_kept_for_those_who_wait(a: impl Engine) {
    let places = async |renewal| renewed(&a, renewal).await.expect("it stands").places;
    assert_eq!(places(renewal(1, true, 0, 0)).await, Places { given: 0, left: 100, nodes: 1 });
    assert_eq!(places(renewal(2, true, 0, 30)).await, Places { given: 30, left: 70, nodes: 2 });
    assert_eq!(places(renewal(1, false, 10, 100)).await, Places { given: 60, left: 0, nodes: 2 });
    assert_eq!(places(renewal(2, false, 30, 1)).await, Places { given: 0, left: 0, nodes: 2 });
    assert_eq!(places(renewal(1, false, 5, 0)).await, Places { given: 0, left: 65, nodes: 2 });
    assert_eq!(places(renewal(2, false, 30, 1)).await, Places { given: 1, left: 64, nodes: 2 });
    let unlimited = Renewal { limit: None, ..renewal(2, false, 9, 1) };
    assert_eq!(places(unlimited).await, Places { given: 0, left: 0, nodes: 2 });
}

async fn tell(engine: &impl Engine, node: u128, telling: Telling) -> Told {
    engine.tell(&Telling { node: Origin(node), ..telling }).await.expect("an answer")
}

/// Two nodes take away a third's facts at the same time; it has some in two partitions.
async fn the_dead_are_taken_away(a: impl Engine, b: impl Engine, mut heard: Notices) {
    assert_eq!(notice(&mut heard).await, Notice::Up);
    let (here, there) = (channel("presence-c"), channel("presence-d"));
    let elsewhere = Telling { channel: there.clone(), ..telling(2, 1, &[("ann", true)]) };
    tell(&a, 7, telling(1, 2, &[("ann", true), ("b/ob", true)])).await;
    tell(&a, 8, telling(1, 1, &[("ann", true)])).await;
    let elsewhere = tell(&a, 7, elsewhere).await;
    b.subscribe(&[here.clone(), there.clone()]).await.expect("an answer");
    let before = b.snapshot(&here).await.expect("an answer");

    let partition = Partition::of(&here);
    let (one, two) = tokio::join!(a.reap(Origin(7), partition), b.reap(Origin(7), partition));
    assert_eq!((one, two), (Ok(()), Ok(())));
    let delta = death(&mut heard, &here).await;
    assert_eq!(delta.follows, before.version);
    let after = b.snapshot(&here).await.expect("an answer");
    let of_8 = Telling { node: Origin(8), ..telling(0, 0, &[("ann", true)]) };
    assert_eq!((after.version, after.facts), (delta.version, facts(&of_8)));
    assert_eq!(tell(&a, 7, telling(9, 1, &[("ann", true)])).await, Told::Dead);

    // Nothing was announced twice, and nothing happened elsewhere.
    let rest = b.snapshot(&there).await.expect("an answer");
    assert_eq!((Told::Taken(rest.version), rest.facts.len()), (elsewhere, 1));
    a.reap(Origin(7), Partition::of(&there)).await.expect("an answer");
    death(&mut heard, &there).await;
}

/// The next notice: node 7 is gone from a channel.
async fn death(heard: &mut Notices, from: &ChannelName) -> Delta {
    let Notice::Delta { channel, delta } = notice(heard).await else { panic!("no delta") };
    assert_eq!((&channel, delta.gone), (from, Some(Origin(7))));
    delta
}

/// More channels than one call of a script does.
async fn many_channels_are_done_in_turns(a: impl Engine, b: impl Engine, mut heard: Notices) {
    assert_eq!(notice(&mut heard).await, Notice::Up);
    let partition = Partition::of(&channel("presence-0"));
    let names = (0..).map(|number| channel(&format!("presence-{number}")));
    let channels: Vec<_> = names.filter(|name| Partition::of(name) == partition).take(520).collect();
    for (number, channel) in (1..).zip(channels.clone()) {
        tell(&a, 7, Telling { channel, ..telling(number, 1, &[("ann", true)]) }).await;
    }
    let last = channels.last().expect("some").clone();
    b.subscribe(std::slice::from_ref(&last)).await.expect("an answer");
    a.reap(Origin(7), partition).await.expect("an answer");
    for channel in &channels {
        assert_eq!(b.snapshot(channel).await.expect("an answer").facts, []);
    }
    death(&mut heard, &last).await;
}

/// A death that somebody without the app's secret announces is heard by nobody.
async fn deaths_are_not_believed_to_strangers(stranger: impl Engine, b: impl Engine, mut heard: Notices) {
    assert_eq!(notice(&mut heard).await, Notice::Up);
    let name = channel("presence-c");
    b.subscribe(std::slice::from_ref(&name)).await.expect("an answer");
    for node in [7, 8] {
        tell(&b, node, telling(1, 1, &[("ann", true)])).await;
        assert!(matches!(notice(&mut heard).await, Notice::Delta { .. }));
    }
    stranger.reap(Origin(7), Partition::of(&name)).await.expect("an answer");
    b.reap(Origin(8), Partition::of(&name)).await.expect("an answer");
    let Notice::Delta { delta, .. } = notice(&mut heard).await else { panic!("no delta") };
    assert_eq!(delta.gone, Some(Origin(8)));
}

#[tokio::test]
async fn memory_keeps_leases_places_and_no_facts_of_the_dead() {
    let memory = Memory::default();
    let later = async || memory.advance(LEASE);
    leases_end_and_are_not_revived(memory.join().0, later).await;
    places_are_kept_for_those_who_wait(Memory::default().join().0).await;
    for many in [false, true] {
        let memory = Memory::default();
        let (a, _) = memory.join();
        let (b, heard) = memory.join();
        match many {
            false => the_dead_are_taken_away(a, b, heard).await,
            true => many_channels_are_done_in_turns(a, b, heard).await,
        }
    }
}

#[tokio::test]
async fn redis_keeps_leases_places_and_no_facts_of_the_dead() {
    let server = Redis::start().await;
    let address = Address::parse(&server.url()).expect("an address");
    let (ending, mut heard) = engine(&address.clone().lease(SHORT), "leases", "secret", 1);
    assert_eq!(notice(&mut heard).await, Notice::Up);
    let wait = async || tokio::time::sleep(SHORT + Duration::from_millis(1)).await;
    // By itself: it has no more time than a lease.
    leases_end_and_are_not_revived(ending, wait).await;
    leases_hold(&address).await;
}

/// All of it that does not wait for the end of a lease, at a Redis of any kind.
pub(super) async fn leases_hold(server: &Address) {
    let node = async |app: &str, unique| {
        let (engine, mut heard) = engine(server, app, "secret", unique);
        assert_eq!(notice(&mut heard).await, Notice::Up);
        engine
    };
    tokio::join!(
        async { places_are_kept_for_those_who_wait(node("places", 2).await).await },
        async {
            let a = node("deaths", 3).await;
            let (b, heard) = engine(server, "deaths", "secret", 4);
            the_dead_are_taken_away(a, b, heard).await;
        },
        async {
            let a = node("many", 5).await;
            let (b, heard) = engine(server, "many", "secret", 6);
            many_channels_are_done_in_turns(a, b, heard).await;
        },
        async {
            let (stranger, mut up) = engine(server, "strangers", "another", 7);
            assert_eq!(notice(&mut up).await, Notice::Up);
            let (b, heard) = engine(server, "strangers", "secret", 8);
            deaths_are_not_believed_to_strangers(stranger, b, heard).await;
        },
    );
}
