//! `POST /api/login`, `POST /api/logout`, `GET /api/user`, and what every body has to bear.

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::kit::{Kit, Node, PATIENCE};

#[tokio::test]
async fn a_token_signs_in_until_logout() {
    let Kit { stage, node } = Kit::start().await;
    let credentials = json!({ "email": "Admin@Example.com", "password": "password" });
    let reply = node.post("/api/login").json(&credentials).send().await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.json()["user"]["email"], "admin@example.com");
    assert!(reply.json()["user"].get("password_hash").is_none());
    let token = reply.json()["token"].as_str().unwrap().to_owned();
    assert!(token.len() >= 40);

    let user = node.get("/api/user").bearer(&token).send().await;
    assert_eq!((user.status, user.json()["role"].clone()), (200, json!("admin")));
    assert_eq!(user.json()["id"], reply.json()["user"]["id"]);
    stage.wait_for("SELECT COUNT(*) FROM tokens WHERE last_used_at IS NOT NULL").await;

    assert_eq!(node.post("/api/logout").bearer(&token).send().await.status, 204);
    let user = node.get("/api/user").bearer(&token).send().await;
    assert_eq!((user.status, user.json()), (401, json!({ "message": "Unauthenticated." })));
}

#[tokio::test]
async fn wrong_password_and_unknown_account_look_the_same() {
    let node = Kit::start().await.node;
    let mut replies = Vec::new();
    for email in ["admin@example.com", "nobody@example.com"] {
        let credentials = json!({ "email": email, "password": "wrong" });
        replies.push(node.post("/api/login").json(&credentials).send().await);
    }
    assert_eq!(replies[0].status, 422);
    assert_eq!(replies[0].text, replies[1].text);
    assert_eq!(replies[0].json()["errors"]["email"], json!(["These credentials do not match our records."]));
}

#[tokio::test]
async fn the_sixth_failed_try_waits_and_other_accounts_do_not() {
    let node = Kit::start().await.node;
    let wrong = json!({ "email": "a@example.com", "password": "wrong" });
    for _ in 0..5 {
        assert_eq!(node.post("/api/login").json(&wrong).send().await.status, 422);
    }
    let reply = node.post("/api/login").json(&wrong).send().await;
    assert_eq!(reply.status, 429);
    let wait: u64 = reply.header("retry-after").parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    node.admin().await;
}

#[tokio::test]
async fn missing_fields_are_named() {
    let node = Kit::start().await.node;
    let reply = node.post("/api/login").send().await;
    assert_eq!(reply.status, 422);
    let expected = json!({
        "message": "The email field is required. (and 1 more error)",
        "errors": {
            "email": ["The email field is required."],
            "password": ["The password field is required."],
        },
    });
    assert_eq!(reply.json(), expected);
}

#[tokio::test]
async fn a_body_that_is_no_object_is_400() {
    let node = Kit::start().await.node;
    let deep = "[".repeat(50_000);
    for body in ["{", "[]", "7", "\"x\"", "{\"email\":", "\u{0}", deep.as_str()] {
        let reply = node.post("/api/login").body("application/json", body.to_owned()).send().await;
        assert_eq!(reply.status, 400, "{}", &body[..body.len().min(20)]);
        assert!(reply.json()["message"].is_string());
    }
    let reply = node.post("/api/login").form("email=%ff&password=%00").send().await;
    assert!((400..500).contains(&reply.status), "{}", reply.status);
}

#[tokio::test]
async fn a_body_over_the_limit_is_413() {
    let node = Kit::start().await.node;
    let body = json!({ "email": "x".repeat(64 * 1024) });
    let reply = node.post("/api/login").json(&body).send().await;
    assert_eq!(reply.status, 413);
    assert_eq!(reply.json()["message"], "The request body is too large.");
}

#[tokio::test]
async fn forged_tokens_are_401() {
    let node = Kit::start().await.node;
    for header in ["Bearer", "Bearer ", "Bearer x", "bearer \u{7f}", "Basic YTpi", "' OR 1=1 --"] {
        let reply =
            node.get("/api/user").header("authorization", header.trim_end_matches('\u{7f}')).send().await;
        assert_eq!(reply.status, 401, "{header}");
    }
}

#[tokio::test]
async fn a_body_of_another_kind_is_told_what_is_understood() {
    let node = Kit::start().await.node;
    let body = "--x\r\nContent-Disposition: form-data; name=\"email\"\r\n\r\na@b.c\r\n--x--\r\n".to_owned();
    let reply = node.post("/api/login").body("multipart/form-data; boundary=x", body).send().await;
    assert_eq!(reply.status, 400);
    let message = reply.json()["message"].to_string();
    assert!(message.contains("JSON") && message.contains("application/x-www-form-urlencoded"), "{message}");
}

/// Sends bytes as they are and reads the first `enough` bytes of the answer.
async fn raw(node: &Node, parts: &[&[u8]], enough: usize) -> String {
    let mut socket = TcpStream::connect(node.url.trim_start_matches("http://")).await.unwrap();
    for part in parts {
        socket.write_all(part).await.unwrap();
    }
    let mut answer = vec![0; enough];
    timeout(PATIENCE, socket.read_exact(&mut answer)).await.unwrap().unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_refused_body_is_taken_to_its_end_so_that_the_answer_arrives() {
    let node = Kit::start().await.node;
    let body = vec![b'x'; 7 << 20];
    let head = format!("POST /api/login HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", body.len());
    assert_eq!(raw(&node, &[head.as_bytes(), &body], 12).await, "HTTP/1.1 413");
}

#[tokio::test]
async fn nobody_is_asked_to_send_what_is_too_large() {
    let node = Kit::start().await.node;
    let head =
        "POST /api/login HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 99999999\r\n\r\n";
    assert_eq!(raw(&node, &[head.as_bytes()], 12).await, "HTTP/1.1 413");
}
