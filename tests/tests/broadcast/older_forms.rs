//! Forms of the HTTP API that only old SDKs or hand-written clients use.

use gema_protocol::signature::sign_request;
use gema_tests::{Answer, Gema, Setup, now, request};
use serde_json::json;

/// A signed POST with these parameters, which may need escaping, and this body.
async fn post(gema: &Gema, path: &str, params: &[(&str, &str)], body: &[u8]) -> Answer {
    gema.api().call("POST", path, params, body).await
}

#[tokio::test]
async fn an_event_may_stand_in_the_query() {
    let gema = Setup::broadcast().start().await;
    let (mut a, mut b) = (gema.subscriber("a").await, gema.subscriber("b").await);
    let id = a.socket_id.clone();
    let params = [("channels", "a,b"), ("data", "x & y+z"), ("name", "e"), ("socket_id", id.as_str())];
    assert_eq!(post(&gema, "/events", &params, b"").await.ok(), json!({}));
    assert_eq!(b.expect("e").await.data, json!("x & y+z"));
    a.nothing_came().await;

    // An array is signed as a list with commas, however it is sent.
    let target =
        gema.api().target("POST", "/events", &[("channels", "a,b"), ("data", ""), ("name", "f")], b"");
    for spelling in ["channels[]=a&channels[]=b", "channels%5B0%5D=a&channels%5B1%5D=b"] {
        let target = target.replace("channels=a%2Cb", spelling);
        let answer = request(gema.broadcast, "POST", &target, &[], b"").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(a.expect("f").await.data, json!(""));
        assert_eq!(b.expect("f").await.data, json!(""));
    }
    let info = [("channel", "a"), ("data", ""), ("info", "subscription_count"), ("name", "g")];
    let answer = post(&gema, "/events", &info, b"").await.ok();
    assert_eq!(answer, json!({"channels": {"a": {"subscription_count": 1}}}));
}

#[tokio::test]
async fn an_event_in_the_query_has_the_same_limits() {
    let gema = Setup::broadcast().start().await;
    let long = "x".repeat(10_241);
    for (params, status, words) in [
        (vec![("name", "e"), ("data", "")], 400, "channels is missing"),
        (vec![("name", "e"), ("channel", "a")], 400, "data is missing"),
        (vec![("data", ""), ("channel", "a")], 400, "EOF"),
        (vec![("name", "pusher:e"), ("channel", "a"), ("data", "")], 400, "reserved"),
        (vec![("name", "e"), ("channel", "a b"), ("data", "")], 400, "a b"),
        (vec![("name", "e"), ("channel", "a"), ("data", &long)], 413, "10241, 10240 are allowed"),
    ] {
        let answer = post(&gema, "/events", &params, b"").await;
        assert!(
            answer.status == status && answer.body.contains(words),
            "{words}: {} {}",
            answer.status,
            answer.body
        );
    }
}

#[tokio::test]
async fn a_body_wins_over_the_query() {
    let gema = Setup::broadcast().start().await;
    let mut client = gema.subscriber("a").await;
    let body = json!({"name": "body", "channel": "a", "data": "1"}).to_string();
    let params = [("channel", "a"), ("data", "2"), ("name", "query")];
    post(&gema, "/events", &params, body.as_bytes()).await.ok();
    assert_eq!(client.expect("body").await.data, json!("1"));
    client.nothing_came().await;
}

#[tokio::test]
async fn the_deprecated_publish_to_one_channel_answers_202() {
    let gema = Setup::broadcast().start().await;
    let name = "a-_=@,.;b";
    let (mut own, mut other) = (gema.subscriber(name).await, gema.subscriber(name).await);
    let path = format!("/channels/{name}/events");
    let id = own.socket_id.clone();
    let answer = post(&gema, &path, &[("name", "e"), ("socket_id", &id)], br#"{"x":1}"#).await;
    assert_eq!((answer.status, answer.body.as_str()), (202, "{}"));
    assert_eq!(other.expect("e").await.data, json!(r#"{"x":1}"#));
    own.nothing_came().await;
    assert_eq!(post(&gema, &path, &[], b"{}").await.status, 400, "no name");
    assert_eq!(post(&gema, &path, &[("name", "e")], b"\xff").await.status, 400, "no text");
    assert_eq!(post(&gema, "/channels/a:b/events", &[("name", "e")], b"{}").await.status, 400);
    assert_eq!(post(&gema, &path, &[("name", "e")], &[b'x'; 10_241]).await.status, 413);
}

#[tokio::test]
async fn the_deprecated_stats_say_whether_a_channel_is_occupied() {
    let gema = Setup::broadcast().start().await;
    let _client = gema.subscriber("a").await;
    let stats = async |name: &str| gema.api().get(&format!("/channels/{name}/stats"), &[]).await.ok();
    assert_eq!(stats("a").await, json!({"occupied": true}));
    assert_eq!(stats("b").await, json!({"occupied": false}));
}

#[tokio::test]
async fn the_python_sdk_ends_connections_without_naming_the_app() {
    let gema = Setup::broadcast().prefix("/ws").start().await;
    let path = "/users/user%2D1/terminate_connections";
    let send = async |query: String| {
        request(gema.broadcast, "POST", &format!("/ws{path}?{query}"), &[], b"{}").await
    };
    let query = sign_request(&gema.app, "POST", path, &[], b"{}", now());
    assert_eq!(send(query.clone()).await.ok(), json!({}));
    let answer = send(query.replace("auth_key=test", "auth_key=tset")).await;
    assert!(answer.status == 401 && answer.body.contains("not the key of any app"), "{}", answer.body);
    let answer = send(query.replace("auth_key=", "key=")).await;
    assert!(answer.status == 401 && answer.body.contains("auth_key is missing"), "{}", answer.body);
    assert_eq!(send(query.replace("version=1.0", "version=1.1")).await.status, 401);
}
