//! Members of presence channels whose server stops.

use gema_tests::{Gema, Redis, Setup};
use serde_json::json;

use super::restart::linked;

async fn node(redis: &Redis) -> Gema {
    let setup = Setup::broadcast().env("REVERB_SCALING_ENABLED", "true").env("REDIS_URL", &redis.url());
    let gema = setup.env("GEMA_DRAIN_SECONDS", "1").env("GEMA_METRICS_PORT", "0").start().await;
    linked(&gema).await;
    gema
}

fn data(user: &str) -> String {
    json!({ "user_id": user }).to_string()
}

#[tokio::test]
async fn a_member_who_moves_to_another_server_was_never_away_and_one_who_does_not_is_missed() {
    let redis = Redis::start().await;
    let (mut a, b) = tokio::join!(node(&redis), node(&redis));
    let channel = "presence-room";
    let mut watcher = b.member(channel, &data("watcher")).await;
    let mut movers = Vec::new();
    for user in ["mover", "leaver"] {
        movers.push(a.member(channel, &data(user)).await);
        let added = watcher.expect("pusher_internal:member_added").await.inner();
        assert_eq!(added["user_id"], user);
    }
    a.terminate();
    for client in &mut movers {
        assert_eq!(client.closed().await.0, 4200);
    }
    let _mover = b.member(channel, &data("mover")).await;
    let removed = watcher.expect("pusher_internal:member_removed").await.inner();
    assert_eq!(removed["user_id"], "leaver", "the mover has not left");
    assert!(a.ended().await.success(), "{}", a.log());
    watcher.nothing_came().await;
    let mut late = b.client().await;
    let roster = late.join(&b.app, channel, &data("late")).await.inner();
    let mut ids: Vec<_> = roster["presence"]["ids"].as_array().expect("a list").clone();
    ids.sort_by_key(ToString::to_string);
    assert_eq!(ids, ["late", "mover", "watcher"]);
}
