//! Fan-out over real loopback sockets: order, exclusion, joins and leaves between and during flushes.

use std::collections::BTreeSet;

use gema_protocol::limits::{COUNTED_AT_ONCE, Limits, Profile};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use super::members::Members;
use super::*;
use crate::registration::random_id;

/// A subscriber's two ends: what the server writes to and what the client reads from.
async fn pair(listener: &TcpListener) -> (Arc<Outbound>, TcpStream) {
    let client = TcpStream::connect(listener.local_addr().unwrap());
    let (client, server) = tokio::join!(client, listener.accept());
    let (server, _) = server.unwrap();
    server.writable().await.unwrap();
    (Arc::new(Outbound::new(random_id(), server, 1 << 20)), client.unwrap())
}

/// The frame that confirms a subscription; tests read it as `+`.
fn confirmation() -> String {
    String::from_utf8_lossy(&gema_protocol::frame::subscription_succeeded("orders")).into_owned()
}

fn channel() -> Arc<Channel> {
    Arc::new(Channel::new(ChannelName::parse("orders", 200).unwrap(), None, Arc::default()))
}

fn joiner(outbound: &Arc<Outbound>) -> Joiner<'_> {
    Joiner { outbound, member: None, most_members: None, then: None, now_ms: 0 }
}

fn join(channel: &Arc<Channel>, outbound: &Arc<Outbound>) -> Joined {
    channel.join(&joiner(outbound)).unwrap()
}

fn member(id: u8) -> Member {
    Member::parse(&format!(r#"{{"user_id":"{id}"}}"#), &Limits::of(Profile::Reverb)).unwrap()
}

/// What the client receives up to the server's end of stream.
async fn read_all(outbound: &Outbound, client: &mut TcpStream) -> String {
    std::future::poll_fn(|cx| outbound.poll_drain(cx)).await.unwrap();
    outbound.finish_writing();
    let mut bytes = Vec::new();
    client.read_to_end(&mut bytes).await.unwrap();
    String::from_utf8_lossy(&bytes).replace(&confirmation(), "+")
}

#[tokio::test]
async fn a_greeting_precedes_events_and_nothing_follows_a_leave() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (channel, (outbound, mut client)) = (channel(), pair(&listener).await);
    let joined = join(&channel, &outbound);
    channel.publish(Bytes::from_static(b"1"), To::default()).wait().await;
    channel.publish(Bytes::from_static(b"2"), To::default()).wait().await;
    assert!(channel.leave(&joined), "the last one out closes the channel");
    channel.publish(Bytes::from_static(b"3"), To::default()).wait().await;
    assert_eq!(read_all(&outbound, &mut client).await, "+12");
    assert!(channel.join(&joiner(&outbound)).is_err(), "a closed channel lets nobody in");
}

#[tokio::test]
async fn a_leave_is_final_also_for_a_fan_out_under_way() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (channel, (outbound, mut client)) = (channel(), pair(&listener).await);
    let joined = join(&channel, &outbound);
    let snapshot = channel.snapshot();
    channel.leave(&joined);
    let mut round = Round::default();
    round.push(1, Bytes::from_static(b"late"), To::default());
    round.frames().send_to(&snapshot[0], &mut Sent::default());
    assert_eq!(read_all(&outbound, &mut client).await, "+");
}

#[tokio::test]
async fn r_reverb_246_the_excluded_socket_misses_its_own_event_only() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let channel = channel();
    let (a, mut client_a) = pair(&listener).await;
    let (b, mut client_b) = pair(&listener).await;
    let _members = [join(&channel, &a), join(&channel, &b)];
    let mut round = Round::default();
    let events = [("1", None), ("2", Some(a.id())), ("3", Some(b.id())), ("4", None)];
    for (number, (frame, except)) in (1..).zip(events) {
        round.push(number, Bytes::from_static(frame.as_bytes()), To::all_but(except));
    }
    for chunk in channel.snapshot() {
        round.frames().send_to(&chunk, &mut Sent::default());
    }
    assert_eq!(read_all(&a, &mut client_a).await, "+134");
    assert_eq!(read_all(&b, &mut client_b).await, "+124");
}

