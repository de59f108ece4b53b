//! What an operator can switch for an app, seen from outside. The defaults and every name are tested where settings are
//! wired; here is what each option does.

use gema_tests::{Client, Gema, Setup};
use serde_json::json;

async fn with(env: &[(&str, &str)]) -> Gema {
    env.iter().fold(Setup::broadcast(), |setup, (name, value)| setup.env(name, value)).start().await
}

/// A client whose URL has this query.
async fn open(gema: &Gema, query: &str) -> Client {
    Client::open(gema.broadcast, &format!("/app/{}{query}", gema.app.key), &[]).await
}

#[tokio::test]
async fn r_reverb_371_every_message_counts_against_the_rate_limit() {
    let limits = [
        ("REVERB_APP_RATE_LIMITING_ENABLED", "true"),
        ("REVERB_APP_RATE_LIMIT_MAX_ATTEMPTS", "3"),
        ("REVERB_APP_RATE_LIMIT_DECAY_SECONDS", "3600"),
    ];
    let gema = with(&limits).await;
    let mut client = gema.subscriber("room").await;
    client.send("pusher:ping", json!({}), None).await;
    client.expect("pusher:pong").await;
    client.send_text("nonsense").await;
    assert_eq!(client.expect_error().await.0, 4200);
    for event in ["pusher:ping", "pusher:unsubscribe", "ignored"] {
        client.send(event, json!({"channel": "room"}), Some("room")).await;
        assert_eq!(client.expect_error().await, (4301, "Rate limit exceeded".to_owned()), "{event}");
    }
    gema.api().publish("room", "still-here", "x").await;
    client.expect("still-here").await;
    gema.client().await.nothing_came().await;
}

#[tokio::test]
async fn a_client_above_the_limit_is_told_and_sent_away_for_a_second_if_the_app_wants_that() {
    let limits = [
        ("REVERB_APP_RATE_LIMITING_ENABLED", "true"),
        ("REVERB_APP_RATE_LIMIT_MAX_ATTEMPTS", "1"),
        ("REVERB_APP_RATE_LIMIT_DECAY_SECONDS", "3600"),
        ("REVERB_APP_RATE_LIMIT_TERMINATE", "true"),
    ];
    let gema = with(&limits).await;
    let mut client = gema.client().await;
    client.nothing_came().await;
    client.send("pusher:ping", json!({}), None).await;
    assert_eq!(client.expect_error().await, (4301, "Rate limit exceeded".to_owned()));
    assert_eq!(client.closed().await, (4100, "Rate limit exceeded".to_owned()));
}

#[tokio::test]
async fn a_limit_on_client_events_leaves_other_messages_alone() {
    let gema = with(&[("REVERB_APP_MAX_CLIENT_EVENTS_PER_SECOND", "1")]).await;
    let (mut sender, mut other) = (gema.subscriber("private-a").await, gema.subscriber("private-a").await);
    for n in 0..50 {
        sender.send("client-x", json!(n), Some("private-a")).await;
    }
    // How many seconds the fifty took is not ours to say; that none of them takes fifty, is.
    assert_eq!(sender.expect_error().await, (4301, "Rate limit exceeded".to_owned()));
    assert_eq!(other.expect("client-x").await.data, json!(0));
    sender.ask_subscribe("room", "").await;
    while sender.frame().await.event != "pusher_internal:subscription_succeeded" {}
}

