//! What the HTTP API tells about presence and cache channels, and where the two profiles differ.

use gema_tests::{Api, Gema, Setup};
use serde_json::{Value, json};

async fn ok(api: &Api, path: &str, info: &str) -> Value {
    let params: &[(&str, &str)] = if info.is_empty() { &[] } else { &[("info", info)] };
    api.get(path, params).await.ok()
}

fn pusher() -> Setup {
    Setup::broadcast().env("REVERB_APP_PROFILE", "pusher")
}

#[tokio::test]
async fn r_reverb_130_users_are_counted_once_whatever_they_have_open() {
    for setup in [Setup::broadcast(), pusher()] {
        let gema = setup.start().await;
        let api = gema.api();
        let _clients = [
            gema.member("presence-a", r#"{"user_id":"1"}"#).await,
            gema.member("presence-a", r#"{"user_id":"1"}"#).await,
            gema.member("presence-a", r#"{"user_id":2}"#).await,
            gema.member("presence-b", r#"{"user_id":"1"}"#).await,
        ];
        assert_eq!(
            ok(&api, "/channels/presence-a", "user_count").await,
            json!({"occupied": true, "user_count": 2})
        );
        let mut users =
            ok(&api, "/channels/presence-a/users", "").await["users"].as_array().cloned().expect("a list");
        users.sort_by_key(ToString::to_string);
        assert_eq!(users, [json!({"id": "1"}), json!({"id": "2"})], "ids are text, each once");
        let params = [("filter_by_prefix", "presence-"), ("info", "user_count")];
        let expected =
            json!({"channels": {"presence-a": {"user_count": 2}, "presence-b": {"user_count": 1}}});
        assert_eq!(api.get("/channels", &params).await.ok(), expected);
        let event =
            json!({"name": "e", "channels": ["presence-a", "presence-c"], "data": "", "info": "user_count"});
        let expected =
            json!({"channels": {"presence-a": {"user_count": 2}, "presence-c": {"user_count": 0}}});
        assert_eq!(api.post("/events", &event).await.ok(), expected);
        assert_eq!(ok(&api, "/connections", "").await, json!({"connections": 4}));
    }
}

#[tokio::test]
async fn users_of_nobody_and_of_other_channels() {
    let gema = Setup::broadcast().start().await;
    let api = gema.api();
    assert_eq!(ok(&api, "/channels/presence-a/users", "").await, json!({"users": []}));
    assert_eq!(
        ok(&api, "/channels/presence-a", "user_count").await,
        json!({"occupied": false, "user_count": 0})
    );
    for name in ["a", "private-a", "presencea", "cache-a", "private-presence-a"] {
        let answer = api.get(&format!("/channels/{name}/users"), &[]).await;
        assert!(answer.status == 400 && answer.body.contains("presence"), "{name}: {}", answer.body);
    }
    let client = gema.member("presence-a", r#"{"user_id":"1"}"#).await;
    drop(client);
    // The answer to a new connection comes after the end of the old one was noticed, or a little before.
    while ok(&api, "/channels/presence-a", "").await != json!({"occupied": false}) {
        tokio::task::yield_now().await;
    }
    assert_eq!(ok(&api, "/channels/presence-a/users", "").await, json!({"users": []}));
}

#[tokio::test]
async fn attributes_of_other_kinds_are_left_out_or_refused_by_profile() {
    let reverb = Setup::broadcast().start().await;
    let strict = pusher().start().await;
    for (name, attribute) in [("a", "user_count"), ("presence-a", "cache"), ("a", "cache")] {
        let path = format!("/channels/{name}");
        assert_eq!(
            ok(&reverb.api(), &path, attribute).await,
            json!({"occupied": false}),
            "{name} {attribute}"
        );
        let answer = strict.api().get(&path, &[("info", attribute)]).await;
        assert!(answer.status == 400 && answer.body.contains(attribute), "{name}: {}", answer.body);
        let event = json!({"name": "e", "channel": name, "data": "", "info": attribute});
        assert_eq!(reverb.api().post("/events", &event).await.ok(), json!({"channels": {name: {}}}));
        assert_eq!(
            reverb.api().post("/batch_events", &json!({"batch": [event]})).await.ok(),
            json!({"batch": [{}]})
        );
        assert_eq!(strict.api().post("/events", &event).await.status, 400, "{name} {attribute}");
        assert_eq!(strict.api().post("/batch_events", &json!({"batch": [event]})).await.status, 400);
    }
    for gema in [&reverb, &strict] {
        // Pusher's own example asks for both, and shows both kinds of channels.
        let counts = ok(&gema.api(), "/channels/presence-a", "user_count,subscription_count").await;
        assert_eq!(counts, json!({"occupied": false, "user_count": 0}));
    }
    let list = async |gema: &Gema, prefix: &str| {
        gema.api().get("/channels", &[("filter_by_prefix", prefix), ("info", "user_count")]).await.status
    };
    for (prefix, expected) in
        [("", 400), ("pres", 400), ("room-", 400), ("presence-", 200), ("presence-cache-", 200)]
    {
        assert_eq!(list(&strict, prefix).await, expected, "{prefix:?}");
        assert_eq!(list(&reverb, prefix).await, 200, "{prefix:?}");
    }
    assert_eq!(ok(&strict.api(), "/channels/a", "unheard_of,occupied").await, json!({"occupied": false}));
}

#[tokio::test]
async fn nothing_is_published_when_an_attribute_is_refused() {
    let gema = pusher().start().await;
    let mut client = gema.subscriber("a").await;
    let good = json!({"name": "e", "channel": "a", "data": ""});
    let mut bad = good.clone();
    bad["info"] = "user_count".into();
    assert_eq!(gema.api().post("/batch_events", &json!({"batch": [good, bad]})).await.status, 400);
    client.nothing_came().await;
}

#[tokio::test]
async fn the_event_of_a_cache_channel_is_told_with_its_time() {
    let gema = Setup::broadcast().start().await;
    let api = gema.api();
    let cache = async || ok(&api, "/channels/private-cache-a", "cache").await;
    assert_eq!(cache().await, json!({"occupied": false, "cache": null}));
    api.publish("private-cache-a", "e", r#"{"n":1}"#).await;
    let kept = cache().await;
    assert_eq!(kept["cache"]["data"], json!(r#"{"n":1}"#));
    let seconds = kept["cache"]["ttl"].as_u64().expect("seconds");
    assert!((1..=1_800).contains(&seconds), "{seconds}");
    let event =
        json!({"name": "e", "channel": "private-cache-a", "data": "2", "info": "cache,subscription_count"});
    let answer = api.post("/events", &event).await.ok();
    assert_eq!(answer["channels"]["private-cache-a"]["cache"]["data"], json!("2"));
    assert_eq!(answer["channels"]["private-cache-a"]["subscription_count"], json!(0));
}

#[tokio::test]
async fn the_pusher_profile_limits_batches_and_names() {
    let (strict, reverb) = (pusher().start().await, Setup::broadcast().start().await);
    let batch =
        |count: usize| json!({"batch": vec![json!({"name": "e", "channel": "a", "data": ""}); count]});
    for (count, expected) in [(9, 200), (10, 200), (11, 400)] {
        assert_eq!(strict.api().post("/batch_events", &batch(count)).await.status, expected, "{count}");
    }
    let answer = strict.api().post("/batch_events", &batch(11)).await;
    assert!(answer.body.contains("11") && answer.body.contains("10"), "{}", answer.body);
    assert_eq!(reverb.api().post("/batch_events", &batch(500)).await.status, 200);
    for (length, expected) in [(163, 200), (164, 200), (165, 400)] {
        let event = json!({"name": "e", "channel": "c".repeat(length), "data": ""});
        assert_eq!(strict.api().post("/events", &event).await.status, expected, "{length}");
    }
}
