//! How the process ends, and how it refuses to begin.

use std::time::Instant;

use gema_tests::wire::{Seen, Wire, handshake};
use gema_tests::{Client, PATIENCE, Setup};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

#[tokio::test]
async fn sigterm_sends_the_clients_away_with_4200_and_ends_with_0() {
    let mut gema = Setup::broadcast().start().await;
    let mut clients =
        vec![gema.client().await, gema.subscriber("room").await, gema.subscriber("private-a").await];
    gema.terminate();
    for client in &mut clients {
        assert_eq!(client.closed().await.0, 4200, "pusher-js returns at once on this code");
    }
    assert!(gema.ended().await.success(), "{}", gema.log());
}

#[tokio::test]
async fn a_client_that_never_answers_the_close_does_not_hold_up_the_end() {
    let mut gema = Setup::broadcast().start().await;
    let silent: Vec<Client> = vec![gema.client().await, gema.subscriber("room").await];
    gema.terminate();
    assert!(gema.ended().await.success(), "{}", gema.log());
    drop(silent);
}

#[tokio::test]
async fn serve_ends_with_0_too() {
    let mut gema = Setup::serve().start().await;
    let mut client = gema.subscriber("attendances").await;
    gema.terminate();
    assert_eq!(client.closed().await.0, 4200);
    assert!(gema.ended().await.success(), "{}", gema.log());
}

/// "Reconnect at once" would be taken literally during a handshake, hundreds of times a second.
#[tokio::test]
async fn a_handshake_under_way_at_the_end_is_refused_with_4100() {
    let mut gema = Setup::broadcast().start().await;
    let before = gema.open_files();
    let mut stream = TcpStream::connect(gema.broadcast).await.expect("the server listens");
    let request = handshake(&gema.target(), "");
    let (begin, rest) = request.split_at(60);
    stream.write_all(begin.as_bytes()).await.expect("the server reads");
    let start = Instant::now();
    let patient = || assert!(start.elapsed() < PATIENCE, "the server does not come so far:\n{}", gema.log());
    let peer = stream.local_addr().expect("a connected socket");
    // Only what has been read is a handshake under way: an idle connection is simply closed.
    while gema.open_files() == before || gema.unread(peer) != Some(0) {
        patient();
        tokio::task::yield_now().await;
    }
    gema.terminate();
    while TcpStream::connect(gema.broadcast).await.is_ok() {
        patient();
    }
    let mut wire = Wire::over(stream, rest.as_bytes()).await;
    let Seen::Text(error) = wire.next().await else { panic!("an error event was due") };
    assert!(error.contains("pusher:error") && error.contains("4100"), "{error}");
    assert_eq!(wire.next().await, Seen::Close(Some(4100), "Server is over capacity".to_owned()));
    drop(wire);
    assert!(gema.ended().await.success(), "{}", gema.log());
}
