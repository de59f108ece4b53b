//! Events that clients send each other.

use gema_tests::{Client, Gema, Setup};
use serde_json::json;

async fn pair(gema: &Gema, channel: &str) -> (Client, Client) {
    (gema.subscriber(channel).await, gema.subscriber(channel).await)
}

#[tokio::test]
async fn a_client_event_reaches_the_others_unchanged_and_never_its_sender() {
    let gema = Setup::broadcast().start().await;
    let (mut sender, mut other) = pair(&gema, "private-a").await;
    for data in [
        r#"{"a":1}"#,
        r#"{ "z" : [1, 2.50], "a":"é\u00e9" }"#,
        r#""hello""#,
        "7",
        "null",
        "[]",
        r#""{\"x\":1}""#,
    ] {
        sender
            .send_text(&format!(r#"{{"event":"client-typing","data":{data},"channel":"private-a"}}"#))
            .await;
        let expected = format!(r#"{{"event":"client-typing","channel":"private-a","data":{data}}}"#);
        assert_eq!(other.frame().await.text, expected);
    }
    sender.nothing_came().await;
}

#[tokio::test]
async fn a_forged_user_id_is_not_passed_on() {
    let gema = Setup::broadcast().start().await;
    let (mut sender, mut other) = pair(&gema, "private-a").await;
    sender
        .send_text(r#"{"user_id":"1","event":"client-x","data":{},"channel":"private-a","extra":true}"#)
        .await;
    assert_eq!(other.frame().await.text, r#"{"event":"client-x","channel":"private-a","data":{}}"#);
}

#[tokio::test]
async fn an_event_without_data_is_an_event() {
    let gema = Setup::broadcast().start().await;
    let (mut sender, mut other) = pair(&gema, "private-a").await;
    sender.send_text(r#"{"event":"client-x","channel":"private-a"}"#).await;
    assert_eq!(other.expect("client-x").await.channel, "private-a");
}

#[tokio::test]
async fn r_reverb_272_only_members_may_send() {
    let gema = Setup::broadcast().start().await;
    let mut member = gema.subscriber("private-a").await;
    let mut stranger = gema.client().await;
    stranger.send("client-x", json!({}), Some("private-a")).await;
    let (code, message) = stranger.expect_error().await;
    assert_eq!((code, message.as_str()), (4009, "The client is not a member of the specified channel."));
    member.nothing_came().await;
}

#[tokio::test]
async fn a_member_who_has_left_may_not_send() {
    let gema = Setup::broadcast().start().await;
    let (mut sender, mut other) = pair(&gema, "private-a").await;
    sender.send("pusher:unsubscribe", json!({"channel": "private-a"}), None).await;
    sender.send("client-x", json!({}), Some("private-a")).await;
    assert_eq!(sender.expect_error().await.0, 4009);
    other.nothing_came().await;
}

#[tokio::test]
async fn public_channels_take_no_client_events() {
    let gema = Setup::broadcast().start().await;
    let (mut sender, mut other) = pair(&gema, "room").await;
    sender.send("client-x", json!({}), Some("room")).await;
    sender.expect("pusher:error").await;
    other.nothing_came().await;
}

#[tokio::test]
async fn the_app_can_switch_them_off() {
    let gema = Setup::broadcast().env("REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM", "none").start().await;
    let (mut sender, mut other) = pair(&gema, "private-a").await;
    sender.send("client-x", json!({}), Some("private-a")).await;
    let (code, message) = sender.expect_error().await;
    assert_eq!((code, message.as_str()), (4301, "The app does not have client messaging enabled."));
    other.nothing_came().await;
}

#[tokio::test]
async fn r_sockudo_80_reserved_names_do_not_pass_from_client_to_client() {
    let gema = Setup::broadcast().start().await;
    let (mut sender, mut other) = pair(&gema, "private-a").await;
    for event in ["pusher:error", "pusher:nonsense", "pusher:subscription_succeeded"] {
        sender.send(event, json!({}), Some("private-a")).await;
        assert_eq!(sender.expect_error().await.0, 4200, "{event}");
    }
    for event in ["pusher_internal:member_added", "server-event", "", "client", "Client-x"] {
        sender.send(event, json!({}), Some("private-a")).await;
    }
    other.nothing_came().await;
}

#[tokio::test]
async fn names_and_data_have_limits_and_both_sides_of_them_are_clear() {
    let gema = Setup::broadcast()
        .env("REVERB_APP_PROFILE", "pusher")
        .env("REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM", "members")
        .env("REVERB_APP_MAX_CLIENT_EVENTS_PER_SECOND", "1000")
        .start()
        .await;
    let (mut sender, mut other) = pair(&gema, "private-a").await;
    let name = |letters: usize| format!("client-{}", "é".repeat(letters - 7));
    let data = |bytes: usize| json!("x".repeat(bytes - 2));
    for (event, data, refusal) in [
        (name(200), data(10), None),
        (name(201), data(10), Some("name")),
        (name(10), data(10_240), None),
        (name(10), data(10_241), Some("data")),
    ] {
        sender.send(&event, data.clone(), Some("private-a")).await;
        let Some(what) = refusal else {
            assert_eq!(other.expect(&event).await.data, data);
            continue;
        };
        let (code, message) = sender.expect_error().await;
        assert_eq!(code, 4301);
        assert!(message.contains(what), "{message}");
    }
    other.nothing_came().await;
}
