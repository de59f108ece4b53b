//! How the process ends, and how it refuses to begin.

use gema_tests::{Client, Setup};

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
