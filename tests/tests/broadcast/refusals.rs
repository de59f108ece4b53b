//! Requests to the HTTP API that are refused, and whether the answer helps whoever made them.

use gema_protocol::app::{Credentials, Secret};
use gema_protocol::signature::sign_request;
use gema_tests::{Answer, Api, Gema, Setup, now, request};
use serde_json::json;

const BODY: &[u8] = br#"{"name":"e","channels":["a"],"data":"x"}"#;

async fn send(gema: &Gema, method: &str, target: &str, body: &[u8]) -> Answer {
    request(gema.broadcast, method, target, &[("content-type", "application/json")], body).await
}

/// A 401 whose text names the part that does not fit, and never the secret or the right signature.
fn explained(answer: &Answer, gema: &Gema, words: &[&str]) {
    assert_eq!(answer.status, 401, "{}", answer.body);
    let text = answer.body.to_lowercase();
    assert!(words.iter().any(|word| text.contains(word)), "none of {words:?} in: {}", answer.body);
    assert!(!answer.body.contains(gema.app.secret.expose()), "the secret is in the answer");
}

#[tokio::test]
async fn a_signature_stands_for_ten_minutes_either_way() {
    let gema = Setup::broadcast().start().await;
    let at = |seconds: u64| gema.api().target_at(seconds, "/events", BODY);
    let now = now();
    for (moment, good) in
        [(now - 590, true), (now - 610, false), (now + 590, true), (now + 620, false), (0, false)]
    {
        let answer = send(&gema, "POST", &at(moment), BODY).await;
        if good {
            assert_eq!(answer.status, 200, "{}", answer.body);
        } else {
            explained(&answer, &gema, &["clock", "timestamp"]);
        }
    }
}

#[tokio::test]
async fn method_path_and_secret_are_signed() {
    let gema = Setup::broadcast().start().await;
    let api = gema.api();
    let get = api.target("GET", "/channels", &[], b"");
    assert_eq!(send(&gema, "GET", &get.replace("/channels?", "/connections?"), b"").await.status, 401);
    let post_query = get.split_once('?').expect("a query").1;
    assert_eq!(send(&gema, "POST", &format!("/apps/424242/events?{post_query}"), b"").await.status, 401);
    let secret = Secret::new("anothersecret9876543".to_owned());
    let forger = Api { app: Credentials { secret, ..gema.app.clone() }, ..gema.api() };
    explained(&forger.get("/channels", &[]).await, &gema, &["signature"]);
    let upper = api.target("GET", "/channels", &[], b"");
    let (head, signature) = upper.split_once("auth_signature=").expect("a signature");
    let tail = signature.get(64..).expect("64 hexadecimal digits");
    let upper = format!("{head}auth_signature={}{tail}", signature[..64].to_uppercase());
    assert_eq!(send(&gema, "GET", &upper, b"").await.status, 401, "lower case only");
}

#[tokio::test]
async fn an_unknown_app_is_a_404_that_names_it() {
    let gema = Setup::broadcast().start().await;
    let query = sign_request(&gema.app, "GET", "/apps/999999/channels", &[], b"", now());
    let answer = send(&gema, "GET", &format!("/apps/999999/channels?{query}"), b"").await;
    assert_eq!((answer.status, answer.body.as_str()), (404, "No matching application for ID [999999]."));
}

#[tokio::test]
async fn unknown_paths_and_methods() {
    let gema = Setup::broadcast().start().await;
    for target in
        ["/", "/nothing", "/apps", "/apps/424242/nothing", "/apps/424242", "/up/x", "//", "/apps//channels"]
    {
        let answer = send(&gema, "GET", target, b"").await;
        assert!(matches!(answer.status, 401 | 404), "{target}: {}", answer.status);
    }
    assert_eq!(send(&gema, "GET", "/nothing", b"").await.status, 404);
    let get = sign_request(&gema.app, "GET", "/apps/424242/events", &[], b"", now());
    let answer = send(&gema, "GET", &format!("/apps/424242/events?{get}"), b"").await;
    assert_eq!((answer.status, answer.header("allow")), (405, "POST"));
    let delete = sign_request(&gema.app, "DELETE", "/apps/424242/channels", &[], b"", now());
    let answer = send(&gema, "DELETE", &format!("/apps/424242/channels?{delete}"), b"").await;
    assert_eq!(answer.status, 405);
    assert!(answer.header("allow").contains("GET"), "{answer:?}");
}

#[tokio::test]
async fn an_illegal_channel_in_a_path_is_the_callers_mistake() {
    let gema = Setup::broadcast().start().await;
    for name in ["a%20b", "a:b", "%00", "%23x", &"c".repeat(201)] {
        let answer = gema.api().get(&format!("/channels/{name}"), &[]).await;
        assert_eq!(answer.status, 400, "{name}: {}", answer.body);
    }
}

#[tokio::test]
async fn refusals_harm_nobody() {
    let gema = Setup::broadcast().start().await;
    let mut client = gema.subscriber("a").await;
    for _ in 0..20 {
        send(&gema, "POST", "/apps/424242/events?auth_key=x", BODY).await;
        gema.api().post("/events", &json!({"name": "e"})).await;
    }
    client.nothing_came().await;
    gema.api().publish("a", "e", "x").await;
    client.expect("e").await;
}
