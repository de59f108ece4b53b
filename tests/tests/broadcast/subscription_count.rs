//! How many subscribe, told to all who do. That a large channel hears of several changes at once is tested in the server,
//! with the clock held.

use gema_protocol::channel::ChannelKind;
use gema_tests::{Client, Gema, Setup};
use serde_json::json;

async fn counting() -> Gema {
    Setup::broadcast().env("REVERB_APP_SUBSCRIPTION_COUNT", "true").start().await
}

/// The next frame, which must be the count.
async fn count(client: &mut Client) -> u64 {
    let frame = client.expect("pusher_internal:subscription_count").await;
    frame.inner()["subscription_count"].as_u64().expect("a number")
}

#[tokio::test]
async fn everybody_hears_of_each_join_and_leave_the_newcomer_after_its_confirmation() {
    let gema = counting().await;
    let mut first = gema.subscriber("private-room").await;
    let frame = first.frame().await;
    assert_eq!(
        frame.text,
        r#"{"event":"pusher_internal:subscription_count","channel":"private-room","data":"{\"subscription_count\":1}"}"#
    );
    let mut second = gema.subscriber("private-room").await;
    assert_eq!((count(&mut first).await, count(&mut second).await), (2, 2));
    let mut third = gema.subscriber("private-room").await;
    assert_eq!((count(&mut first).await, count(&mut second).await, count(&mut third).await), (3, 3, 3));
    third.leave("private-room").await;
    assert_eq!((count(&mut first).await, count(&mut second).await), (2, 2));
    drop(second);
    assert_eq!(count(&mut first).await, 1, "a broken connection has left");
    first.nothing_came().await;
}

#[tokio::test]
async fn a_repeated_or_refused_subscription_changes_no_count() {
    let gema = counting().await;
    let mut client = gema.subscriber("private-room").await;
    assert_eq!(count(&mut client).await, 1);
    let auth = gema.auth(&client, "private-room");
    client.subscribe("private-room", &auth).await;
    let mut stranger = gema.client().await;
    stranger.ask_subscribe("private-room", "nonsense").await;
    stranger.expect_error().await;
    stranger.send("pusher:unsubscribe", json!({"channel": "private-room"}), None).await;
    stranger.nothing_came().await;
    client.nothing_came().await;
}

#[tokio::test]
async fn every_kind_is_counted_but_those_of_members_and_of_a_single_user() {
    let gema = counting().await;
    for &kind in ChannelKind::ALL {
        let mut client = gema.user(r#"{"id":"7"}"#).await;
        client.ask_signed(&gema.app, &format!("{}7", kind.prefix()), None).await;
        client.expect("pusher_internal:subscription_succeeded").await;
        if kind.is_cache() {
            client.expect("pusher:cache_miss").await;
        }
        match kind {
            ChannelKind::Presence | ChannelKind::PresenceCache | ChannelKind::ServerToUser => {}
            ChannelKind::Public
            | ChannelKind::Cache
            | ChannelKind::Private
            | ChannelKind::PrivateCache
            | ChannelKind::PrivateEncrypted
            | ChannelKind::PrivateEncryptedCache => assert_eq!(count(&mut client).await, 1),
        }
        client.nothing_came().await;
    }
}

#[tokio::test]
async fn without_the_option_nobody_is_told() {
    let gema = Setup::broadcast().start().await;
    let mut first = gema.subscriber("room").await;
    let _second = gema.subscriber("room").await;
    first.nothing_came().await;
}