#[tokio::test]
async fn r_reverb_272_all_hears_strangers_but_nobody_who_pretends_to_be_a_member() {
    let gema = with(&[("REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM", "all")]).await;
    let mut member = gema.subscriber("private-a").await;
    let mut stranger = gema.client().await;
    stranger
        .send_text(r#"{"event":"client-x","channel":"private-a","data":{"a":1},"user_id":"1","x":2}"#)
        .await;
    assert_eq!(member.frame().await.text, r#"{"event":"client-x","channel":"private-a","data":{"a":1}}"#);
    let mut present = gema.client().await;
    present.join(&gema.app, "presence-a", r#"{"user_id":"7"}"#).await;
    stranger.send_text(r#"{"event":"client-x","channel":"presence-a","data":1,"user_id":"7"}"#).await;
    assert_eq!(present.frame().await.text, r#"{"event":"client-x","channel":"presence-a","data":1}"#);
    // Nobody is there to hear it, and nothing begins to exist by it.
    stranger.send("client-x", json!({}), Some("private-empty")).await;
    stranger.nothing_came().await;
    let answer = gema.api().get("/channels", &[]).await.ok();
    assert_eq!(answer, json!({"channels": {"private-a": {}, "presence-a": {}}}));
}

#[tokio::test]
async fn all_changes_nothing_about_channels_that_take_no_client_events() {
    let gema = with(&[("REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM", "all")]).await;
    let mut member = gema.subscriber("room").await;
    let mut user = gema.client().await;
    user.sign_in(&gema.app, r#"{"id":"5"}"#).await;
    user.subscribe("#server-to-user-5", "").await;
    let mut stranger = gema.client().await;
    for channel in ["room", "cache-room", "#server-to-user-5", ""] {
        stranger.send("client-x", json!({}), Some(channel)).await;
        stranger.expect_error().await;
    }
    member.nothing_came().await;
    user.nothing_came().await;
}

#[tokio::test]
async fn client_events_pass_on_public_channels_if_the_app_wants_that() {
    let gema = with(&[("REVERB_APP_CLIENT_EVENTS_ON_PUBLIC_CHANNELS", "true")]).await;
    let (mut sender, mut other) = (gema.subscriber("room").await, gema.subscriber("room").await);
    sender.send("client-x", json!(1), Some("room")).await;
    assert_eq!(other.expect("client-x").await.data, json!(1));
    let mut stranger = gema.client().await;
    stranger.send("client-x", json!(2), Some("room")).await;
    assert_eq!(stranger.expect_error().await.0, 4009, "members only");
    stranger.sign_in(&gema.app, r#"{"id":"5"}"#).await;
    stranger.subscribe("#server-to-user-5", "").await;
    stranger.send("client-x", json!(3), Some("#server-to-user-5")).await;
    assert_eq!(stranger.expect_error().await.0, 4301, "that channel is the back end's");
}

#[tokio::test]
async fn the_pusher_profile_takes_client_events_only_when_they_are_enabled() {
    for (mode, code) in [("", 4301), ("members", 0)] {
        let gema =
            with(&[("REVERB_APP_PROFILE", "pusher"), ("REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM", mode)]).await;
        let mut sender = gema.subscriber("private-a").await;
        sender.send("client-x", json!(1), Some("private-a")).await;
        if code == 0 {
            sender.nothing_came().await;
        } else {
            assert_eq!(sender.expect_error().await.0, code);
        }
    }
}

#[tokio::test]
async fn a_strict_app_refuses_unknown_versions_of_the_protocol() {
    let gema = with(&[("REVERB_APP_STRICT_PROTOCOL", "true")]).await;
    for (query, code, reason) in [
        ("", 4008, "No protocol version supplied"),
        ("?client=js", 4008, "No protocol version supplied"),
        ("?protocol=seven", 4006, "Invalid protocol version"),
        ("?protocol=3", 4007, "Unsupported protocol version"),
        ("?protocol=8", 4007, "Unsupported protocol version"),
    ] {
        let mut client = open(&gema, query).await;
        assert_eq!(client.expect_error().await, (code, reason.to_owned()), "{query}");
        assert_eq!(client.closed().await, (u16::try_from(code).expect("a close code"), reason.to_owned()));
    }
    for version in 4..=7 {
        open(&gema, &format!("?protocol={version}")).await.established().await.nothing_came().await;
    }
}

#[tokio::test]
async fn clients_older_than_close_codes_hear_the_reason_as_an_error_first() {
    let gema = with(&[]).await;
    for (version, explained) in [(5, true), (6, false), (7, false)] {
        let mut client = open(&gema, &format!("?protocol={version}")).await.established().await;
        client.sign_in(&gema.app, r#"{"id":"5"}"#).await;
        gema.api().post("/users/5/terminate_connections", &json!({})).await.ok();
        let reason = "You got disconnected by the app.".to_owned();
        if explained {
            assert_eq!(client.expect_error().await, (4009, reason.clone()));
        }
        assert_eq!(client.closed().await, (4009, reason), "version {version}");
    }
}

#[tokio::test]
async fn who_has_not_signed_in_or_joined_in_time_is_closed() {
    let gema = with(&[("REVERB_APP_AUTHORIZATION_TIMEOUT", "3")]).await;
    let mut stranger = gema.client().await;
    let mut public = gema.subscriber("room").await;
    let mut private = gema.subscriber("private-a").await;
    let mut user = gema.client().await;
    user.sign_in(&gema.app, r#"{"id":"5"}"#).await;
    let mut wrong = gema.client().await;
    wrong.ask_subscribe("private-a", "k:0").await;
    for client in [&mut stranger, &mut public, &mut wrong] {
        assert_eq!(client.closed().await, (4009, "Connection not authorized in time".to_owned()));
    }
    private.nothing_came().await;
    user.nothing_came().await;
}

#[tokio::test]
async fn an_app_without_sign_in_does_not_know_the_message() {
    let gema = with(&[("REVERB_APP_USER_AUTHENTICATION", "false")]).await;
    let mut client = gema.client().await;
    client.ask_sign_in(&gema.app, r#"{"id":"5"}"#).await;
    assert_eq!(client.expect_error().await.0, 4200);
    client.ask_subscribe("#server-to-user-5", "").await;
    assert_eq!(client.expect_error().await.0, 4009);
}

#[tokio::test]
async fn watchlists_can_be_switched_off() {
    for (value, watched) in [("true", true), ("false", false)] {
        let gema = with(&[("REVERB_APP_WATCHLISTS", value)]).await;
        let mut client = gema.client().await;
        client.sign_in(&gema.app, r#"{"id":"5","watchlist":["6"]}"#).await;
        if watched {
            client.expect("pusher_internal:watchlist_events").await;
        }
        client.nothing_came().await;
    }
}

#[tokio::test]
async fn terminated_clients_may_be_asked_to_come_back() {
    let gema = with(&[("REVERB_APP_TERMINATE_CLOSE_CODE", "4200")]).await;
    let mut client = gema.client().await;
    client.sign_in(&gema.app, r#"{"id":"5"}"#).await;
    gema.api().post("/users/5/terminate_connections", &json!({})).await.ok();
    assert_eq!(client.closed().await, (4200, "You got disconnected by the app.".to_owned()));
}

#[tokio::test]
async fn members_of_presence_channels_are_terminated_unless_the_app_switches_that_off() {
    for (value, ends) in [("true", true), ("false", false)] {
        let gema = with(&[("REVERB_APP_TERMINATE_BY_PRESENCE", value)]).await;
        let mut client = gema.client().await;
        client.join(&gema.app, "presence-a", r#"{"user_id":"5"}"#).await;
        gema.api().post("/users/5/terminate_connections", &json!({})).await.ok();
        if ends {
            assert_eq!(client.closed().await.0, 4009);
        } else {
            client.nothing_came().await;
        }
    }
}

#[tokio::test]
async fn subscribers_are_counted_aloud_if_the_app_wants_that() {
    let gema = with(&[("REVERB_APP_SUBSCRIPTION_COUNT", "true")]).await;
    let mut client = gema.client().await;
    client.ask_subscribe("room", "").await;
    client.expect("pusher_internal:subscription_succeeded").await;
    let count = client.expect("pusher_internal:subscription_count").await;
    assert_eq!(count.inner(), json!({"subscription_count": 1}));
}

#[tokio::test]
async fn a_refused_subscription_is_told_on_its_channel_if_the_app_wants_that() {
    let gema =
        with(&[("REVERB_APP_SUBSCRIPTION_ERRORS", "true"), ("REVERB_APP_MAX_PRESENCE_MEMBERS", "1")]).await;
    let mut first = gema.client().await;
    first.join(&gema.app, "presence-a", r#"{"user_id":"1"}"#).await;
    let mut client = gema.client().await;
    client.ask_subscribe("private-a", "wrong").await;
    let told = client.expect("pusher:subscription_error").await;
    assert_eq!(told.channel, "private-a");
    let content = json!({"type": "AuthError", "error": "Connection is unauthorized", "status": 401});
    assert_eq!(told.inner(), content);
    assert_eq!(client.expect_error().await, (4009, "Connection is unauthorized".to_owned()));

    client.ask_signed(&gema.app, "presence-a", Some(r#"{"user_id":"2"}"#)).await;
    let told = client.expect("pusher:subscription_error").await.inner();
    assert_eq!((&told["type"], &told["status"]), (&json!("LimitReached"), &json!(4100)));
    assert_eq!(client.expect_error().await.0, 4100);

    client.ask_subscribe("no such name", "").await;
    let told = client.expect("pusher:subscription_error").await;
    assert_eq!((told.channel.as_str(), &told.inner()["status"]), ("no such name", &json!(4009)));
    assert_eq!(client.expect_error().await.0, 4009);
    client.nothing_came().await;
}

#[tokio::test]
async fn a_cached_event_lives_as_long_as_the_app_says() {
    let gema = with(&[("REVERB_APP_CACHE_TTL", "1")]).await;
    gema.api().publish("cache-a", "news", "x").await;
    let start = std::time::Instant::now();
    loop {
        let mut client = gema.client().await;
        client.ask_subscribe("cache-a", "").await;
        client.expect("pusher_internal:subscription_succeeded").await;
        if client.frame().await.event == "pusher:cache_miss" {
            break;
        }
        assert!(start.elapsed() < gema_tests::PATIENCE, "the event is still kept");
    }
}

#[tokio::test]
async fn members_and_batches_keep_to_their_limits() {
    let gema = with(&[
        ("REVERB_APP_MAX_USER_INFO_SIZE", "20"),
        ("REVERB_APP_MAX_BATCH_SIZE", "2"),
        ("REVERB_APP_SIGNATURE_WINDOW", "100"),
    ])
    .await;
    let mut client = gema.client().await;
    client.join(&gema.app, "presence-a", r#"{"user_id":"1","user_info":"123456789012345678"}"#).await;
    client
        .ask_signed(&gema.app, "presence-b", Some(r#"{"user_id":"1","user_info":"1234567890123456789"}"#))
        .await;
    assert_eq!(client.expect_error().await.0, 4009);
    let event = json!({"name": "e", "channel": "a", "data": "x"});
    gema.api().post("/batch_events", &json!({"batch": [event, event]})).await.ok();
    let answer = gema.api().post("/batch_events", &json!({"batch": [event, event, event]})).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    let body = br#"{"name":"e","channel":"a","data":"x"}"#;
    for (age, status) in [(90, 200), (200, 401)] {
        let target = gema.api().target_at(gema_tests::now() - age, "/events", body);
        let headers = [("content-type", "application/json")];
        let answer = gema_tests::request(gema.broadcast, "POST", &target, &headers, body).await;
        assert_eq!(answer.status, status, "{age} seconds old: {}", answer.body);
    }
}
