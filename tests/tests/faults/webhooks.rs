//! What a back end hears of a node that dies: what is really over, once.

use std::time::Duration;

use futures_util::future::join_all;
use gema_protocol::app::Credentials;
use gema_tests::{Gema, Receiver, Recorder, Redis, Setup};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::stage::{linked, listener};

/// How long a node's own lease must have stood before it may declare others dead.
const SETTLED: Duration = Duration::from_secs(11);
/// A dead node's channels are told of within 15 s and the grace of 3 s; five times that on a busy machine.
const TOLD: Duration = Duration::from_secs(5 * 18);

fn named(event: &Value) -> String {
    let text = |field: &str| event[field].as_str().unwrap_or_default();
    format!("{} {} {}", text("name"), text("channel"), text("user_id")).trim_end().to_owned()
}

/// The next events, counts left out, must be these, in whatever order their channels come.
async fn hears(hooks: &mut Receiver, app: &Credentials, expected: &[&str]) {
    let mut heard = Vec::new();
    let all = async {
        while heard.len() < expected.len() {
            let event = named(&hooks.event(app).await);
            heard.extend((!event.starts_with("subscription_count")).then_some(event));
        }
    };
    let in_time = timeout(TOLD, all).await.is_ok();
    heard.sort_unstable();
    assert!(in_time && heard == expected, "{heard:?} instead of {expected:?}");
}

async fn ann(node: &Gema, channel: &str) -> Recorder {
    Recorder::of(node.member(channel, &json!({"user_id": "ann"}).to_string()).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_with_a_node_is_told_once() {
    let (redis, mut hooks) = (Redis::start().await, Receiver::start().await);
    let setup = Setup::broadcast().node(&redis.url()).env("REVERB_APP_WEBHOOK_URL", &hooks.url());
    let mut nodes = join_all((0..3).map(|_| setup.clone().start())).await;
    join_all(nodes.iter().map(linked)).await;
    let app = nodes[0].app.clone();

    let alone = (listener(&nodes[1], "alone").await, ann(&nodes[1], "presence-alone").await);
    let shared = (ann(&nodes[1], "presence-shared").await, ann(&nodes[2], "presence-shared").await);
    let begun = [
        "channel_occupied alone",
        "channel_occupied presence-alone",
        "channel_occupied presence-shared",
        "member_added presence-alone ann",
        "member_added presence-shared ann",
    ];
    hears(&mut hooks, &app, &begun).await;
    sleep(SETTLED).await;
    nodes[1].kill();
    let over =
        ["channel_vacated alone", "channel_vacated presence-alone", "member_removed presence-alone ann"];
    hears(&mut hooks, &app, &over).await;
    // Comes behind whatever else there would be.
    drop(shared.1);
    hears(&mut hooks, &app, &["channel_vacated presence-shared", "member_removed presence-shared ann"]).await;
    drop((alone, shared.0));
}
