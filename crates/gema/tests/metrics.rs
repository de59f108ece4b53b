//! What the attendance roles show an operator.

use gema_tests::{Gema, Setup, request};

const JSON: (&str, &str) = ("content-type", "application/json");

async fn ready(gema: &Gema) -> (u16, String) {
    let answer = request(gema.metrics_at(), "GET", "/ready", &[], b"").await;
    (answer.status, answer.body)
}

async fn sign_in(gema: &Gema, password: &str) -> gema_tests::Answer {
    let who = format!(r#"{{"email":"admin@example.com","password":"{password}"}}"#);
    request(gema.web, "POST", "/api/login", &[JSON], who.as_bytes()).await
}

#[tokio::test]
async fn issue_6_one_page_shows_all_roles_of_a_process() {
    let gema = Setup::serve().env("GEMA_METRICS_PORT", "0").start().await;
    assert_eq!(sign_in(&gema, "wrong").await.status, 422);
    let token = sign_in(&gema, "password").await.json()["token"].as_str().expect("a token").to_owned();
    let bearer = format!("Bearer {token}");
    let headers = [JSON, ("authorization", bearer.as_str())];
    let answer = request(gema.web, "POST", "/api/attendances/check-in", &headers, b"{}").await;
    assert_eq!(answer.status, 201);
    request(gema.web, "GET", "/no/such/page", &[], b"").await;

    let metrics = gema.metrics_when(|metrics| metrics.get("gema_outbox_published_total") == 1.0).await;
    let requests = |route: &str, status: u16| {
        metrics.get(&format!("gema_attendance_requests_total{{route=\"{route}\",status=\"{status}\"}}"))
    };
    assert_eq!(requests("/api/attendances/check-in", 201), 1.0);
    assert_eq!((requests("/api/login", 422), requests("/api/login", 200)), (1.0, 1.0));
    assert_eq!(requests("other", 404), 1.0);
    for name in ["gema_outbox_postponed_total", "gema_outbox_refused_total", "gema_outbox_given_up_total"] {
        assert_eq!(metrics.kinds[name], "counter");
    }
    assert!(metrics.get("gema_database_connections{state=\"idle\"}") >= 1.0, "{metrics:#?}");
    assert_eq!(metrics.get("gema_build_info{version=\"0.1.0\"}"), 1.0);
    // The broadcast server of the same process took the event, once per channel.
    assert_eq!(metrics.get("gema_events_published_total{app=\"424242\"}"), 2.0);
    // The row is deleted after it was published.
    gema.metrics_when(|metrics| metrics.get("gema_outbox_waiting") == 0.0).await;
    assert_eq!(ready(&gema).await, (200, r#"{"status":"ok"}"#.to_owned()));
}

#[tokio::test]
async fn issue_6_a_worker_shows_what_waits_and_that_redis_is_away() {
    let setup = Setup::worker().seeded().env("GEMA_METRICS_PORT", "0").env("REVERB_HOST", "127.0.0.1");
    let setup = setup.env("REDIS_URL", "redis://127.0.0.1:1").env("QUEUE_CONNECTION", "redis");
    let gema = setup.start().await;
    let metrics = gema.metrics_when(|metrics| metrics.kinds.contains_key("gema_outbox_waiting")).await;
    assert_eq!(metrics.get("gema_outbox_waiting"), 0.0);
    assert_eq!((metrics.get("gema_redis_linked"), metrics.get("gema_failed_jobs")), (0.0, 0.0));
    assert!(!metrics.kinds.contains_key("gema_connections"), "it has no sockets");
    assert_eq!(ready(&gema).await, (200, r#"{"status":"degraded","redis":"away"}"#.to_owned()));
    let live = request(gema.metrics_at(), "GET", "/live", &[], b"").await;
    assert_eq!((live.status, live.body.as_str()), (200, r#"{"status":"ok"}"#));
}
