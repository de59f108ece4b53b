//! A server below a path prefix: everything moves, signatures do not.

use gema_tests::{Client, Setup, request};
use serde_json::json;

#[tokio::test]
async fn r_reverb_368_everything_lives_below_the_prefix_and_signatures_do_not_know_it() {
    for (configured, prefix) in [("/ws", "/ws"), ("ws", "/ws"), ("/my/prefix/", "/my/prefix")] {
        let gema = Setup::broadcast().prefix(prefix).env("REVERB_SERVER_PATH", configured).start().await;
        let mut client = gema.subscriber("private-a").await;
        let api = gema.api();
        api.publish("private-a", "e", "x").await;
        client.expect("e").await;
        assert_eq!(api.get("/channels", &[]).await.ok(), json!({"channels": {"private-a": {}}}));
        let outside = request(gema.broadcast, "GET", "/up", &[], b"").await;
        assert_eq!(outside.status, 404, "nothing is served outside of the prefix");
        let answer = request(gema.broadcast, "GET", &format!("{prefix}/up"), &[], b"").await;
        assert_eq!(answer.status, 200);
    }
}

#[tokio::test]
async fn an_unknown_key_below_the_prefix_is_refused_as_anywhere() {
    let gema = Setup::broadcast().prefix("/ws").start().await;
    let mut client = Client::open(gema.broadcast, "/ws/app/nosuchkey", &[]).await;
    assert_eq!(client.expect_error().await.0, 4001);
    assert_eq!(client.closed().await.0, 4001);
}
