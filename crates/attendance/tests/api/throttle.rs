//! Failed sign-ins slow down whoever guesses, on all nodes; and whose word about the client's address counts.

use gema_attendance::TrustedProxies;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::csrf::Browser;
use crate::kit::{Kit, Node, Reply, Stage};

/// One try with a wrong password.
pub(crate) async fn guess(node: &Node, email: &str) -> Reply {
    node.post("/api/login").json(&json!({ "email": email, "password": "wrong" })).send().await
}

async fn guess_from(node: &Node, address: &str) -> u16 {
    let body = json!({ "email": "a@example.com", "password": "wrong" });
    node.post("/api/login").header("x-forwarded-for", address).json(&body).send().await.status
}

/// Puts failed tries of the last seconds there, of as many accounts from as many addresses.
async fn failed(
    stage: &Stage,
    count: usize,
    account: impl Fn(usize) -> String,
    client: impl Fn(usize) -> String,
) {
    let hash =
        |text: String| Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let now = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S%.6f").to_string();
    let row = |i| format!("('{}', '{}', '{now}')", hash(account(i)), hash(client(i)));
    let rows: Vec<_> = (0..count).map(row).collect();
    stage
        .sql(&format!("INSERT INTO login_tries (account, client, tried_at) VALUES {}", rows.join(", ")))
        .await;
}

#[tokio::test]
async fn issue_6_tries_on_two_nodes_count_together() {
    let stage = Stage::new().await;
    let nodes = [stage.node(stage.config()).await, stage.node(stage.config()).await];
    for i in 0..5 {
        assert_eq!(guess(&nodes[i % 2], "a@example.com").await.status, 422);
    }
    for node in &nodes {
        let reply = guess(node, "A@example.com").await;
        let wait: u64 = reply.header("retry-after").parse().unwrap();
        assert!(reply.status == 429 && (1..=60).contains(&wait), "{} {wait}", reply.status);
        let message = format!("Too many login attempts. Please try again in {wait} seconds.");
        assert_eq!(reply.json(), json!({ "message": message, "errors": { "email": [message] } }));
    }
    assert_eq!(stage.count("SELECT COUNT(*) FROM login_tries").await, 5, "what is refused is not counted");
    assert_eq!(guess(&nodes[0], "b@example.com").await.status, 422);
    // Their minute is over.
    stage.sql("UPDATE login_tries SET tried_at = '2020-01-01 00:00:00.000000'").await;
    assert_eq!(guess(&nodes[1], "a@example.com").await.status, 422);
}

#[tokio::test]
async fn parallel_tries_count() {
    let Kit { node, .. } = Kit::start().await;
    let body = json!({ "email": "a@example.com", "password": "wrong" });
    let calls: Vec<_> = (0..12)
        .map(|_| node.post("/api/login").json(&body))
        .map(|call| tokio::spawn(async { call.send().await.status }))
        .collect();
    let mut let_through = 0;
    for call in calls {
        match call.await.unwrap() {
            422 => let_through += 1,
            status => assert_eq!(status, 429),
        }
    }
    assert!(let_through <= 5, "{let_through}");
}

#[tokio::test]
async fn a_sign_in_that_works_forgets_what_failed_before() {
    let node = Kit::start().await.node;
    for _ in 0..3 {
        for _ in 0..4 {
            assert_eq!(guess(&node, "admin@example.com").await.status, 422);
        }
        node.admin().await;
    }
}

#[tokio::test]
async fn one_account_from_many_addresses_is_slowed_down_and_so_is_one_address_with_many_accounts() {
    let Kit { stage, node } = Kit::start().await;
    failed(&stage, 49, |_| "a@example.com".into(), |i| format!("10.0.0.{i}")).await;
    assert_eq!(guess(&node, "a@example.com").await.status, 422);
    assert_eq!(guess(&node, "a@example.com").await.status, 429);
    node.admin().await;

    failed(&stage, 99, |i| format!("{i}@example.com"), |_| "127.0.0.1".into()).await;
    let reply = guess(&node, "new@example.com").await;
    assert_eq!(reply.status, 429, "the one of before is the hundredth");
}

#[tokio::test]
async fn the_address_that_a_stranger_names_changes_nothing() {
    for trusted in ["", "10.0.0.0/8, ::1"] {
        let trusted = TrustedProxies::parse(trusted).unwrap();
        let node = Kit::start_with(|config| config.trusted_proxies = trusted).await.node;
        for i in 0..5 {
            assert_eq!(guess_from(&node, &format!("9.9.9.{i}")).await, 422);
        }
        assert_eq!(guess_from(&node, "9.9.9.9").await, 429);
    }
}

#[tokio::test]
async fn a_trusted_proxy_tells_clients_apart_and_says_that_they_came_over_tls() {
    let trusted = TrustedProxies::parse("127.0.0.1").unwrap();
    let node = Kit::start_with(|config| config.trusted_proxies = trusted).await.node;
    for i in 0..5 {
        assert_eq!(guess_from(&node, &format!("1.1.1.{i}, 9.9.9.9")).await, 422);
    }
    assert_eq!(guess_from(&node, "1.1.1.9, 9.9.9.9").await, 429);
    assert_eq!(guess_from(&node, "9.9.9.9, 8.8.8.8").await, 422);

    let forwarded = async |proto| {
        let reply = node.get("/sanctum/csrf-cookie").header("x-forwarded-proto", proto).send().await;
        reply.cookie_line("gema_session").contains("; Secure")
    };
    assert!(forwarded("https").await && !forwarded("http").await);
    let stranger = Kit::start().await.node;
    let reply = stranger.get("/sanctum/csrf-cookie").header("x-forwarded-proto", "https").send().await;
    assert!(!reply.cookie_line("gema_session").contains("Secure"));
    Browser::open(&node).await.sign_in(&node).await;
}
