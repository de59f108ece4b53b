//! HTTP itself: connections that stay, bodies in pieces, methods and paths nobody serves, answers nobody can miss.

use gema_tests::{Gema, Raw, Setup, request};
use serde_json::json;

const EVENT: &str = r#"{"name":"e","channels":["a"],"data":"x"}"#;

fn target(gema: &Gema, body: &str) -> String {
    gema.api().target("POST", "/events", &[], body.as_bytes())
}

#[tokio::test]
async fn one_connection_serves_many_requests_refused_ones_too() {
    let gema = Setup::broadcast().start().await;
    let mut client = gema.subscriber("a").await;
    let mut raw = Raw::connect(gema.broadcast).await;
    let length = format!("Content-Length: {}", EVENT.len());
    let forged = target(&gema, EVENT).replace("auth_version=1.0", "auth_version=1.1");
    for round in 0..3 {
        for (target, status) in
            [(target(&gema, EVENT), 200), (forged.clone(), 401), ("/nowhere".to_owned(), 404)]
        {
            raw.send_head("POST", &target, &[&length]).await;
            raw.send(EVENT.as_bytes()).await;
            let answer = raw.answer().await;
            assert_eq!(answer.status, status, "round {round}: {}", answer.body);
        }
        client.expect("e").await;
    }
    client.nothing_came().await;
}

