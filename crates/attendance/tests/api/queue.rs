//! The queue in Redis: a list of ids that may be lost, late or wrong at any time, and costs no event.

use std::collections::HashMap;
use std::time::Duration;

use gema_attendance::{Config, FailedJobs, Queue, RedisConfig};
use gema_cluster::redis::Address;
use gema_tests::{Cut, Redis};
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::kit::{Answer, Node, PATIENCE, Published, Stage};

const LIST: &str = "queues:default";

/// A machine that runs many tests at once is slower than any network.
fn at(url: &str) -> Option<RedisConfig> {
    Some(RedisConfig { address: Address::parse(url).unwrap().patient(4), prefix: String::new() })
}

/// A node that leaves its events to workers.
fn node_config(stage: &Stage, queue: Queue, url: &str) -> Config {
    let mut config = stage.config();
    (config.queue, config.redis, config.worker.in_process) = (queue, at(url), false);
    config
}

/// A worker that looks into the database only when it has to.
struct Worker {
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

impl Worker {
    fn start(config: Config) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(async move {
            gema_attendance::run_worker(config, async { drop(stopped.await) }).await.unwrap();
        });
        Self { stop, running }
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        timeout(PATIENCE, self.running).await.expect("the worker does not end").unwrap();
    }
}

fn length(redis: &Redis) -> usize {
    redis.cli(&["LLEN", LIST]).parse().unwrap()
}

