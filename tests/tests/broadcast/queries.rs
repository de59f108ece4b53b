//! `GET /channels`, `/channels/{name}` and `/connections`.

use gema_tests::{Client, Gema, Setup};
use serde_json::json;

async fn populated(gema: &Gema) -> Vec<Client> {
    let mut clients = Vec::new();
    for channel in ["room-1", "room-1", "room-2", "private-x"] {
        clients.push(gema.subscriber(channel).await);
    }
    clients
}

#[tokio::test]
async fn nothing_occupied_is_an_empty_object_not_a_list() {
    let gema = Setup::broadcast().start().await;
    let answer = gema.api().get("/channels", &[]).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"channels":{}}"#));
    assert!(answer.header("content-type").starts_with("application/json"));
}

#[tokio::test]
async fn occupied_channels_are_listed_filtered_and_counted() {
    let gema = Setup::broadcast().start().await;
    let _clients = populated(&gema).await;
    let api = gema.api();
    assert_eq!(
        api.get("/channels", &[]).await.ok(),
        json!({"channels": {"room-1": {}, "room-2": {}, "private-x": {}}})
    );
    assert_eq!(
        api.get("/channels", &[("filter_by_prefix", "room-"), ("info", "subscription_count")]).await.ok(),
        json!({"channels": {"room-1": {"subscription_count": 2}, "room-2": {"subscription_count": 1}}})
    );
    assert_eq!(api.get("/channels", &[("filter_by_prefix", "none")]).await.ok(), json!({"channels": {}}));
}

#[tokio::test]
async fn one_channel_says_whether_it_is_occupied() {
    let gema = Setup::broadcast().start().await;
    let _clients = populated(&gema).await;
    let api = gema.api();
    assert_eq!(api.get("/channels/room-1", &[]).await.ok(), json!({"occupied": true}));
    assert_eq!(
        api.get("/channels/room-1", &[("info", "subscription_count,cache,nonsense")]).await.ok(),
        json!({"occupied": true, "subscription_count": 2})
    );
    assert_eq!(
        api.get("/channels/empty", &[("info", "subscription_count")]).await.ok(),
        json!({"occupied": false, "subscription_count": 0})
    );
}

#[tokio::test]
async fn the_signature_covers_the_query_in_every_spelling() {
    let gema = Setup::broadcast().start().await;
    let _clients = populated(&gema).await;
    let api = gema.api();
    let target = api.target("GET", "/channels", &[("info", "subscription_count,user_count")], b"");
    assert!(target.contains("info="), "{target}");
    // Guzzle sends a comma escaped, and PHP splits a list into numbered fields; both sign the plain text.
    for spelling in [
        target.replace("subscription_count,user_count", "subscription_count%2Cuser_count"),
        target
            .replace("%2C", ",")
            .replace("info=subscription_count,user_count", "info[0]=subscription_count&info[1]=user_count"),
    ] {
        let answer = gema_tests::request(gema.broadcast, "GET", &spelling, &[], b"").await;
        assert_eq!(answer.status, 200, "{spelling}: {}", answer.body);
        assert_eq!(answer.json()["channels"]["room-1"], json!({"subscription_count": 2}));
    }
}

#[tokio::test]
async fn an_empty_body_may_be_hashed_or_not() {
    let gema = Setup::broadcast().start().await;
    let empty = ("body_md5", "d41d8cd98f00b204e9800998ecf8427e");
    assert_eq!(gema.api().get("/channels", &[empty]).await.status, 200, "as the Python library does");
    assert_eq!(gema.api().get("/channels", &[]).await.status, 200);
}

#[tokio::test]
async fn r_reverb_130_connections_are_not_users() {
    let gema = Setup::broadcast().start().await;
    let mut client = gema.subscriber("room").await;
    client.subscribe("other", "").await;
    assert_eq!(gema.api().get("/connections", &[]).await.ok(), json!({"connections": 1}));
}
