//! Every kind of channel × every way in, from outside: who gets what, and who is kept out.
//!
//! The server's own table is not asked here: what a kind demands is written down once more, in a `match` that does not
//! compile until a new kind has its line. Both outcomes are observed: an insider hears each event, so it was sent, and
//! whoever is kept out is asked with a barrier (`nothing_came`).

mod api;
mod apps;
mod client_events;
mod subscribe;

use gema_protocol::app::{Credentials, Secret};
use gema_protocol::channel::ChannelKind;
use gema_tests::{Api, Client, Gema, Setup};
use serde_json::json;

/// What a kind of channel wants of a subscriber.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Demand {
    Nothing,
    Signature,
    /// A signature and somebody to be.
    Identity,
    /// To be signed in as the user in its name.
    OwnSignIn,
}

fn demand(kind: ChannelKind) -> Demand {
    match kind {
        ChannelKind::Public | ChannelKind::Cache => Demand::Nothing,
        ChannelKind::Private
        | ChannelKind::PrivateEncrypted
        | ChannelKind::PrivateCache
        | ChannelKind::PrivateEncryptedCache => Demand::Signature,
        ChannelKind::Presence | ChannelKind::PresenceCache => Demand::Identity,
        ChannelKind::ServerToUser => Demand::OwnSignIn,
    }
}

/// The channel of a kind that these tests use; that of a user belongs to the user `7`.
fn channel(kind: ChannelKind) -> String {
    format!("{}7", kind.prefix())
}

/// As [`channel`], for the path of a request.
fn path(kind: ChannelKind) -> String {
    format!("/channels/{}", channel(kind).replace('#', "%23"))
}

fn keeps_the_last_event(kind: ChannelKind) -> bool {
    kind.prefix().contains("cache-")
}

fn has_members(kind: ChannelKind) -> bool {
    kind.prefix().starts_with("presence-")
}

/// A server with two apps that know nothing of each other.
struct Stage {
    gema: Gema,
    other: Credentials,
}

impl Stage {
    async fn set() -> Self {
        Self::set_with(&[]).await
    }

    /// As [`Stage::set`], with more variables for the first app.
    async fn set_with(env: &[(&str, &str)]) -> Self {
        let other = Credentials {
            id: "515151".to_owned(),
            key: "otherkey0123456789ab".to_owned(),
            secret: Secret::new("othersecret012345678".to_owned()),
        };
        let file = format!(
            "[[apps]]\nid = \"{}\"\nkey = \"{}\"\nsecret = \"{}\"\n",
            other.id,
            other.key,
            other.secret.expose()
        );
        let setup = env.iter().fold(Setup::broadcast(), |setup, (name, value)| setup.env(name, value));
        Self { gema: setup.file("gema.toml", &file).start().await, other }
    }

    fn other_api(&self) -> Api {
        Api { app: self.other.clone(), ..self.gema.api() }
    }

    async fn client_of_other(&self) -> Client {
        let target = format!("/app/{}?protocol=7", self.other.key);
        Client::open(self.gema.broadcast, &target, &[]).await.established().await
    }

    /// A client that came into the channel of this kind the right way, and has read all it was told.
    async fn insider(&self, kind: ChannelKind) -> Client {
        let mut client = self.gema.client().await;
        self.let_in(&self.gema.app, kind, &mut client).await;
        client
    }

    /// As [`Stage::insider`], in the other app.
    async fn insider_of_other(&self, kind: ChannelKind) -> Client {
        let mut client = self.client_of_other().await;
        self.let_in(&self.other, kind, &mut client).await;
        client
    }

    async fn let_in(&self, app: &Credentials, kind: ChannelKind, client: &mut Client) {
        let channel = channel(kind);
        if demand(kind) == Demand::OwnSignIn {
            client.sign_in(app, r#"{"id":"7"}"#).await;
        }
        let data = has_members(kind).then_some(r#"{"user_id":"insider"}"#);
        client.ask_signed(app, &channel, data).await;
        client.expect("pusher_internal:subscription_succeeded").await;
        if keeps_the_last_event(kind) {
            client.frame().await;
        }
        client.nothing_came().await;
    }
}

/// The event that a right request publishes.
fn event(kind: ChannelKind, name: &str) -> serde_json::Value {
    json!({"name": name, "channels": [channel(kind)], "data": "secret"})
}