async fn until(what: &str, right: impl AsyncFn() -> bool) {
    let came = async {
        while !right().await {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, came).await.unwrap_or_else(|_| panic!("it never came to this: {what}"));
}

async fn until_length(redis: &Redis, expected: usize) {
    until(&format!("{expected} ids in the list"), async || length(redis) == expected).await;
}

/// Versions by attendance, in the order of their publishing.
fn versions(published: &[Published]) -> HashMap<i64, Vec<i64>> {
    let mut seen = HashMap::<_, Vec<_>>::new();
    for published in published {
        let data = published.data("attendances");
        let number = |value: &serde_json::Value| value.as_i64().unwrap();
        seen.entry(number(&data["attendance"]["id"])).or_default().push(number(&data["version"]));
    }
    seen
}

/// Puts so many versions of each of so many attendances into the outbox, as a busy day would.
async fn fill(stage: &Stage, attendances: i64, changes: i64) {
    let mut rows = Vec::new();
    for version in 1..=changes {
        for id in 1..=attendances {
            let data = json!({ "attendance": { "id": id }, "version": version });
            rows.push(format!(
                "({id}, 1, 'attendance.updated', '{id}-{version}', '{data}', '{data}', '2026-01-01 00:00:00.000000', \
                 '2026-01-01 00:00:00.000000')"
            ));
        }
    }
    let columns =
        "attendance_id, user_id, event, event_id, public_data, private_data, created_at, available_at";
    stage.sql(&format!("INSERT INTO outbox ({columns}) VALUES {}", rows.join(", "))).await;
}

#[tokio::test]
async fn issue_6_the_list_grows_while_the_worker_is_stopped_and_drains_when_it_is_started() {
    let (stage, redis) = (Stage::new().await, Redis::start().await);
    let config = node_config(&stage, Queue::Redis, &redis.url());
    let node = stage.node(config.clone()).await;
    let (_, token) = node.employee("Sari").await;
    for _ in 0..3 {
        node.check_in(&token).await;
        node.check_out(&token).await;
    }
    until_length(&redis, 6).await;
    let ids = redis.cli(&["LRANGE", LIST, "0", "-1"]);
    assert_eq!(ids.lines().map(|id| id.parse::<i64>().unwrap()).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);

    let worker = Worker::start(config);
    stage.drained().await;
    until_length(&redis, 0).await;
    assert_eq!(
        versions(&stage.broadcast.published()),
        HashMap::from([(1, vec![1, 2]), (2, vec![1, 2]), (3, vec![1, 2])])
    );
    worker.stop().await;
    node.stop().await;
}

#[tokio::test]
async fn issue_6_a_worker_elsewhere_is_woken_with_both_queues() {
    for queue in [Queue::Redis, Queue::Database] {
        let (stage, redis) = (Stage::new().await, Redis::start().await);
        let mut config = node_config(&stage, queue, &redis.url());
        let node = stage.node(config.clone()).await;
        let (_, token) = node.employee("Sari").await;
        config.worker.poll = Duration::from_secs(3600);
        let worker = Worker::start(config);
        // The first may be found by the look at the start; the others come while it waits.
        for count in 1..=4 {
            if count % 2 == 1 {
                node.check_in(&token).await
            } else {
                node.check_out(&token).await
            };
            stage.broadcast.wait(count).await;
        }
        stage.drained().await;
        worker.stop().await;
    }
}

#[tokio::test]
async fn issue_6_three_workers_keep_the_order_of_each_attendance_with_both_queues() {
    const CHANGES: i64 = 40;
    for queue in [Queue::Redis, Queue::Database] {
        let (stage, redis) = (Stage::new().await, Redis::start().await);
        fill(&stage, 3, CHANGES).await;
        // Ids in the wrong order, twice each, and some that are none.
        for id in (1..=3 * CHANGES).rev().chain(1..=3 * CHANGES) {
            redis.cli(&["RPUSH", LIST, &id.to_string(), "x", "999999"]);
        }
        stage.broadcast.answer([503, 200, 500, 200, 200, 503].map(Answer::Status));
        let mut config = node_config(&stage, queue, &redis.url());
        (config.worker.concurrency, config.worker.poll) = (2, Duration::from_millis(50));
        let workers = [(); 3].map(|()| Worker::start(config.clone()));
        stage.drained().await;
        for worker in workers {
            worker.stop().await;
        }
        let mut seen = versions(&stage.broadcast.published());
        assert_eq!(seen.len(), 3);
        for versions in seen.values_mut() {
            // What was answered with 5xx came again.
            versions.dedup();
            assert_eq!(*versions, (1..=CHANGES).collect::<Vec<_>>(), "{queue:?}");
        }
    }
}

#[tokio::test]
async fn issue_6_a_list_that_is_lost_costs_time_only() {
    let (stage, mut redis) = (Stage::new().await, Redis::start().await);
    let config = node_config(&stage, Queue::Redis, &redis.url());
    let node = stage.node(config.clone()).await;
    let (_, token) = node.employee("Sari").await;
    node.check_in(&token).await;
    until_length(&redis, 1).await;
    redis.kill().await;
    node.check_out(&token).await;
    redis.start_again().await;
    let worker = Worker::start(config);
    stage.drained().await;

    // Away while they work, then back and empty, then emptied without a word.
    redis.kill().await;
    node.check_in(&token).await;
    stage.broadcast.wait(3).await;
    redis.start_again().await;
    node.check_out(&token).await;
    stage.broadcast.wait(4).await;
    fill(&stage, 1, 1).await;
    redis.cli(&["FLUSHALL"]);
    stage.drained().await;
    assert_eq!(stage.broadcast.published().len(), 5, "nothing twice");
    worker.stop().await;
    node.stop().await;
}

#[tokio::test]
async fn issue_6_without_redis_the_worker_looks_into_the_database() {
    let (stage, redis) = (Stage::new().await, Redis::start().await);
    let wire = Cut::before(&redis);
    wire.cut();
    let mut config = node_config(&stage, Queue::Redis, &wire.url());
    config.worker.poll = Duration::from_millis(100);
    let node = stage.node(config.clone()).await;
    let worker = Worker::start(config);
    let (_, token) = node.employee("Sari").await;
    node.check_in(&token).await;
    stage.broadcast.wait(1).await;
    // There, and then gone without a word.
    wire.heal();
    node.check_out(&token).await;
    stage.broadcast.wait(2).await;
    wire.silence();
    node.check_in(&token).await;
    stage.broadcast.wait(3).await;
    stage.drained().await;
    wire.heal();
    node.check_out(&token).await;
    stage.broadcast.wait(4).await;
    stage.drained().await;
    worker.stop().await;
    node.stop().await;
}

#[tokio::test]
async fn the_rights_of_the_documents_are_enough() {
    let (stage, redis) = (Stage::new().await, Redis::start().await);
    // As in docs/redis.md.
    let rights = "resetchannels -@all +ping ~queues:default* +rpush +blpop +lpop +lrange +ltrim";
    let user = format!("ACL SETUSER worker on >secret {rights}");
    assert_eq!(redis.cli(&user.split(' ').collect::<Vec<_>>()), "OK");
    let url = redis.url().replace("redis://", "redis://worker:secret@");
    let node = stage.node(node_config(&stage, Queue::Database, &url)).await;
    let (_, token) = node.employee("Sari").await;
    for _ in 0..10 {
        node.check_in(&token).await;
        node.check_out(&token).await;
    }
    until("no more tokens than are of use", async || redis.cli(&["LLEN", "queues:default:notify"]) == "16")
        .await;
    node.stop().await;

    let mut config = node_config(&stage, Queue::Redis, &url);
    config.worker.poll = Duration::from_secs(3600);
    let worker = Worker::start(config);
    // These are in no list: whoever finds them has swept, or looked once at the start.
    stage.drained().await;
    fill(&stage, 2, 2).await;
    stage.drained().await;
    worker.stop().await;
}

#[tokio::test]
async fn a_list_that_somebody_made_something_else_of_is_done_without() {
    let (stage, redis) = (Stage::new().await, Redis::start().await);
    redis.cli(&["SET", LIST, "what is this"]);
    let mut config = node_config(&stage, Queue::Redis, &redis.url());
    config.worker.poll = Duration::from_millis(100);
    let node = stage.node(config.clone()).await;
    let worker = Worker::start(config);
    let (_, token) = node.employee("Sari").await;
    node.check_in(&token).await;
    node.check_out(&token).await;
    stage.broadcast.wait(2).await;
    stage.drained().await;
    worker.stop().await;
}

#[tokio::test]
async fn issue_6_a_worker_that_dies_in_flight_costs_time_only() {
    let (stage, redis) = (Stage::new().await, Redis::start().await);
    stage.broadcast.answer([Answer::Hang]);
    let mut config = node_config(&stage, Queue::Redis, &redis.url());
    config.worker.lease = Duration::from_millis(300);
    // A runtime of its own can be taken away without a goodbye, as a killed process is.
    let process = Runtime::new().unwrap();
    let first = Config {
        worker: gema_attendance::WorkerConfig { in_process: true, ..config.worker.clone() },
        ..config.clone()
    };
    let node = process.spawn(async move { Node::start(first).await }).await.unwrap();
    let (_, token) = node.employee("Sari").await;
    node.check_in(&token).await;
    stage.broadcast.wait(1).await;
    process.shutdown_background();
    let worker = Worker::start(config);
    let published = stage.broadcast.wait(2).await;
    assert_eq!(published[0].raw, published[1].raw, "the same event id, byte for byte");
    stage.drained().await;
    worker.stop().await;
}

#[tokio::test]
async fn an_outage_keeps_the_list_and_ends_with_everything_published() {
    let (stage, redis) = (Stage::new().await, Redis::start().await);
    fill(&stage, 20, 2).await;
    for id in 1..=40 {
        redis.cli(&["RPUSH", LIST, &id.to_string()]);
    }
    stage.broadcast.answer([503; 20].map(Answer::Status));
    let mut config = node_config(&stage, Queue::Redis, &redis.url());
    config.worker.tries = 1;
    let worker = Worker::start(config);
    stage.drained().await;
    assert_eq!(stage.count("SELECT COUNT(*) FROM failed_jobs").await, 0);
    assert_eq!(stage.broadcast.published().len(), 60);
    worker.stop().await;
}

#[tokio::test]
async fn a_failed_event_that_is_put_back_is_in_the_list_again() {
    let (stage, redis) = (Stage::new().await, Redis::start().await);
    let mut config = node_config(&stage, Queue::Redis, &redis.url());
    config.worker.tries = 1;
    let node = stage.node(config.clone()).await;
    stage.broadcast.answer([Answer::Status(413)]);
    let worker = Worker::start(config.clone());
    let (_, token) = node.employee("Sari").await;
    node.check_in(&token).await;
    stage.wait_for("SELECT COUNT(*) FROM failed_jobs").await;
    worker.stop().await;
    node.stop().await;

    let jobs = FailedJobs::open(&stage.database, Queue::Redis, config.redis.as_ref()).await.unwrap();
    let id = jobs.list().await.unwrap()[0].id;
    assert!(jobs.retry(id).await.unwrap());
    jobs.close().await;
    let row = stage.count("SELECT id FROM outbox").await;
    assert_eq!(redis.cli(&["LRANGE", LIST, "0", "-1"]), row.to_string());
}