#[tokio::test]
async fn whoever_joins_while_an_event_is_pending_gets_the_newer_ones_only() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (channel, (outbound, mut client)) = (channel(), pair(&listener).await);
    channel.pending.lock().push(Bytes::from_static(b"old"), To::default());
    let _member = join(&channel, &outbound);
    channel.pending.lock().push(Bytes::from_static(b"new"), To::default());
    channel.clone().flush_in_turns().await;
    assert_eq!(read_all(&outbound, &mut client).await, "+new");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_channel_gets_every_event_of_concurrent_publishers_in_their_order() {
    const SUBSCRIBERS: usize = CHUNK + 40;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let channel = channel();
    let mut clients = Vec::new();
    for _ in 0..SUBSCRIBERS {
        let (outbound, client) = pair(&listener).await;
        let joined = join(&channel, &outbound);
        clients.push((outbound, client, joined));
    }
    let publishers = ["a", "b", "c"].map(|name| {
        let channel = channel.clone();
        tokio::spawn(async move {
            for n in 0..50 {
                channel.publish(Bytes::from(format!("{name}{n} ")), To::default()).wait().await;
            }
        })
    });
    for publisher in publishers {
        publisher.await.unwrap();
    }
    for (outbound, client, _) in &mut clients {
        let text = read_all(outbound, client).await;
        let events: Vec<&str> = text.trim_start_matches('+').split_whitespace().collect();
        assert_eq!(events.len(), 150);
        for name in ["a", "b", "c"] {
            let of_one: Vec<&str> = events.iter().copied().filter(|e| e.starts_with(name)).collect();
            assert_eq!(of_one, (0..50).map(|n| format!("{name}{n}")).collect::<Vec<_>>());
        }
    }
}

