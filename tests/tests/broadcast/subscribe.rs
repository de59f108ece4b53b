//! Joining and leaving channels, and who may.

use gema_protocol::app::{Credentials, Secret};
use gema_protocol::signature::sign_channel;
use gema_tests::Setup;
use serde_json::json;

#[tokio::test]
async fn a_public_channel_needs_no_signature_and_ignores_one() {
    let gema = Setup::broadcast().start().await;
    let mut client = gema.client().await;
    client.subscribe("my-channel", "").await;
    client.subscribe("other", "nonsense").await;
    client.send_text(r#"{"event":"pusher:subscribe","data":{"channel":"third"}}"#).await;
    assert_eq!(client.expect("pusher_internal:subscription_succeeded").await.channel, "third");
    client.send_text(r#"{"data":"{\"channel\":\"fourth\",\"auth\":null}","event":"pusher:subscribe"}"#).await;
    assert_eq!(client.expect("pusher_internal:subscription_succeeded").await.channel, "fourth");
}

#[tokio::test]
async fn an_event_reaches_its_channel_and_no_other() {
    let gema = Setup::broadcast().start().await;
    let (mut one, mut two) = (gema.subscriber("room-1").await, gema.subscriber("room-2").await);
    gema.api().publish("room-1", "App\\Events\\OrderShipped", r#"{"id": 1}"#).await;
    let frame = one.frame().await;
    assert_eq!(
        frame.text, r#"{"event":"App\\Events\\OrderShipped","channel":"room-1","data":"{\"id\": 1}"}"#,
        "name and data pass through untouched"
    );
    two.nothing_came().await;
}

#[tokio::test]
async fn a_private_channel_wants_the_signature_of_this_socket_and_this_channel() {
    let gema = Setup::broadcast().start().await;
    let other = gema.client().await;
    let mut client = gema.client().await;
    let right = gema.auth(&client, "private-a");
    let stranger = |id: &str, key: &str, secret: &str| Credentials {
        id: id.to_owned(),
        key: key.to_owned(),
        secret: Secret::new(secret.to_owned()),
    };
    let sign = |by: &Credentials| sign_channel(by, &client.socket_id, "private-a", None);
    let wrong = [
        String::new(),
        "nonsense".to_owned(),
        ":".to_owned(),
        right[..right.len() - 1].to_owned(),
        right.split(':').next_back().expect("a digest").to_owned(),
        right.to_uppercase(),
        format!("{right} "),
        gema.auth(&other, "private-a"),
        gema.auth(&client, "private-b"),
        sign_channel(&gema.app, &client.socket_id, "private-a", Some("{}")),
        sign(&stranger("424242", &gema.app.key, "anothersecret9876543")),
        sign(&stranger("424242", "anotherkey0123456789", gema.app.secret.expose())),
    ];
    for auth in wrong {
        client.ask_subscribe("private-a", &auth).await;
        let (code, message) = client.expect_error().await;
        assert_eq!((code, message.as_str()), (4009, "Connection is unauthorized"), "auth {auth:?}");
    }
    gema.api().publish("private-a", "e", "x").await;
    client.nothing_came().await;
    client.subscribe("private-a", &right).await;
}

#[tokio::test]
async fn r_reverb_89_a_missing_or_null_signature_is_a_refusal_not_a_fault() {
    let gema = Setup::broadcast().start().await;
    let mut client = gema.client().await;
    for data in [json!({"channel": "private-a"}), json!({"channel": "private-a", "auth": null})] {
        client.send("pusher:subscribe", data, None).await;
        assert_eq!(client.expect_error().await.0, 4009);
    }
}

#[tokio::test]
async fn a_refused_subscription_leaves_no_trace() {
    let gema = Setup::broadcast().start().await;
    let mut client = gema.client().await;
    client.ask_subscribe("private-a", "nonsense").await;
    client.expect_error().await;
    assert_eq!(gema.api().get("/channels", &[]).await.ok(), json!({"channels": {}}));
    assert_eq!(gema.api().get("/channels/private-a", &[]).await.ok()["occupied"], json!(false));
}

#[tokio::test]
async fn channel_data_of_a_private_channel_is_part_of_what_is_signed() {
    let gema = Setup::broadcast().start().await;
    let mut client = gema.client().await;
    let data = r#"{ "user_id" : 10 }"#;
    let auth = sign_channel(&gema.app, &client.socket_id, "private-a", Some(data));
    let subscribe = |data: &str| json!({"auth": auth, "channel": "private-a", "channel_data": data});
    client.send("pusher:subscribe", subscribe(r#"{"user_id":10}"#), None).await;
    assert_eq!(client.expect_error().await.0, 4009, "the same JSON in other bytes is not what was signed");
    client.send("pusher:subscribe", subscribe(data), None).await;
    client.expect("pusher_internal:subscription_succeeded").await;
}

#[tokio::test]
async fn subscribing_twice_is_confirmed_twice_and_delivers_once() {
    let gema = Setup::broadcast().start().await;
    let mut client = gema.subscriber("room").await;
    client.subscribe("room", "").await;
    gema.api().publish("room", "e", "x").await;
    client.expect("e").await;
    client.nothing_came().await;
    assert_eq!(
        gema.api().get("/channels/room", &[("info", "subscription_count")]).await.ok(),
        json!({"occupied": true, "subscription_count": 1})
    );
}

#[tokio::test]
async fn after_an_unsubscribe_nothing_of_that_channel_comes() {
    let gema = Setup::broadcast().start().await;
    let mut client = gema.subscriber("room").await;
    client.subscribe("stays", "").await;
    client.send("pusher:unsubscribe", json!({"channel": "room"}), None).await;
    client.send("pusher:unsubscribe", json!({"channel": "never-joined"}), None).await;
    client.nothing_came().await;
    gema.api().publish("room", "e", "x").await;
    gema.api().publish("stays", "e", "x").await;
    assert_eq!(client.frame().await.channel, "stays");
    client.nothing_came().await;
    client.subscribe("room", "").await;
}

#[tokio::test]
async fn a_closed_connection_has_left_all_its_channels() {
    let gema = Setup::broadcast().start().await;
    let mut leaving = gema.subscriber("room").await;
    let mut staying = gema.subscriber("room").await;
    leaving.send_message(tokio_tungstenite::tungstenite::Message::Close(None)).await;
    leaving.closed().await;
    let start = std::time::Instant::now();
    let count = || async { gema.api().get("/channels/room", &[("info", "subscription_count")]).await.ok() };
    while count().await["subscription_count"] != json!(1) {
        assert!(start.elapsed() < gema_tests::PATIENCE, "the closed connection is still counted");
    }
    gema.api().publish("room", "e", "x").await;
    staying.expect("e").await;
}

#[tokio::test]
async fn names_are_matched_with_their_dash() {
    let gema = Setup::broadcast().start().await;
    let mut client = gema.client().await;
    for public in ["privateer", "presences", "encrypted-private-x", "my-private-room", "Private-a"] {
        client.subscribe(public, "").await;
    }
    for signed in ["private-", "private-encrypted-x", "private-cache-x", "private-encrypted-cache-x"] {
        client.ask_subscribe(signed, "").await;
        assert_eq!(client.expect_error().await.0, 4009, "{signed}");
    }
}
