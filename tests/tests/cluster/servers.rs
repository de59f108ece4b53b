//! Servers of one process over a Redis of their own.

use std::net::SocketAddr;

use gema_broadcast::{Address, AppConfig, ClusterConfig, Config, Server, Summary, bind, run};
use gema_protocol::app::{Credentials, Secret};
use gema_protocol::signature::sign_channel;
use gema_tests::{Answer, Api, Client, Redis, request};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A server of the cluster.
pub(crate) struct Node {
    pub(crate) at: SocketAddr,
    pub(crate) app: Credentials,
    end: Option<oneshot::Sender<()>>,
    running: JoinHandle<Summary>,
}

impl Node {
    pub(crate) fn start(redis: &Redis) -> Self {
        Self::start_with(redis, |_| {})
    }

    /// One at a Redis of any kind.
    pub(crate) fn start_at(address: Address) -> Self {
        Self::start_there(address, "", "reverb", |_| {})
    }

    /// One whose app is not set up as usual.
    pub(crate) fn start_with(redis: &Redis, set_up: impl FnOnce(&mut AppConfig)) -> Self {
        Self::start_as(&redis.url(), "", "reverb", set_up)
    }

    /// One of an installation that has its own names in Redis.
    pub(crate) fn start_as(
        url: &str,
        prefix: &str,
        scaling_channel: &str,
        set_up: impl FnOnce(&mut AppConfig),
    ) -> Self {
        Self::start_there(Address::parse(url).expect("an address"), prefix, scaling_channel, set_up)
    }

    fn start_there(
        redis: Address,
        prefix: &str,
        scaling_channel: &str,
        set_up: impl FnOnce(&mut AppConfig),
    ) -> Self {
        let app = Credentials { id: "1".into(), key: "key".into(), secret: Secret::new("secret".into()) };
        let mut app_config = AppConfig::new(app.clone());
        set_up(&mut app_config);
        let mut config = Config::new(vec![app_config]);
        config.cluster = Some(ClusterConfig {
            redis: redis.patient(10),
            prefix: prefix.into(),
            scaling_channel: scaling_channel.into(),
            outgoing_bytes: 1 << 20,
        });
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let at = listener.local_addr().expect("a bound socket");
        let (end, ended) = oneshot::channel();
        let server = Server::new(config).expect("a good configuration");
        let running = tokio::spawn(run(server, listener, async { drop(ended.await) }));
        Self { at, app, end: Some(end), running }
    }

    pub(crate) fn api(&self) -> Api {
        Api { at: self.at, prefix: String::new(), app: self.app.clone(), trust: None }
    }

    pub(crate) async fn client(&self) -> Client {
        Client::open(self.at, &format!("/app/{}?protocol=7", self.app.key), &[]).await.established().await
    }

    /// A client in a channel.
    pub(crate) async fn subscriber(&self, channel: &str) -> Client {
        let mut client = self.client().await;
        let auth = sign_channel(&self.app, &client.socket_id, channel, None);
        client.subscribe(channel, &auth).await;
        client
    }

    /// A client that is signed in as `user_data` says.
    pub(crate) async fn user(&self, user_data: &str) -> Client {
        let mut client = self.client().await;
        client.sign_in(&self.app, user_data).await;
        client
    }

    /// One request that asks for the cluster's word.
    pub(crate) async fn post_confirmed(&self, body: &Value) -> Answer {
        self.confirmed("/events", body).await
    }

    /// As [`Node::post_confirmed`], to any path.
    pub(crate) async fn confirmed(&self, path: &str, body: &Value) -> Answer {
        let body = body.to_string();
        let target = self.api().target("POST", path, &[], body.as_bytes());
        request(self.at, "POST", &target, &[("x-gema-ack", "cluster")], body.as_bytes()).await
    }

    /// Publishes and waits until the cluster has the event; tries again while there is no link yet.
    pub(crate) async fn publish_confirmed(&self, channel: &str, event: &str, data: &str) {
        let body = json!({"name": event, "channels": [channel], "data": data});
        for _ in 0..100 {
            if self.post_confirmed(&body).await.status == 200 {
                return;
            }
        }
        panic!("the cluster never confirmed an event");
    }

    pub(crate) async fn stop(mut self) {
        drop(self.end.take());
        self.running.await.expect("an end in order");
    }
}

/// Two servers that are known to have a link.
pub(crate) async fn pair(redis: &Redis) -> (Node, Node) {
    pair_with(redis, |_| {}).await
}

/// As [`pair`], with an app that is not set up as usual.
pub(crate) async fn pair_with(redis: &Redis, set_up: impl Fn(&mut AppConfig)) -> (Node, Node) {
    let (a, b) = (Node::start_with(redis, &set_up), Node::start_with(redis, &set_up));
    a.publish_confirmed("linked", "e", "").await;
    b.publish_confirmed("linked", "e", "").await;
    (a, b)
}

/// Ends both. Clients that still stand would be waited for: they do not answer a close that they do not read.
pub(crate) async fn stop(a: Node, b: Node) {
    tokio::join!(a.stop(), b.stop());
}
