//! Two apps in one server that use the same names: neither sees anything of the other.

use gema_protocol::channel::ChannelKind;
use serde_json::json;

use super::{Stage, channel, event, has_members, keeps_the_last_event, path};

#[tokio::test]
async fn an_event_stays_in_its_app() {
    let stage = Stage::set().await;
    for &kind in ChannelKind::ALL {
        let (mut ours, mut theirs) = (stage.insider(kind).await, stage.insider_of_other(kind).await);
        stage.gema.api().post("/events", &event(kind, "ours")).await.ok();
        ours.expect("ours").await;
        theirs.nothing_came().await;
        stage.other_api().post("/events", &event(kind, "theirs")).await.ok();
        theirs.expect("theirs").await;
        ours.nothing_came().await;
    }
}

#[tokio::test]
async fn a_kept_event_stays_in_its_app() {
    let stage = Stage::set().await;
    for &kind in ChannelKind::ALL.iter().filter(|kind| keeps_the_last_event(**kind)) {
        stage.gema.api().post("/events", &event(kind, "ours")).await.ok();
        let data = has_members(kind).then_some(r#"{"user_id":"1"}"#);
        for (app, mut client, first) in [
            (&stage.gema.app, stage.gema.client().await, "ours"),
            (&stage.other, stage.client_of_other().await, "pusher:cache_miss"),
        ] {
            client.ask_signed(app, &channel(kind), data).await;
            client.expect("pusher_internal:subscription_succeeded").await;
            client.expect(first).await;
        }
        let kept = |api: gema_tests::Api| async move {
            api.get(&path(kind), &[("info", "cache")]).await.ok()["cache"].is_object()
        };
        assert!(kept(stage.gema.api()).await && !kept(stage.other_api()).await, "{kind:?}");
    }
}

#[tokio::test]
async fn members_are_those_of_the_app() {
    let stage = Stage::set().await;
    for &kind in ChannelKind::ALL.iter().filter(|kind| has_members(**kind)) {
        let (mut ours, mut theirs) = (stage.insider(kind).await, stage.client_of_other().await);
        let list = theirs.join(&stage.other, &channel(kind), r#"{"user_id":"guest"}"#).await;
        assert_eq!(list.inner()["presence"]["ids"], json!(["guest"]));
        ours.nothing_came().await;
        let users = format!("{}/users", path(kind));
        assert_eq!(stage.gema.api().get(&users, &[]).await.ok(), json!({"users": [{"id": "insider"}]}));
        assert_eq!(stage.other_api().get(&users, &[]).await.ok(), json!({"users": [{"id": "guest"}]}));
    }
}

#[tokio::test]
async fn queries_see_the_channels_of_their_app_only() {
    let stage = Stage::set().await;
    for &kind in ChannelKind::ALL {
        let _insider = stage.insider(kind).await;
        let theirs = stage.other_api();
        assert_eq!(theirs.get("/channels", &[]).await.ok(), json!({"channels": {}}));
        assert_eq!(theirs.get(&path(kind), &[]).await.ok(), json!({"occupied": false}));
        assert_eq!(theirs.get("/connections", &[]).await.ok(), json!({"connections": 0}));
    }
}

#[tokio::test]
async fn a_user_of_one_app_is_nobody_in_the_other() {
    let stage = Stage::set().await;
    let mut ours = stage.gema.client().await;
    ours.ask_sign_in(&stage.other, r#"{"id":"7"}"#).await;
    assert_eq!(ours.expect_error().await.0, 4009, "a sign-in that the other app has signed");
    ours.sign_in(&stage.gema.app, r#"{"id":"7","watchlist":["8"]}"#).await;
    ours.expect("pusher_internal:watchlist_events").await;
    let mut theirs = stage.client_of_other().await;
    theirs.sign_in(&stage.other, r#"{"id":"8"}"#).await;
    theirs.ask_subscribe("#server-to-user-7", "").await;
    assert_eq!(theirs.expect_error().await.0, 4009);
    theirs.subscribe("#server-to-user-8", "").await;
    ours.nothing_came().await;

    stage.gema.api().post("/users/8/terminate_connections", &json!({})).await.ok();
    theirs.nothing_came().await;
    stage.other_api().post("/users/8/terminate_connections", &json!({})).await.ok();
    assert_eq!(theirs.closed().await.0, 4009);
    ours.nothing_came().await;
}
