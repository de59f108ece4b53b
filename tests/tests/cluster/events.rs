//! Two servers of one process over a Redis of their own: what is published at one reaches the clients of the other.

use std::net::SocketAddr;

use gema_broadcast::{Address, AppConfig, ClusterConfig, Config, Server, Summary, bind, run};
use gema_protocol::app::{Credentials, Secret};
use gema_protocol::signature::sign_channel;
use gema_tests::{Answer, Api, Client, Redis, request};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A server of the cluster.
struct Node {
    at: SocketAddr,
    app: Credentials,
    end: Option<oneshot::Sender<()>>,
    running: JoinHandle<Summary>,
}

impl Node {
    fn start(redis: &Redis) -> Self {
        let app = Credentials { id: "1".into(), key: "key".into(), secret: Secret::new("secret".into()) };
        let mut config = Config::new(vec![AppConfig::new(app.clone())]);
        config.cluster = Some(ClusterConfig {
            redis: Address::parse(&redis.url()).expect("an address").patient(10),
            prefix: String::new(),
            scaling_channel: "reverb".into(),
            outgoing_bytes: 1 << 20,
        });
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let at = listener.local_addr().expect("a bound socket");
        let (end, ended) = oneshot::channel();
        let server = Server::new(config).expect("a good configuration");
        let running = tokio::spawn(run(server, listener, async { drop(ended.await) }));
        Self { at, app, end: Some(end), running }
    }

    fn api(&self) -> Api {
        Api { at: self.at, prefix: String::new(), app: self.app.clone(), trust: None }
    }

    async fn client(&self) -> Client {
        Client::open(self.at, &format!("/app/{}?protocol=7", self.app.key), &[]).await.established().await
    }

    /// A client in a channel.
    async fn subscriber(&self, channel: &str) -> Client {
        let mut client = self.client().await;
        let auth = sign_channel(&self.app, &client.socket_id, channel, None);
        client.subscribe(channel, &auth).await;
        client
    }

    /// One request that asks for the cluster's word.
    async fn post_confirmed(&self, body: &Value) -> Answer {
        let body = body.to_string();
        let target = self.api().target("POST", "/events", &[], body.as_bytes());
        request(self.at, "POST", &target, &[("x-gema-ack", "cluster")], body.as_bytes()).await
    }

    /// Publishes and waits until the cluster has the event; tries again while there is no link yet.
    async fn publish_confirmed(&self, channel: &str, event: &str, data: &str) {
        let body = json!({"name": event, "channels": [channel], "data": data});
        for _ in 0..100 {
            if self.post_confirmed(&body).await.status == 200 {
                return;
            }
        }
        panic!("the cluster never confirmed an event");
    }

    async fn stop(mut self) {
        drop(self.end.take());
        self.running.await.expect("an end in order");
    }
}

/// Two servers that are known to have a link.
async fn pair(redis: &Redis) -> (Node, Node) {
    let (a, b) = (Node::start(redis), Node::start(redis));
    a.publish_confirmed("linked", "e", "").await;
    b.publish_confirmed("linked", "e", "").await;
    (a, b)
}

/// Ends both. Clients that still stand would be waited for: they do not answer a close that they do not read.
async fn stop(a: Node, b: Node) {
    tokio::join!(a.stop(), b.stop());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_node_takes_the_clients_of_both_get_in_order() {
    let redis = Redis::start().await;
    let (a, b) = pair(&redis).await;
    let (mut at_a, mut at_b) = (a.subscriber("private-c").await, b.subscriber("private-c").await);
    for number in 0..50 {
        a.api().publish("private-c", "e", &number.to_string()).await;
    }
    for client in [&mut at_a, &mut at_b] {
        for number in 0..50 {
            assert_eq!(client.expect("e").await.data, number.to_string());
        }
    }
    drop((at_a, at_b));
    stop(a, b).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_event_and_an_excluded_socket_mean_the_same_everywhere() {
    let redis = Redis::start().await;
    let (a, b) = pair(&redis).await;
    let (mut at_a, mut at_b) = (a.subscriber("private-c").await, b.subscriber("private-c").await);
    at_a.send("client-typing", json!({"n": 1}), Some("private-c")).await;
    assert_eq!(at_b.expect("client-typing").await.data, json!({"n": 1}));
    at_a.nothing_came().await;
    let body = json!({"name": "e", "channels": ["private-c"], "data": "x", "socket_id": at_b.socket_id});
    a.api().post("/events", &body).await.ok();
    a.publish_confirmed("private-c", "last", "").await;
    assert_eq!(at_a.expect("e").await.data, "x");
    at_b.expect("last").await;
    drop((at_a, at_b));
    stop(a, b).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_channel_has_its_last_event_on_every_node() {
    let redis = Redis::start().await;
    let (a, b) = pair(&redis).await;
    a.publish_confirmed("cache-c", "e", "kept").await;
    let mut at_b = b.subscriber("cache-c").await;
    assert_eq!(at_b.expect("e").await.data, "kept");
    drop(at_b);
    stop(a, b).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_a_node_serves_its_own_clients_and_confirms_nothing() {
    let mut redis = Redis::start().await;
    redis.kill().await;
    let node = Node::start(&redis);
    let mut client = node.subscriber("c").await;
    node.api().publish("c", "e", "1").await;
    assert_eq!(client.expect("e").await.data, "1");
    let body = json!({"name": "e", "channels": ["c"], "data": "2"});
    let answer = node.post_confirmed(&body).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
    assert_eq!(client.expect("e").await.data, "2", "its own clients have it all the same");
    redis.start_again().await;
    node.publish_confirmed("c", "e", "3").await;
    drop(client);
    node.stop().await;
}
