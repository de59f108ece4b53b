//! The pages, their policy and caching, `/config.json`, `/up`, and what does not exist.

use std::fs;

use reqwest::Method;
use serde_json::json;

use crate::kit::{Kit, Stage};

async fn built() -> Kit {
    let stage = Stage::new().await;
    // Beside the database: what must not be reachable lies next door.
    let folder = stage.path().join("dist");
    fs::create_dir_all(folder.join("assets")).unwrap();
    fs::write(folder.join("index.html"), "<!doctype html><title>Pages</title>").unwrap();
    fs::write(folder.join("assets/app-1a2b.js"), "export {}").unwrap();
    let mut config = stage.config();
    config.dashboard_dir = Some(folder);
    Kit { node: stage.node(config).await, stage }
}

#[tokio::test]
async fn without_a_build_the_page_names_the_command() {
    let node = Kit::start().await.node;
    let reply = node.get("/").send().await;
    assert_eq!(reply.status, 200);
    assert!(reply.header("content-type").starts_with("text/html"));
    assert!(reply.text.contains("make dashboard"));
}

#[tokio::test]
async fn every_page_is_the_dashboard_under_a_strict_policy() {
    let node = built().await.node;
    for path in ["/", "/login", "/attendances", "/admin/dashboard", "/admin/people"] {
        let reply = node.get(path).send().await;
        assert_eq!((reply.status, reply.text.contains("Pages")), (200, true), "{path}");
        let policy = reply.header("content-security-policy");
        assert!(
            policy.contains("default-src 'self'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert!(policy.contains("connect-src 'self' ws://127.0.0.1:8080 wss://127.0.0.1:8080;"), "{policy}");
        assert!(!policy.contains("unsafe"));
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
        assert!(!reply.header("referrer-policy").is_empty());
        assert_eq!(reply.header("x-node-id"), "7");
    }
    let evil = node.get("/").header("host", "x;script-src*").send().await;
    assert!(!evil.header("content-security-policy").contains("script-src"));
}

#[tokio::test]
async fn pages_are_asked_for_anew_and_assets_kept_for_ever() {
    let node = built().await.node;
    let page = node.get("/").send().await;
    assert_eq!(page.header("cache-control"), "no-cache");
    let etag = page.header("etag");
    assert!(!etag.is_empty() && !page.header("last-modified").is_empty());
    let again = node.get("/").header("if-none-match", etag).send().await;
    assert_eq!((again.status, again.text.as_str()), (304, ""));

    let asset = node.get("/assets/app-1a2b.js").send().await;
    assert_eq!(asset.header("cache-control"), "public, max-age=31536000, immutable");
    assert!(asset.header("content-type").contains("javascript"));
    let missing = node.get("/assets/app-old.js").send().await;
    assert_eq!((missing.status, missing.header("cache-control")), (404, "no-store"));
}

#[tokio::test]
async fn nothing_beside_the_build_is_served() {
    let Kit { stage, node } = built().await;
    fs::write(stage.path().join("secret.sqlite"), "secret").unwrap();
    for path in [
        "/assets/../../secret.sqlite",
        "/assets/..%2f..%2fsecret.sqlite",
        "/assets/%2e%2e/%2e%2e/secret.sqlite",
        "/assets//etc/passwd",
        "/assets/",
        "/index.html",
        "/secret.sqlite",
    ] {
        let reply = node.get(path).send().await;
        assert_eq!(reply.status, 404, "{path}");
    }
}

#[tokio::test]
async fn the_pages_learn_where_the_sockets_are() {
    let node = Kit::start_with(|config| {
        config.front_end.host = "ws.example.com".into();
        config.front_end.port = 443;
        config.front_end.scheme = "https".into();
    })
    .await
    .node;
    let expected = json!({
        "key": "app-key",
        "host": "ws.example.com",
        "port": 443,
        "scheme": "https",
        "node_id": 7,
        "time_zone": "Asia/Jakarta",
    });
    let reply = node.get("/config.json").send().await;
    assert_eq!((reply.json(), reply.header("cache-control")), (expected, "no-store"));
    assert!(
        node.get("/").send().await.header("content-security-policy").contains(" wss://ws.example.com:443;")
    );
}

#[tokio::test]
async fn health_is_up() {
    let node = Kit::start().await.node;
    let reply = node.get("/up").send().await;
    assert_eq!((reply.status, reply.json()), (200, json!({ "status": "ok" })));
}

#[tokio::test]
async fn a_visitor_who_lost_the_way_sees_a_page() {
    let node = built().await.node;
    let visit = |path| node.get(path).header("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
    for path in ["/nothing", "/admin", "/attendances/12", "/api"] {
        let reply = visit(path).send().await;
        assert_eq!((reply.status, reply.text.contains("Pages")), (404, true), "{path}");
        assert!(reply.header("content-security-policy").contains("default-src 'self'"), "{path}");
    }
    for path in ["/api/nothing", "/assets/nothing.js", "/broadcasting/nothing"] {
        let reply = visit(path).send().await;
        assert_eq!((reply.status, reply.json()["message"].is_string()), (404, true), "{path}");
    }
}

#[tokio::test]
async fn what_does_not_exist_is_json_with_the_node() {
    let node = Kit::start().await.node;
    for (method, path, status) in [
        (Method::GET, "/api/nothing", 404),
        (Method::POST, "/apinothing", 404),
        (Method::DELETE, "/api/user", 405),
        (Method::PUT, "/login", 405),
    ] {
        let reply = node.call(method, path).send().await;
        assert_eq!(reply.status, status, "{path}");
        assert!(reply.json()["message"].is_string());
        assert_eq!(reply.header("x-node-id"), "7");
    }
}
