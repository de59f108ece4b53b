//! Several apps in one server, each with its own profile, limits and origins. Whether they see each other's events is
//! tested in `access`; here, whether one app's limits are another's.

use gema_protocol::app::{Credentials, Secret};
use gema_tests::{Api, Client, Gema, Setup};
use serde_json::json;

/// One app for each thing that may differ; the app of the environment has the defaults of Reverb.
const APPS: &str = r#"
[[apps]]
id = "2"
key = "strict"
secret = "strict-secret"
profile = "pusher"
max_connections = 2
max_message_size = 1024
allowed_origins = ["https://shop.example", "*.shop.example:8443"]
activity_timeout = 77
max_batch_size = 1

[[apps]]
id = "3"
key = "off"
secret = "off-secret"
enabled = false

[[apps]]
id = "4"
key = "limited"
secret = "limited-secret"
rate_limiting = { enabled = true, max_attempts = 2, decay_seconds = 3600 }
"#;

async fn server() -> Gema {
    Setup::broadcast().file("gema.toml", APPS).start().await
}

fn api(gema: &Gema, id: &str, key: &str) -> Api {
    let secret = Secret::new(format!("{key}-secret"));
    Api { app: Credentials { id: id.to_owned(), key: key.to_owned(), secret }, ..gema.api() }
}

/// A client of the app with this key, whose page has this origin.
async fn open(gema: &Gema, key: &str, origin: &str) -> Client {
    let target = format!("/app/{key}?protocol=7");
    Client::open(gema.broadcast, &target, &[("origin", origin)]).await
}

#[tokio::test]
async fn r_soketi_947_the_quota_of_an_app_is_its_own() {
    let gema = server().await;
    let shop = "https://shop.example";
    let (first, second) = (
        open(&gema, "strict", shop).await.established().await,
        open(&gema, "strict", shop).await.established().await,
    );
    let mut third = open(&gema, "strict", shop).await;
    assert_eq!(third.expect_error().await.0, 4004);
    for _ in 0..5 {
        gema.client().await.nothing_came().await;
    }
    let connections = api(&gema, "2", "strict").get("/connections", &[]).await.ok();
    assert_eq!(connections, json!({"connections": 2}));
    drop((first, second));
}

#[tokio::test]
async fn the_origins_of_an_app_are_its_own() {
    let gema = server().await;
    for (key, origin, welcome) in [
        ("strict", "https://shop.example", true),
        ("strict", "http://a.shop.example:8443", true),
        ("strict", "http://shop.example", false),
        ("strict", "https://evil.example", false),
        ("limited", "https://evil.example", true),
        (&gema.app.key, "https://evil.example", true),
    ] {
        let mut client = open(&gema, key, origin).await;
        if welcome {
            client.established().await;
        } else {
            assert_eq!(client.expect_error().await, (4009, "Origin not allowed".to_owned()), "{origin}");
        }
    }
}

#[tokio::test]
async fn the_sizes_and_profile_of_an_app_are_its_own() {
    let gema = server().await;
    let mut ours = gema.client().await;
    let mut theirs = open(&gema, "strict", "https://shop.example").await;
    let greeting = theirs.expect("pusher:connection_established").await;
    assert_eq!(greeting.inner()["activity_timeout"], json!(77));
    // 164 bytes are Pusher's limit of a channel name, 200 are ours.
    let long = "c".repeat(165);
    ours.subscribe(&long, "").await;
    theirs.ask_subscribe(&long, "").await;
    assert_eq!(theirs.expect_error().await.0, 4009);
    theirs.subscribe(&"c".repeat(164), "").await;

    let two = json!({"batch": [{"name": "e", "channel": "a", "data": "x"}, {"name": "e", "channel": "a", "data": "x"}]});
    gema.api().post("/batch_events", &two).await.ok();
    assert_eq!(api(&gema, "2", "strict").post("/batch_events", &two).await.status, 400);

    let misplaced = [("info", "user_count")];
    gema.api().get("/channels/a", &misplaced).await.ok();
    assert_eq!(api(&gema, "2", "strict").get("/channels/a", &misplaced).await.status, 400);

    let text = format!(r#"{{"event":"ignored","channel":"{}"}}"#, "x".repeat(1_024));
    ours.send_text(&text).await;
    ours.nothing_came().await;
    theirs.send_text(&text).await;
    assert_eq!(theirs.closed().await.0, 1009);
}

#[tokio::test]
async fn the_rate_limit_of_an_app_is_its_own_and_each_connections() {
    let gema = server().await;
    let mut ours = gema.client().await;
    for _ in 0..2 {
        let mut theirs = open(&gema, "limited", "https://a.example").await.established().await;
        for _ in 0..2 {
            theirs.nothing_came().await;
        }
        theirs.send("pusher:ping", json!({}), None).await;
        assert_eq!(theirs.expect_error().await.0, 4301);
    }
    for _ in 0..10 {
        ours.nothing_came().await;
    }
}

#[tokio::test]
async fn a_disabled_app_leaves_the_others_alone() {
    let gema = server().await;
    let mut ours = gema.subscriber("room").await;
    let mut theirs = open(&gema, "off", "https://a.example").await;
    assert_eq!(theirs.expect_error().await, (4003, "Application is disabled".to_owned()));
    assert_eq!(theirs.closed().await.0, 4003);
    assert_eq!(api(&gema, "3", "off").get("/channels", &[]).await.status, 403);
    gema.api().publish("room", "news", "x").await;
    ours.expect("news").await;
}

#[tokio::test]
async fn a_key_opens_its_own_apps_api_only() {
    let gema = server().await;
    for (id, key, status) in
        [("2", "strict", 200), ("4", "strict", 401), ("2", "limited", 401), ("5", "strict", 404)]
    {
        assert_eq!(api(&gema, id, key).get("/channels", &[]).await.status, status, "{key} for app {id}");
    }
}
