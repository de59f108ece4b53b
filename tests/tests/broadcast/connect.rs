//! How a connection begins, and how it is refused: always after the upgrade, by an error frame and a close frame with
//! the same code, because that is all a page ever learns.

use gema_tests::{Client, Gema, Setup, request};
use serde_json::json;

#[tokio::test]
async fn the_first_frame_establishes_the_connection() {
    let gema = Setup::broadcast().start().await;
    let mut client = Client::open(gema.broadcast, &gema.target(), &[]).await;
    let frame = client.expect("pusher:connection_established").await;
    let content = frame.inner();
    assert_eq!(content["activity_timeout"], json!(30), "the default of the drop-in profile");
    let id = content["socket_id"].as_str().expect("a string");
    let parts: Vec<u64> = id.split('.').map(|part| part.parse().expect("digits only")).collect();
    assert_eq!(parts.len(), 2, "{id}");
    assert!(parts.iter().all(|part| (1..=1_000_000_000).contains(part)), "{id}");
    client.nothing_came().await;
}

#[tokio::test]
async fn the_announced_activity_timeout_is_the_configured_one() {
    let gema = Setup::broadcast().env("REVERB_APP_ACTIVITY_TIMEOUT", "77").start().await;
    let mut client = Client::open(gema.broadcast, &gema.target(), &[]).await;
    let frame = client.frame().await;
    assert!(frame.text.ends_with(r#"\"activity_timeout\":77}"}"#), "{}", frame.text);
}

#[tokio::test]
async fn socket_ids_differ() {
    let gema = Setup::broadcast().start().await;
    let mut ids = std::collections::HashSet::new();
    for _ in 0..50 {
        assert!(ids.insert(gema.client().await.socket_id));
    }
}

async fn refused(gema: &Gema, target: &str, headers: &[(&'static str, &str)], code: u16, message: &str) {
    let mut client = Client::open(gema.broadcast, target, headers).await;
    let (told, text) = client.expect_error().await;
    assert_eq!((told, text.as_str()), (u64::from(code), message));
    assert_eq!(client.closed().await, (code, message.to_owned()));
}

#[tokio::test]
async fn an_unknown_key_is_refused_in_words_and_by_the_close_code() {
    let gema = Setup::broadcast().start().await;
    let before = gema.client().await;
    refused(&gema, "/app/nosuchkey?protocol=7", &[], 4001, "Application does not exist").await;
    refused(&gema, "/app/TESTKEY0123456789ABC?protocol=7", &[], 4001, "Application does not exist").await;
    drop(before);
}

#[tokio::test]
async fn r_soketi_1024_the_app_id_is_not_the_key() {
    let gema = Setup::broadcast().start().await;
    let target = format!("/app/{}?protocol=7", gema.app.id);
    refused(&gema, &target, &[], 4001, "Application does not exist").await;
}

#[tokio::test]
async fn r_sockudo_51_a_full_app_lets_in_as_many_as_leave() {
    let gema = Setup::broadcast().env("REVERB_APP_MAX_CONNECTIONS", "2").start().await;
    let (first, second) = (gema.client().await, gema.client().await);
    for _ in 0..3 {
        refused(&gema, &gema.target(), &[], 4004, "Application is over connection quota").await;
    }
    drop(first);
    wait_for_connections(&gema, 1).await;
    let third = gema.client().await;
    refused(&gema, &gema.target(), &[], 4004, "Application is over connection quota").await;
    drop((second, third));
}

/// The end of a socket reaches the server when the kernel says so: ask until it has.
async fn wait_for_connections(gema: &Gema, count: u64) {
    let start = std::time::Instant::now();
    while gema.api().get("/connections", &[]).await.ok()["connections"] != json!(count) {
        assert!(start.elapsed() < gema_tests::PATIENCE, "still not {count} connections");
    }
}

#[tokio::test]
async fn protocol_and_client_parameters_are_not_required() {
    let gema = Setup::broadcast().start().await;
    let base = format!("/app/{}", gema.app.key);
    for query in
        ["", "?", "?protocol=7", "?protocol=5&client=swift", "?protocol=99&version=%00", "?flash=true&x=y"]
    {
        Client::open(gema.broadcast, &format!("{base}{query}"), &[])
            .await
            .established()
            .await
            .nothing_came()
            .await;
    }
}

#[tokio::test]
async fn r_reverb_233_without_a_list_every_origin_is_welcome() {
    let gema = Setup::broadcast().start().await;
    for origin in ["http://localhost:8000", "https://shop.example", "null", "capacitor://localhost"] {
        Client::open(gema.broadcast, &gema.target(), &[("origin", origin)]).await.established().await;
    }
}

#[tokio::test]
async fn r_soketi_816_only_listed_origins_may_connect() {
    let list = "shop.example,*.laravel.com,https://strict.example:8443";
    let gema = Setup::broadcast().env("REVERB_APP_ALLOWED_ORIGINS", list).start().await;
    for origin in [
        "https://shop.example",
        "http://shop.example:3000",
        "https://a.laravel.com",
        "https://strict.example:8443",
    ] {
        Client::open(gema.broadcast, &gema.target(), &[("origin", origin)]).await.established().await;
    }
    for origin in [
        "https://evil.example",
        "https://sub.shop.example",
        "https://laravel.com",
        "https://evil-laravel.com",
        "https://shop.example.evil.example",
        "https://strict.example",
        "http://strict.example:8443",
        "null",
        "",
    ] {
        refused(&gema, &gema.target(), &[("origin", origin)], 4009, "Origin not allowed").await;
    }
    refused(&gema, &gema.target(), &[], 4009, "Origin not allowed").await;
}

#[tokio::test]
async fn a_disabled_app_refuses_sockets_and_requests() {
    let gema = Setup::broadcast().env("REVERB_APP_ENABLED", "false").start().await;
    let mut client = Client::open(gema.broadcast, &gema.target(), &[]).await;
    assert_eq!(client.expect_error().await.0, 4003);
    assert_eq!(client.closed().await.0, 4003);
    assert_eq!(gema.api().get("/channels", &[]).await.status, 403);
}

#[tokio::test]
async fn a_plain_get_of_the_socket_address_says_what_is_missing() {
    let gema = Setup::broadcast().start().await;
    let answer = request(gema.broadcast, "GET", &gema.target(), &[], b"").await;
    assert!(matches!(answer.status, 400 | 426), "{answer:?}");
    assert!(answer.body.contains("WebSocket"), "{answer:?}");
}

#[tokio::test]
async fn the_health_check_needs_no_signature() {
    let gema = Setup::broadcast().start().await;
    let answer = request(gema.broadcast, "GET", "/up", &[], b"").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"health":"OK"}"#));
}