#[tokio::test]
async fn requests_may_be_sent_before_the_answers() {
    let gema = Setup::broadcast().start().await;
    let mut raw = Raw::connect(gema.broadcast).await;
    let head = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n");
    let channels = gema.api().target("GET", "/channels", &[], b"");
    let both = [head("/up"), head(&channels), head("/nowhere")].concat();
    raw.send(both.as_bytes()).await;
    assert_eq!(raw.answer().await.body, r#"{"health":"OK"}"#);
    assert_eq!(raw.answer().await.body, r#"{"channels":{}}"#);
    assert_eq!(raw.answer().await.status, 404);
}

#[tokio::test]
async fn who_expects_100_is_told_to_continue() {
    let gema = Setup::broadcast().start().await;
    let mut raw = Raw::connect(gema.broadcast).await;
    let length = format!("Content-Length: {}", EVENT.len());
    raw.send_head("POST", &target(&gema, EVENT), &[&length, "Expect: 100-continue"]).await;
    assert_eq!(raw.answer().await.status, 100);
    raw.send(EVENT.as_bytes()).await;
    assert_eq!(raw.answer().await.status, 200);
}

#[tokio::test]
async fn who_expects_100_is_spared_a_body_that_is_refused() {
    let gema = Setup::broadcast().start().await;
    let huge = "Content-Length: 1572865";
    let refused =
        [(target(&gema, EVENT), 413), ("/apps/1/events".to_owned(), 404), ("/nowhere".to_owned(), 404)];
    for (target, status) in refused {
        let mut raw = Raw::connect(gema.broadcast).await;
        raw.send_head("POST", &target, &[huge, "Expect: 100-continue"]).await;
        assert_eq!(raw.answer().await.status, status, "{target}");
    }
}

#[tokio::test]
async fn a_body_that_ends_early_is_a_400_and_publishes_nothing() {
    let gema = Setup::broadcast().start().await;
    let mut client = gema.subscriber("a").await;
    for line in [format!("Content-Length: {}", EVENT.len() + 1), "Transfer-Encoding: chunked".to_owned()] {
        let mut raw = Raw::connect(gema.broadcast).await;
        raw.send_head("POST", &target(&gema, EVENT), &[&line]).await;
        let chunk = format!("{:x}\r\n{EVENT}\r\n", EVENT.len());
        raw.send(if line.starts_with('T') { chunk.as_bytes() } else { EVENT.as_bytes() }).await;
        raw.finish().await;
        assert_eq!(raw.answer().await.status, 400, "{line}");
    }
    client.nothing_came().await;
}

#[tokio::test]
async fn methods_nobody_serves_are_405_with_those_that_are() {
    let gema = Setup::broadcast().start().await;
    let app = "/apps/424242";
    for (path, allowed) in [
        ("/up".to_owned(), "GET"),
        ("/app/testkey0123456789abc".to_owned(), "GET"),
        (format!("{app}/events"), "POST"),
        (format!("{app}/batch_events"), "POST"),
        (format!("{app}/channels"), "GET"),
        (format!("{app}/channels/a"), "GET"),
        (format!("{app}/channels/a/users"), "GET"),
        (format!("{app}/channels/a/stats"), "GET"),
        (format!("{app}/channels/a/events"), "POST"),
        (format!("{app}/connections"), "GET"),
        (format!("{app}/users/1/terminate_connections"), "POST"),
        ("/users/1/terminate_connections".to_owned(), "POST"),
    ] {
        for method in
            ["HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", if allowed == "GET" { "POST" } else { "GET" }]
        {
            let answer = request(gema.broadcast, method, &path, &[], b"").await;
            assert_eq!((answer.status, answer.header("allow")), (405, allowed), "{method} {path}");
            assert_eq!(
                answer.body,
                if method == "HEAD" { "" } else { "Method not allowed." },
                "{method} {path}"
            );
        }
    }
}

#[tokio::test]
async fn paths_nobody_serves_are_404_in_plain_text() {
    let gema = Setup::broadcast().start().await;
    for path in [
        "/",
        "/nothing",
        "/apps",
        "/apps/424242",
        "/apps/424242/",
        "/apps/424242/nothing",
        "/apps/424242/channels/a/b",
        "/apps/424242/users",
        "/users/1",
        "/up/x",
        "//up",
        "/x/apps/424242/channels",
    ] {
        let answer = request(gema.broadcast, "GET", path, &[], b"").await;
        assert_eq!((answer.status, answer.body.as_str()), (404, "Not found."), "{path}");
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8", "{path}");
    }
    for path in ["/apps/424242/channels/", "/apps/424242/events/"] {
        let answer = request(gema.broadcast, "GET", path, &[], b"").await;
        assert!(answer.status == 404 && answer.body.contains("slash"), "{path}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_path_that_only_begins_like_the_prefix_is_not_below_it() {
    let gema = Setup::broadcast().prefix("/ws").start().await;
    for path in ["/wsx/up", "/wsup", "/ws", "/ws/"] {
        assert_eq!(request(gema.broadcast, "GET", path, &[], b"").await.status, 404, "{path}");
    }
    assert_eq!(request(gema.broadcast, "GET", "/ws/up", &[], b"").await.ok(), json!({"health": "OK"}));
}

#[tokio::test]
async fn a_disabled_app_is_403_whatever_is_asked() {
    let gema = Setup::broadcast().env("REVERB_APP_ENABLED", "false").start().await;
    for answer in
        [gema.api().get("/channels", &[]).await, gema.api().post("/events", &json!({"name": "e"})).await]
    {
        assert_eq!((answer.status, answer.body.as_str()), (403, "The application is disabled."));
    }
    assert_eq!(request(gema.broadcast, "GET", "/up", &[], b"").await.status, 200);
}

#[tokio::test]
async fn invalid_json_is_a_400_with_its_place() {
    let gema = Setup::broadcast().start().await;
    for (body, words) in [
        ("{\"name\":\"e\",\n\"data\":}", "expected value at line 2 column 8"),
        ("{\"name\":\"e\"", "at line 1 column 11"),
        ("[]", "expected an object at line 1"),
        (
            "{\"name\":\"e\",\"data\":{\"a\":1},\"channels\":[\"a\"]}",
            "data: invalid type: map, expected a string",
        ),
        ("{\"name\":\"e\",\"data\":\"x\",\"channels\":\"a\"}", "channels: "),
        ("{\"name\":\"e\",\"data\":\"x\",\"channels\":[\"a\"],\"socket_id\":7}", "socket_id: "),
        ("{\"name\":\"e\",\"data\":\"x\",\"channels\":[\"a\"],\"info\":[]}", "info: "),
        ("name=e&data=x&channel=a", "at line 1 column"),
    ] {
        let answer = gema.api().call("POST", "/events", &[], body.as_bytes()).await;
        assert!(
            answer.status == 400 && answer.body.contains(words),
            "{body}: {} {}",
            answer.status,
            answer.body
        );
        assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    }
    let batch = json!({"batch": [{"name": "e", "channel": "a", "data": "x"}, {"name": "e", "channel": "a", "data": 1}]});
    let answer = gema.api().post("/batch_events", &batch).await;
    assert!(answer.status == 400 && answer.body.contains("data: invalid type"), "{}", answer.body);
}

#[tokio::test]
async fn a_head_over_16_kib_is_431() {
    let gema = Setup::broadcast().start().await;
    let status = async |length: usize| {
        let mut raw = Raw::connect(gema.broadcast).await;
        raw.send_head("GET", &format!("/up?{}", "x".repeat(length)), &[]).await;
        raw.answer().await.status
    };
    assert_eq!((status(15_000).await, status(17_000).await), (200, 431));
}

#[tokio::test]
async fn a_content_type_is_not_asked_for() {
    let gema = Setup::broadcast().start().await;
    for headers in
        [&[][..], &[("content-type", "text/plain")], &[("content-type", "application/json; charset=utf-8")]]
    {
        let answer = request(gema.broadcast, "POST", &target(&gema, EVENT), headers, EVENT.as_bytes()).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"), "{headers:?}");
    }
}
