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
