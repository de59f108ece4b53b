//! Delivery: nothing acknowledged is lost, whatever the broadcast server or this process do in between.

use std::time::Duration;

use gema_attendance::Queue;
use gema_protocol::signature::{RequestParts, verify_request};
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::kit::{Answer, Kit, Node, Published, Stage, credentials};

fn event_id(published: &Published) -> String {
    published.data("attendances")["event_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn both_copies_go_out_in_one_signed_call() {
    let Kit { stage, node } = Kit::start().await;
    let (id, token) = node.employee("Sari").await;
    let notes = json!({ "notes": "secret plan" });
    let record = node.post("/api/attendances/check-in").bearer(&token).json(&notes).send().await.json();
    let published = stage.broadcast.wait(1).await.remove(0);

    assert_eq!(published.path, "/apps/123456/batch_events");
    assert_eq!(published.ack.as_deref(), Some("cluster"));
    let parts =
        RequestParts { method: "POST", path: &published.path, query: &published.query, body: &published.raw };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    verify_request(&credentials(), &parts, now, 600).unwrap();

    let batch = published.batch();
    let private = format!("private-user.{id}");
    let heads: Vec<_> = batch.iter().map(|event| (event["name"].clone(), event["channel"].clone())).collect();
    let created = json!("attendance.created");
    assert_eq!(heads, [(created.clone(), json!("attendances")), (created, json!(private))]);

    let expected = |attendance: &serde_json::Value| {
        json!({
            "event_id": event_id(&published),
            "version": 1,
            "attendance": attendance,
            "node_id": 7,
            "timestamp": record["updated_at"],
        })
    };
    assert_eq!(published.data(&private), expected(&record));
    let mut public = record.clone();
    public["notes"] = json!(null);
    public["user"] = json!({ "id": id, "name": "Sari" });
    assert_eq!(published.data("attendances"), expected(&public));
    stage.drained().await;
}

#[tokio::test]
async fn public_details_are_published_where_that_is_wanted() {
    let Kit { stage, node } = Kit::start_with(|config| config.public_details = true).await;
    let (id, token) = node.employee("Sari").await;
    let record = node.check_in(&token).await;
    let published = stage.broadcast.wait(1).await.remove(0);
    assert_eq!(published.data("attendances")["attendance"], record);
    assert_eq!(published.data("attendances"), published.data(&format!("private-user.{id}")));
}

#[tokio::test]
async fn a_commit_wakes_the_worker() {
    let Kit { stage, node } = Kit::start_with(|config| config.worker.poll = Duration::from_secs(3600)).await;
    let (_, token) = node.employee("Sari").await;
    node.check_in(&token).await;
    stage.broadcast.wait(1).await;
}

#[tokio::test]
async fn issue_6_sync_publishes_before_the_answer() {
    let change = |config: &mut gema_attendance::Config| {
        config.queue = Queue::Sync;
        config.worker.in_process = false;
    };
    let Kit { stage, node } = Kit::start_with(change).await;
    let (_, token) = node.employee("Sari").await;
    node.check_in(&token).await;
    assert_eq!(stage.broadcast.published().len(), 1);
    assert_eq!(stage.count("SELECT COUNT(*) FROM outbox").await, 0);
    // What fails is no reason to refuse what is stored; a worker takes it from there.
    stage.broadcast.answer([Answer::Status(503)]);
    node.check_out(&token).await;
    assert_eq!(stage.count("SELECT COUNT(*) FROM outbox WHERE postponed = 1").await, 1);
    node.stop().await;
    let mut config = stage.config();
    config.queue = Queue::Sync;
    let node = stage.node(config).await;
    stage.drained().await;
    node.stop().await;
}

#[tokio::test]
async fn a_check_out_is_published_only_after_its_check_in() {
    let Kit { stage, node } = Kit::start().await;
    stage.broadcast.answer([Answer::Status(503), Answer::Status(500), Answer::Status(429)]);
    let (_, token) = node.employee("Sari").await;
    let (_, other) = node.employee("Budi").await;
    node.check_in(&token).await;
    node.check_out(&token).await;
    node.check_in(&other).await;
    stage.drained().await;
    let versions: Vec<_> = stage
        .broadcast
        .published()
        .iter()
        .map(|published| published.data("attendances"))
        .filter(|data| data["attendance"]["user"]["name"] == "Sari")
        .map(|data| data["version"].as_i64().unwrap())
        .collect();
    assert!(versions.is_sorted() && versions.ends_with(&[1, 2]), "{versions:?}");
    assert_eq!(versions.iter().filter(|version| **version == 2).count(), 1, "{versions:?}");
}

#[tokio::test]
async fn an_outage_burns_no_tries_and_repeats_the_same_bytes() {
    // With a single try, one that was burned would show in failed_jobs.
    let Kit { stage, node } = Kit::start_with(|config| config.worker.tries = 1).await;
    stage.broadcast.answer([503, 500, 429, 502, 504].map(Answer::Status));
    let (_, token) = node.employee("Sari").await;
    node.check_in(&token).await;
    let published = stage.broadcast.wait(6).await;
    stage.drained().await;
    assert!(published.iter().all(|again| again.raw == published[0].raw));
    assert_eq!(stage.count("SELECT COUNT(*) FROM failed_jobs").await, 0);
    assert_eq!(stage.broadcast.published().len(), 6);
}

#[tokio::test]
async fn a_server_that_is_not_there_costs_only_time() {
    let stage = Stage::new().await;
    let mut config = stage.config();
    // A port that was free a moment ago and belongs to nobody.
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    config.publisher = gema_client::Publisher::new(&format!("http://{free}"), credentials()).unwrap();
    config.worker.tries = 1;
    let node = stage.node(config).await;
    let (_, token) = node.employee("Sari").await;
    node.check_in(&token).await;
    stage.wait_for("SELECT COUNT(*) FROM outbox WHERE postponed >= 3").await;
    node.stop().await;

    let node = stage.node(stage.config()).await;
    stage.broadcast.wait(1).await;
    stage.drained().await;
    assert_eq!(stage.count("SELECT COUNT(*) FROM failed_jobs").await, 0);
    node.stop().await;
}

#[tokio::test]
async fn the_first_success_after_an_outage_hurries_all_that_waited() {
    let stage = Stage::new().await;
    let mut config = stage.config();
    config.worker.in_process = false;
    let node = stage.node(config).await;
    let (_, sari) = node.employee("Sari").await;
    let (_, budi) = node.employee("Budi").await;
    node.check_in(&sari).await;
    node.check_in(&budi).await;
    node.stop().await;
    // As if the first had knocked in vain for long.
    stage
        .sql("UPDATE outbox SET postponed = 9, available_at = '2999-01-01 00:00:00.000000' WHERE id = 1")
        .await;
    stage.broadcast.answer([503, 503].map(Answer::Status));
    let node = stage.node(stage.config()).await;
    let published = stage.broadcast.wait(4).await;
    stage.drained().await;
    let names: Vec<_> =
        published.iter().map(|p| p.data("attendances")["attendance"]["user"]["name"].clone()).collect();
    assert_eq!(names, ["Budi", "Budi", "Budi", "Sari"]);
    node.stop().await;
}

#[tokio::test]
async fn during_an_outage_only_one_knocks_however_many_wait() {
    let stage = Stage::new().await;
    let mut config = stage.config();
    config.worker.in_process = false;
    let node = stage.node(config.clone()).await;
    let (_, token) = node.employee("Sari").await;
    for _ in 0..5 {
        node.check_in(&token).await;
        node.check_out(&token).await;
    }
    node.stop().await;
    stage.broadcast.answer([Answer::Status(503)]);
    config.worker.in_process = true;
    config.worker.concurrency = 1;
    config.worker.poll = Duration::from_millis(10);
    config.worker.outage_backoff = Duration::from_secs(3600);
    config.worker.outage_backoff_max = Duration::from_secs(3600);
    let node = stage.node(config).await;
    stage.wait_for("SELECT COUNT(*) FROM outbox WHERE postponed = 1 AND lease_owner IS NULL").await;
    // The others are due all the time. Nothing can be waited for here: a knock too many would come at once.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(stage.broadcast.published().len(), 1);
    node.stop().await;
}

#[tokio::test]
async fn a_refused_event_fails_after_its_tries_and_frees_the_way() {
    let Kit { stage, node } = Kit::start().await;
    stage.broadcast.answer([413, 400, 401].map(Answer::Status));
    let (_, token) = node.employee("Sari").await;
    node.check_in(&token).await;
    node.check_out(&token).await;
    let published = stage.broadcast.wait(4).await;
    stage.drained().await;
    let names: Vec<_> = published.iter().map(Published::event).collect();
    assert_eq!(names[..3], ["attendance.created"; 3]);
    assert_eq!(names[3], "attendance.updated");
    assert_eq!(stage.count("SELECT COUNT(*) FROM failed_jobs WHERE error LIKE '%401%told to%'").await, 1);
}

#[tokio::test]
async fn a_crash_between_commit_and_publish_loses_nothing() {
    let stage = Stage::new().await;
    let mut config = stage.config();
    config.worker.in_process = false;
    let node = stage.node(config).await;
    let (_, token) = node.employee("Sari").await;
    let record = node.check_in(&token).await;
    node.stop().await;
    assert_eq!(stage.broadcast.published().len(), 0);

    let node = stage.node(stage.config()).await;
    let published = stage.broadcast.wait(1).await.remove(0);
    assert_eq!(published.data("attendances")["attendance"]["id"], record["id"]);
    stage.drained().await;
    node.stop().await;
}

#[tokio::test]
async fn a_crash_while_publishing_repeats_the_same_event() {
    let stage = Stage::new().await;
    stage.broadcast.answer([Answer::Hang]);
    let mut config = stage.config();
    config.worker.lease = Duration::from_millis(300);
    // A runtime of its own can be taken away without a goodbye, as a killed process is.
    let process = Runtime::new().unwrap();
    let first = config.clone();
    let node = process.spawn(async move { Node::start(first).await }).await.unwrap();
    let (_, token) = node.employee("Sari").await;
    node.check_in(&token).await;
    stage.broadcast.wait(1).await;
    process.shutdown_background();
    assert_eq!(stage.count("SELECT COUNT(*) FROM outbox").await, 1);

    let node = stage.node(config).await;
    let published = stage.broadcast.wait(2).await;
    assert_eq!(event_id(&published[0]), event_id(&published[1]));
    assert_eq!(published[0].raw, published[1].raw);
    stage.drained().await;
    node.stop().await;
}

#[tokio::test]
async fn a_lease_holds_for_as_long_as_the_publish_takes() {
    let stage = Stage::new().await;
    stage.broadcast.answer([Answer::Hang]);
    let mut config = stage.config();
    config.worker.lease = Duration::from_secs(2);
    config.worker.poll = Duration::from_millis(50);
    let node = stage.node(config.clone()).await;
    let second = stage.node(config).await;
    let (_, token) = node.employee("Sari").await;
    node.check_in(&token).await;
    stage.broadcast.wait(1).await;
    // Each renewal comes after a third of the lease; four of them are more than one lease.
    for _ in 0..4 {
        wait_for_change(&stage, leased_until(&stage).await).await;
    }
    assert_eq!(stage.broadcast.published().len(), 1, "nobody else took it");
    drop((node, second));
}

#[tokio::test]
async fn the_end_finishes_what_is_in_flight_and_frees_the_rest() {
    let Kit { stage, node } =
        Kit::start_with(|config| config.worker.drain = Duration::from_millis(200)).await;
    stage.broadcast.answer([Answer::Hang]);
    let (_, token) = node.employee("Sari").await;
    node.check_in(&token).await;
    stage.broadcast.wait(1).await;
    node.stop().await;
    assert_eq!(stage.count("SELECT COUNT(*) FROM outbox WHERE lease_owner IS NULL").await, 1);
}

#[tokio::test]
async fn a_worker_of_its_own_does_the_same_work() {
    let stage = Stage::new().await;
    let mut config = stage.config();
    config.worker.in_process = false;
    config.worker.poll = Duration::from_millis(20);
    let node = stage.node(config.clone()).await;
    let (stop, stopped) = oneshot::channel::<()>();
    let worker = tokio::spawn(gema_attendance::run_worker(config, async {
        stopped.await.ok();
    }));
    let (_, token) = node.employee("Sari").await;
    node.check_in(&token).await;
    stage.broadcast.wait(1).await;
    stage.drained().await;
    stop.send(()).unwrap();
    worker.await.unwrap().unwrap();
}

#[tokio::test]
async fn many_workers_publish_everything_once_and_in_order() {
    let stage = Stage::new().await;
    let mut config = stage.config();
    config.worker.poll = Duration::from_millis(5);
    let nodes =
        [stage.node(config.clone()).await, stage.node(config.clone()).await, stage.node(config).await];
    let mut people = Vec::new();
    for name in ["A", "B", "C", "D"] {
        people.push(nodes[0].employee(name).await.1);
    }
    for (round, node) in nodes.iter().enumerate() {
        let calls = people.iter().map(async |token| {
            node.check_in(token).await;
            nodes[(round + 1) % nodes.len()].check_out(token).await;
        });
        for call in calls {
            call.await;
        }
    }
    stage.drained().await;
    let mut seen = std::collections::HashMap::<i64, Vec<i64>>::new();
    for published in stage.broadcast.published() {
        let data = published.data("attendances");
        let id = data["attendance"]["id"].as_i64().unwrap();
        seen.entry(id).or_default().push(data["version"].as_i64().unwrap());
    }
    assert_eq!(seen.len(), 12);
    assert!(seen.values().all(|versions| versions == &[1, 2]), "{seen:?}");
}

/// Until when the only row is leased, in microseconds of a day: enough to see that it changes.
async fn leased_until(stage: &Stage) -> i64 {
    let query =
        "SELECT CAST(REPLACE(REPLACE(SUBSTR(leased_until, 12), ':', ''), '.', '') AS SIGNED) FROM outbox";
    stage.count(query).await
}

async fn wait_for_change(stage: &Stage, before: i64) {
    let changed = async {
        while leased_until(stage).await == before {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(crate::kit::PATIENCE, changed).await.expect("the lease is not renewed");
}
