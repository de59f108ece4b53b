//! `/live` and `/ready`, on the main port and on that of the metrics; `/up` stays what it is in Reverb.

use gema_tests::{Setup, request};

#[tokio::test]
async fn a_server_alone_is_live_and_ready_below_its_prefix_and_on_the_port_of_metrics() {
    let gema = Setup::broadcast().prefix("/ws").env("GEMA_METRICS_PORT", "0").start().await;
    let get = async |at, target: &str| {
        let answer = request(at, "GET", target, &[], b"").await;
        (answer.status, answer.body)
    };
    let ok = (200, r#"{"status":"ok"}"#.to_owned());
    for name in ["live", "ready"] {
        assert_eq!(get(gema.broadcast, &format!("/ws/{name}")).await, ok);
        assert_eq!(get(gema.metrics_at(), &format!("/{name}")).await, ok);
        assert_eq!(get(gema.broadcast, &format!("/{name}")).await.0, 404);
        let posted = request(gema.broadcast, "POST", &format!("/ws/{name}"), &[], b"").await;
        assert_eq!((posted.status, posted.header("allow")), (405, "GET"));
    }
    assert_eq!(get(gema.broadcast, "/ws/up").await, (200, r#"{"health":"OK"}"#.to_owned()));
    assert_eq!(get(gema.metrics_at(), "/elsewhere").await.0, 404);
    assert_eq!(request(gema.metrics_at(), "POST", "/metrics", &[], b"").await.status, 405);
}
