//! Tests of [`super::Users`]: what watchers hear, with the clock held by the test.

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::advance;

use super::*;
use crate::registration::random_id;

/// A connection's two ends: what the server writes to and what the client reads from.
async fn pair() -> (Arc<Outbound>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (client, server) =
        tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    let (server, _) = server.unwrap();
    server.writable().await.unwrap();
    (Arc::new(Outbound::new(random_id(), server, 1 << 20)), client.unwrap())
}

/// Lets the timers that are due run.
async fn pass(time: Duration) {
    advance(time).await;
    for _ in 0..4 {
        tokio::task::yield_now().await;
    }
}

/// Everything the client was sent, as `+id` and `-id`.
async fn heard(outbound: &Outbound, client: &mut TcpStream) -> String {
    std::future::poll_fn(|cx| outbound.poll_drain(cx)).await.unwrap();
    outbound.finish_writing();
    let mut bytes = Vec::new();
    client.read_to_end(&mut bytes).await.unwrap();
    let text = String::from_utf8_lossy(&bytes).replace('\\', "");
    let changes = text.split(r#"{"name":""#).skip(1).map(|change| {
        let sign = if change.starts_with("online") { '+' } else { '-' };
        let ids = change.split('[').nth(1).and_then(|rest| rest.split(']').next()).unwrap();
        format!("{sign}{}", ids.replace('"', ""))
    });
    changes.collect::<Vec<_>>().join(" ")
}

struct Scene {
    users: Arc<Users>,
    watcher: (Arc<Outbound>, TcpStream),
    one: Arc<Outbound>,
    two: Arc<Outbound>,
}

/// Somebody watches the user `7`, who has two connections and is not signed in.
async fn scene() -> Scene {
    let users = Arc::new(Users::default());
    let watcher = pair().await;
    users.watch(["7"].into_iter(), &watcher.0);
    Scene { users, watcher, one: pair().await.0, two: pair().await.0 }
}

#[tokio::test(start_paused = true)]
async fn watchers_hear_of_the_first_and_the_last_connection() {
    let Scene { users, mut watcher, one, two } = scene().await;
    users.sign_in("7", &one);
    users.sign_in("7", &two);
    users.sign_out("7", &one);
    pass(GRACE).await;
    users.sign_out("7", &one);
    users.sign_out("7", &two);
    pass(GRACE).await;
    assert_eq!(heard(&watcher.0, &mut watcher.1).await, "-7 +7 -7");
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_within_the_grace_was_never_away() {
    let Scene { users, mut watcher, one, two } = scene().await;
    users.sign_in("7", &one);
    for _ in 0..3 {
        users.sign_out("7", &one);
        pass(GRACE / 2).await;
        users.sign_in("7", &one);
    }
    pass(GRACE * 2).await;
    users.sign_out("7", &one);
    pass(GRACE / 2).await;
    users.watch(["7"].into_iter(), &two);
    pass(GRACE / 2).await;
    assert_eq!(heard(&watcher.0, &mut watcher.1).await, "-7 +7 -7", "an earlier grace ends no later one");
}

#[tokio::test(start_paused = true)]
async fn nobody_is_kept_when_nobody_asks() {
    let Scene { users, watcher, one, two } = scene().await;
    users.sign_in("7", &one);
    users.appear("7", &two);
    users.unwatch("7", &watcher.0);
    assert_eq!((users.connections_of("7", true).len(), users.connections_of("7", false).len()), (2, 1));
    users.sign_out("7", &one);
    users.disappear("7", &two);
    assert!(users.map.lock().is_empty(), "without a watcher there is no grace");
    users.watch(["7"].into_iter(), &watcher.0);
    users.sign_in("7", &one);
    users.sign_out("7", &one);
    users.unwatch("7", &watcher.0);
    pass(GRACE).await;
    assert!(users.map.lock().is_empty(), "the grace ends also when the last watcher has gone");
}

#[tokio::test(start_paused = true)]
async fn a_user_who_moves_between_nodes_is_never_away() {
    let Scene { users, mut watcher, one, .. } = scene().await;
    users.expect("7", false);
    users.sign_in("7", &one);
    users.set_elsewhere("7", true);
    users.sign_out("7", &one);
    pass(GRACE).await;
    users.set_elsewhere("7", false);
    pass(GRACE / 2).await;
    users.sign_in("7", &one);
    users.sign_out("7", &one);
    pass(GRACE / 2).await;
    users.set_elsewhere("7", true);
    pass(GRACE).await;
    users.set_elsewhere("7", false);
    pass(GRACE).await;
    assert_eq!(heard(&watcher.0, &mut watcher.1).await, "-7 +7 -7");
}

#[tokio::test(start_paused = true)]
async fn who_is_online_elsewhere_is_known_before_the_watch_begins_and_forgotten_after_it() {
    let Scene { users, one, two, .. } = scene().await;
    let mut late = pair().await;
    users.set_elsewhere("8", true);
    assert!(!users.map.lock().contains_key("8"), "nobody wants to know");
    users.expect("8", false);
    users.set_elsewhere("8", true);
    users.watch(["8"].into_iter(), &late.0);
    users.sign_in("8", &one);
    users.unwatch("8", &late.0);
    users.sign_out("8", &one);
    assert_eq!(heard(&late.0, &mut late.1).await, "+8");
    users.expect("9", true);
    users.unwatch("9", &two);
    assert!(users.map.lock().keys().all(|id| **id == *"7"));
}

/// A connection that signs in as one of three users and out again at random, and what a watcher must hear of it.
#[tokio::test(start_paused = true)]
async fn whatever_happens_watchers_hear_each_change_once_and_end_with_the_truth() {
    const IDS: [&str; 3] = ["a", "b", "c"];
    let users = Arc::new(Users::default());
    let mut watcher = pair().await;
    users.watch(IDS.into_iter(), &watcher.0);
    let mut connections = Vec::new();
    for _ in 0..6 {
        connections.push((pair().await.0, None::<&str>));
    }
    let mut random: u32 = 1;
    for _ in 0..400 {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let [choice, who, id, _] = random.to_be_bytes().map(usize::from);
        let (connection, signed_in) = &mut connections[who % 6];
        match signed_in.take() {
            Some(id) => users.sign_out(id, connection),
            None => users.sign_in(signed_in.insert(IDS[id % 3]), connection),
        }
        if choice % 3 == 0 {
            pass(GRACE / 2).await;
        }
    }
    pass(GRACE).await;
    let heard = heard(&watcher.0, &mut watcher.1).await;
    for id in IDS {
        let changes: Vec<&str> = heard.split(' ').skip(1).filter(|change| change[1..] == *id).collect();
        assert!(changes.len() > 2, "nothing happened: {heard}");
        for (at, change) in changes.iter().enumerate() {
            assert_eq!(change.starts_with('+'), at % 2 == 0, "{id} in {heard}");
        }
        let is_online = connections.iter().any(|(_, signed_in)| *signed_in == Some(id));
        assert_eq!(changes.len() % 2 == 1, is_online, "{id} in {heard}");
    }
}