/// The names of the events in what a client received, in order.
fn events(text: &str) -> Vec<&str> {
    text.split(r#""event":""#).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[tokio::test]
async fn presence_tells_the_others_once_per_user_and_never_oneself() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let channel =
        Arc::new(Channel::new(ChannelName::parse("presence-a", 200).unwrap(), None, Arc::default()));
    let (first, second) = (member(1), member(2));
    let mut sockets = Vec::new();
    let mut inside = Vec::new();
    for member in [&first, &second, &second] {
        let (outbound, client) = pair(&listener).await;
        inside.push(channel.join(&Joiner { member: Some(member), ..joiner(&outbound) }).unwrap());
        sockets.push((outbound, client));
    }
    assert_eq!((channel.subscription_count(), channel.user_count()), (3, 2));
    channel.leave(&inside[1]);
    channel.leave(&inside[2]);
    let mut seen = Vec::new();
    for (outbound, client) in &mut sockets {
        seen.push(read_all(outbound, client).await);
    }
    let (ok, added, removed) = ("subscription_succeeded", "member_added", "member_removed");
    let short = |text| {
        events(text).into_iter().map(|name| name.trim_start_matches("pusher_internal:")).collect::<Vec<_>>()
    };
    assert_eq!(short(&seen[0]), [ok, added, removed]);
    assert_eq!(short(&seen[1]), [ok], "the user's own connections are told nothing of it");
    assert_eq!(short(&seen[2]), [ok]);
    assert!(seen[2].contains(r#"\"count\":2"#), "{}", seen[2]);
}

/// Ids in the member events of what a client received, in order, with `+` or `-` before them.
fn changes(text: &str) -> Vec<String> {
    let parts = text.split(r#""event":"pusher_internal:member_"#).skip(1);
    let read = |part: &str| {
        let sign = if part.starts_with("added") { '+' } else { '-' };
        let (_, id) = part.split_once(r#"{\"user_id\":\""#).unwrap();
        format!("{sign}{}", id.split('\\').next().unwrap())
    };
    parts.map(read).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threads_that_join_and_leave_as_the_same_users_are_told_in_pairs() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let channel =
        Arc::new(Channel::new(ChannelName::parse("presence-a", 200).unwrap(), None, Arc::default()));
    let (observer, mut client) = pair(&listener).await;
    let watches = member(0);
    let _stays = channel.join(&Joiner { member: Some(&watches), ..joiner(&observer) }).unwrap();
    let mut busy = Vec::new();
    for task in 0..4_u8 {
        let (channel, (outbound, client)) = (channel.clone(), pair(&listener).await);
        busy.push(tokio::spawn(async move {
            let user = member(1 + task % 2);
            for _ in 0..200 {
                let joined = channel.join(&Joiner { member: Some(&user), ..joiner(&outbound) }).unwrap();
                channel.leave(&joined);
            }
            let stays = (task == 0)
                .then(|| channel.join(&Joiner { member: Some(&user), ..joiner(&outbound) }).unwrap());
            (outbound, client, stays)
        }));
    }
    let mut connections = Vec::new();
    for task in busy {
        connections.push(task.await.unwrap());
    }
    assert_eq!(channel.user_ids(), ["0", "1"]);
    // Whoever flushes: when this has been served, so has everything before it.
    channel.publish(Bytes::from_static(b"end"), To::default()).wait().await;
    let told = changes(&read_all(&observer, &mut client).await);
    for (id, stays) in [("1", true), ("2", false)] {
        let of_one: Vec<&String> = told.iter().filter(|change| change[1..] == *id).collect();
        assert!(
            of_one.iter().enumerate().all(|(at, change)| change.starts_with('+') == (at % 2 == 0)),
            "{told:?}"
        );
        assert_eq!(of_one.len() % 2 == 1, stays, "{told:?}");
    }
}

#[tokio::test]
async fn a_full_presence_channel_takes_further_connections_of_its_members_only() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let channel =
        Arc::new(Channel::new(ChannelName::parse("presence-a", 200).unwrap(), None, Arc::default()));
    let (outbound, _client) = pair(&listener).await;
    let (first, second) = (member(1), member(2));
    let as_member = |member| Joiner { member: Some(member), most_members: Some(1), ..joiner(&outbound) };
    assert!(channel.join(&as_member(&first)).is_ok());
    assert!(matches!(channel.join(&as_member(&second)), Err(Refused::Full(1))));
    assert!(channel.join(&as_member(&first)).is_ok());
    assert_eq!((channel.subscription_count(), channel.user_count()), (2, 1));
}

#[tokio::test]
async fn members_fill_the_gaps_of_those_who_left() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (outbound, _client) = pair(&listener).await;
    let subscription = || {
        Arc::new(Subscription {
            outbound: outbound.clone(),
            live: AtomicBool::new(true),
            since: 0,
            joined_ms: 0,
        })
    };
    let mut members = Members::default();
    let mut inside: Vec<_> =
        (0..3 * CHUNK).map(|_| subscription()).map(|s| (members.join(s.clone()), s)).collect();
    let before = members.snapshot();
    for (slot, subscription) in inside.drain(CHUNK / 2..CHUNK * 2) {
        members.leave(slot, &subscription);
    }
    assert_eq!(members.len(), 3 * CHUNK / 2);
    assert_eq!(
        before.iter().map(|chunk| chunk.len()).sum::<usize>(),
        3 * CHUNK,
        "a snapshot does not change"
    );
    inside.extend((0..3 * CHUNK / 2).map(|_| subscription()).map(|s| (members.join(s.clone()), s)));
    assert_eq!(members.snapshot().len(), 3, "gaps are filled before a chunk is added");
    let standing: BTreeSet<_> =
        members.snapshot().iter().flat_map(|c| c.iter().map(Arc::as_ptr).collect::<Vec<_>>()).collect();
    assert_eq!(standing, inside.iter().map(|(_, s)| Arc::as_ptr(s)).collect());
}

/// The counts in what a client received, in order.
fn counts(text: &str) -> Vec<usize> {
    let parts = text.split(r#"\"subscription_count\":"#).skip(1);
    parts.filter_map(|rest| rest.split('}').next()?.parse().ok()).collect()
}

#[tokio::test]
async fn a_small_channel_hears_of_each_join_and_leave() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let channel = channel();
    let (a, mut client_a) = pair(&listener).await;
    let (b, mut client_b) = pair(&listener).await;
    let _stays = join(&channel, &a);
    channel.announce_count();
    let leaves = join(&channel, &b);
    channel.announce_count();
    channel.leave(&leaves);
    channel.announce_count();
    assert_eq!(counts(&read_all(&a, &mut client_a).await), [1, 2, 1]);
    assert_eq!(counts(&read_all(&b, &mut client_b).await), [2]);
}

#[tokio::test(start_paused = true)]
async fn a_large_channel_hears_of_all_changes_of_five_seconds_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (channel, (outbound, mut client)) = (channel(), pair(&listener).await);
    let mut inside: Vec<Joined> = (0..=COUNTED_AT_ONCE).map(|_| join(&channel, &outbound)).collect();
    let later = |seconds| async move {
        tokio::task::yield_now().await;
        tokio::time::advance(std::time::Duration::from_secs(seconds)).await;
        tokio::task::yield_now().await;
    };
    for _ in 0..3 {
        inside.push(join(&channel, &outbound));
        channel.announce_count();
    }
    later(4).await;
    inside.push(join(&channel, &outbound));
    channel.announce_count();
    later(1).await;
    later(60).await;
    let everybody = inside.len();
    channel.announce_count();
    later(5).await;
    for joined in inside.drain(COUNTED_AT_ONCE..) {
        channel.leave(&joined);
    }
    channel.announce_count();
    let heard = counts(&read_all(&outbound, &mut client).await);
    // One socket stands here for every subscriber, so each announcement came as often as there were subscribers.
    let mut announced = heard.clone();
    announced.dedup();
    assert_eq!(announced, [everybody, COUNTED_AT_ONCE]);
    assert_eq!(heard.len(), 2 * everybody + COUNTED_AT_ONCE);
}
