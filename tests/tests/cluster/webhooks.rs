//! Webhooks of several servers: decided once, kept over a crash, and no news after Redis has lost its memory.

use gema_broadcast::{AppConfig, Webhook, WebhookUrl};
use gema_protocol::app::Credentials;
use gema_protocol::webhook::{Filter, Kinds};
use gema_tests::{Client, Gema, Receiver, Redis, Setup};
use rustix::process::Signal;
use serde_json::Value;

use super::servers::{Node, stop};

/// Two servers with a link, whose app tells this back end everything.
pub(super) async fn pair(redis: &Redis, receiver: &Receiver) -> (Node, Node) {
    // Another test may have done so.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let webhook = Webhook {
        url: WebhookUrl::parse(&receiver.url()).expect("an address"),
        filter: Filter { kinds: Kinds::ALL, channel_prefix: "presence-".to_owned() },
        batching: true,
    };
    let set_up = |app: &mut AppConfig| app.webhooks = vec![webhook.clone()];
    let (a, b) = (Node::start_with(redis, set_up), Node::start_with(redis, set_up));
    a.publish_confirmed("linked", "e", "").await;
    b.publish_confirmed("linked", "e", "").await;
    (a, b)
}

pub(super) async fn ann(node: &Node, channel: &str) -> Client {
    let mut client = node.client().await;
    client.join(&node.app, channel, r#"{"user_id":"ann"}"#).await;
    client
}

fn shown(event: &Value) -> String {
    let field = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
    format!("{} {} {}", field("name"), field("channel"), field("user_id")).trim_end().to_owned()
}

/// All that comes until the channel is vacated.
async fn until_vacated(receiver: &mut Receiver, app: &Credentials, channel: &str) -> Vec<String> {
    let is_last = |event: &Value| shown(event) == format!("channel_vacated {channel}");
    receiver.events_until(app, is_last).await.iter().map(shown).collect()
}

async fn next(receiver: &mut Receiver, app: &Credentials, count: usize) -> Vec<String> {
    let mut events = Vec::new();
    for _ in 0..count {
        events.push(shown(&receiver.event(app).await));
    }
    events
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_on_two_servers_comes_once_and_goes_once() {
    let (redis, mut receiver) = (Redis::start().await, Receiver::start().await);
    let (a, b) = pair(&redis, &receiver).await;
    let (at_a, at_b) = tokio::join!(ann(&a, "presence-c"), ann(&b, "presence-c"));
    let came = ["channel_occupied presence-c", "member_added presence-c ann"];
    assert_eq!(next(&mut receiver, &a.app, 2).await, came);
    drop(at_a);
    // Away from both for a moment is not away.
    drop(at_b);
    let back = ann(&a, "presence-c").await;
    let other = ann(&b, "presence-d").await;
    let came = ["channel_occupied presence-d", "member_added presence-d ann"];
    assert_eq!(next(&mut receiver, &a.app, 2).await, came);
    drop(back);
    let went = ["member_removed presence-c ann", "channel_vacated presence-c"];
    assert_eq!(until_vacated(&mut receiver, &a.app, "presence-c").await, went);
    // A server that stops leaves what is not due yet to the other.
    drop(other);
    b.stop().await;
    let went = ["member_removed presence-d ann", "channel_vacated presence-d"];
    assert_eq!(until_vacated(&mut receiver, &a.app, "presence-d").await, went);
    assert_eq!(receiver.rest(), []);
    a.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_without_its_memory_makes_no_news_and_loses_no_going() {
    let (mut redis, mut receiver) = (Redis::start().await, Receiver::start().await);
    let (a, b) = pair(&redis, &receiver).await;
    let stays = ann(&a, "presence-stays").await;
    assert_eq!(next(&mut receiver, &a.app, 2).await.len(), 2);
    let leaves = ann(&b, "presence-leaves").await;
    assert_eq!(next(&mut receiver, &a.app, 2).await.len(), 2);
    redis.kill().await;
    drop(leaves);
    redis.start_again().await;
    let went = ["member_removed presence-leaves ann", "channel_vacated presence-leaves"];
    assert_eq!(until_vacated(&mut receiver, &a.app, "presence-leaves").await, went);
    drop(stays);
    let went = ["member_removed presence-stays ann", "channel_vacated presence-stays"];
    assert_eq!(until_vacated(&mut receiver, &a.app, "presence-stays").await, went);
    assert_eq!(receiver.rest(), []);
    stop(a, b).await;
}

async fn process(redis: &Redis, receiver: &Receiver) -> Gema {
    let setup = Setup::broadcast().env("REVERB_SCALING_ENABLED", "true").env("REDIS_URL", &redis.url());
    setup.env("REVERB_APP_WEBHOOK_URL", &receiver.url()).start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_server_had_begun_is_repeated_word_for_word_and_its_clients_are_told_gone() {
    let redis = Redis::start().await;
    let mut receiver = Receiver::answering(|number, _| (number > 0).then_some(200)).await;
    let (mut a, _b) = (process(&redis, &receiver).await, process(&redis, &receiver).await);
    let client = a.member("presence-c", r#"{"user_id":"ann"}"#).await;
    let first = receiver.delivery().await;
    a.signal(Signal::KILL);
    a.ended().await;
    drop(client);
    let again = receiver.delivery().await;
    assert_eq!((first.answer, again.answer), (None, Some(200)));
    assert_eq!((&first.body, &first.headers), (&again.body, &again.headers));
    let came = ["channel_occupied presence-c", "member_added presence-c ann"];
    assert_eq!(again.events(&a.app).iter().map(shown).collect::<Vec<_>>(), came);
    let went = ["member_removed presence-c ann", "channel_vacated presence-c"];
    assert_eq!(until_vacated(&mut receiver, &a.app, "presence-c").await, went);
    assert_eq!(receiver.rest(), []);
}
