//! Subscribing: with a missing, wrong, foreign and right credential, signed in and not.

use gema_protocol::channel::ChannelKind;
use gema_protocol::signature::{sign_channel, sign_user};
use gema_tests::Client;
use serde_json::{Value, json};

use super::Demand::{self, Identity, Nothing, OwnSignIn, Signature};
use super::{Stage, channel, demand, has_members, keeps_the_last_event, path};

const DATA: &str = r#"{"user_id":"9","user_info":{"name":"Nine"}}"#;

/// Who asks, and for what.
struct Asking<'a> {
    stage: &'a Stage,
    socket: &'a str,
    /// Another connection's socket id.
    elsewhere: &'a str,
    channel: &'a str,
}

impl Asking<'_> {
    fn sign(&self, socket: &str, channel: &str, data: Option<&str>) -> String {
        sign_channel(&self.stage.gema.app, socket, channel, data)
    }

    /// What the app's endpoint would answer.
    fn right(&self, data: Option<&str>) -> String {
        self.sign(self.socket, self.channel, data)
    }

    fn by_other_app(&self, data: Option<&str>) -> String {
        sign_channel(&self.stage.other, self.socket, self.channel, data)
    }
}

/// One way in.
struct Way {
    name: &'static str,
    signed_in: Option<&'static str>,
    /// `auth` and `channel_data`.
    credential: fn(&Asking<'_>) -> (Value, Value),
    opens: &'static [Demand],
}

const fn way(name: &'static str, credential: fn(&Asking<'_>) -> (Value, Value)) -> Way {
    Way { name, signed_in: None, credential, opens: &[Nothing] }
}

fn auth(auth: impl Into<Value>) -> (Value, Value) {
    (auth.into(), Value::Null)
}

fn with_data(auth: String) -> (Value, Value) {
    (auth.into(), DATA.into())
}

const MISSING_OR_WRONG: &[Way] = &[
    way("nothing", |_| auth(Value::Null)),
    way("empty auth", |_| auth("")),
    way("nonsense", |_| auth("nonsense")),
    way("a key and no signature", |a| auth(format!("{}:", a.stage.gema.app.key))),
    way("a signature and no key", |a| auth(a.right(None).rsplit(':').next().unwrap_or_default())),
    way("a signature cut short", |a| {
        let mut right = a.right(None);
        right.pop();
        auth(right)
    }),
    way("a signature in upper case", |a| auth(a.right(None).to_uppercase())),
    way("the public empty auth with data", |_| with_data(String::new())),
    way("data that is not signed", |a| with_data(a.right(None))),
    way("data that is not what was signed", |a| with_data(a.right(Some(r#"{"user_id":"8"}"#)))),
    way("data in other bytes than signed", |a| with_data(a.right(Some(&DATA.replace(':', ": "))))),
    way("signed data that is held back", |a| auth(a.right(Some(DATA)))),
];

const FOREIGN: &[Way] = &[
    way("another app's signature", |a| auth(a.by_other_app(None))),
    way("another app's signature with data", |a| with_data(a.by_other_app(Some(DATA)))),
    way("another app's signature under our key", |a| {
        auth(a.by_other_app(None).replace(&a.stage.other.key, &a.stage.gema.app.key))
    }),
    way("our signature under another app's key", |a| {
        auth(a.right(None).replace(&a.stage.gema.app.key, &a.stage.other.key))
    }),
    way("another socket's signature", |a| auth(a.sign(a.elsewhere, a.channel, None))),
    way("another socket's data", |a| with_data(a.sign(a.elsewhere, a.channel, Some(DATA)))),
    way("another channel's signature", |a| auth(a.sign(a.socket, "private-other", None))),
    way("another channel's data", |a| with_data(a.sign(a.socket, "presence-other", Some(DATA)))),
    way("a longer channel's signature", |a| auth(a.sign(a.socket, &format!("{}7", a.channel), None))),
    way("a sign-in's signature", |a| auth(sign_user(&a.stage.gema.app, a.socket, r#"{"id":"7"}"#))),
    way("a sign-in's signature and data", |a| {
        let data = r#"{"id":"7","user_id":"7"}"#;
        (sign_user(&a.stage.gema.app, a.socket, data).into(), data.into())
    }),
];

const RIGHT: &[Way] = &[
    Way { opens: &[Nothing, Signature], ..way("right", |a| auth(a.right(None))) },
    Way {
        opens: &[Nothing, Signature, Identity],
        ..way("right with data", |a| with_data(a.right(Some(DATA))))
    },
    Way {
        opens: &[Nothing, Signature],
        ..way("right with data about nobody", |a| (a.right(Some("{}")).into(), "{}".into()))
    },
    Way {
        signed_in: Some("7"),
        opens: &[Nothing, OwnSignIn],
        ..way("signed in, nothing", |_| auth(Value::Null))
    },
    Way {
        signed_in: Some("7"),
        opens: &[Nothing, OwnSignIn],
        ..way("signed in, foreign", |a| auth(a.by_other_app(None)))
    },
    Way {
        signed_in: Some("7"),
        opens: &[Nothing, Signature, Identity, OwnSignIn],
        ..way("signed in, right", |a| auth(a.right(None)))
    },
    Way {
        signed_in: Some("7"),
        opens: &[Nothing, OwnSignIn],
        ..way("signed in, data that is not signed", |a| with_data(a.right(None)))
    },
    Way { signed_in: Some("8"), ..way("signed in as another, nothing", |_| auth(Value::Null)) },
    Way {
        signed_in: Some("8"),
        opens: &[Nothing, Signature, Identity],
        ..way("signed in as another, right", |a| auth(a.right(None)))
    },
    Way {
        signed_in: Some("8"),
        opens: &[Nothing, Signature, Identity],
        ..way("signed in as another, right with data", |a| with_data(a.right(Some(DATA))))
    },
];

#[tokio::test]
async fn nothing_wrong_opens_any_kind() {
    walk(MISSING_OR_WRONG).await;
}

#[tokio::test]
async fn nothing_foreign_opens_any_kind() {
    walk(FOREIGN).await;
}

#[tokio::test]
async fn what_is_right_opens_its_kinds_and_no_other() {
    walk(RIGHT).await;
}

async fn walk(ways: &[Way]) {
    let stage = Stage::set().await;
    let elsewhere = stage.gema.client().await;
    for &kind in ChannelKind::ALL {
        let mut insider = stage.insider(kind).await;
        for way in ways {
            let mut client = stage.gema.client().await;
            if let Some(id) = way.signed_in {
                client.sign_in(&stage.gema.app, &json!({"id": id}).to_string()).await;
            }
            let what = format!("{} by: {}", channel(kind), way.name);
            stage.publish(kind, "before").await;
            insider.expect("before").await;
            let asking = Asking {
                stage: &stage,
                socket: &client.socket_id,
                elsewhere: &elsewhere.socket_id,
                channel: &channel(kind),
            };
            let (auth, channel_data) = (way.credential)(&asking);
            let data = json!({"channel": channel(kind), "auth": auth, "channel_data": channel_data});
            client.send("pusher:subscribe", data, None).await;
            if way.opens.contains(&demand(kind)) {
                stage.is_let_in(kind, &mut client, &mut insider, &what).await;
            } else {
                stage.is_kept_out(kind, &mut client, &mut insider, &what).await;
            }
        }
    }
}

impl Stage {
    async fn publish(&self, kind: ChannelKind, name: &str) {
        self.gema.api().publish(&channel(kind), name, "secret").await;
    }

    /// The server counts so many sockets in the channel; in presence channels users; of a single user's channel nothing.
    async fn holds(&self, kind: ChannelKind, expected: usize, what: &str) {
        let asked = match demand(kind) {
            Identity => "user_count",
            Nothing | Signature => "subscription_count",
            OwnSignIn => return,
        };
        let counted = self.gema.api().get(&path(kind), &[("info", asked)]).await.ok();
        assert_eq!(counted[asked], expected, "{what}");
    }

    /// One refusal, and then nothing: no cached event, no live event, no list, no trace.
    async fn is_kept_out(&self, kind: ChannelKind, client: &mut Client, insider: &mut Client, what: &str) {
        let refusal = client.frame().await;
        assert_eq!(refusal.event, "pusher:error", "{what}: {}", refusal.text);
        assert_eq!(refusal.inner()["code"], 4009, "{what}: {}", refusal.text);
        self.publish(kind, "after").await;
        insider.expect("after").await;
        client.nothing_came().await;
        insider.nothing_came().await;
        self.holds(kind, 1, what).await;
    }

    /// Confirmation, cached event where one is kept, live events, and a leave that is noticed.
    async fn is_let_in(&self, kind: ChannelKind, client: &mut Client, insider: &mut Client, what: &str) {
        let confirmation = client.frame().await;
        assert_eq!(
            confirmation.event, "pusher_internal:subscription_succeeded",
            "{what}: {}",
            confirmation.text
        );
        if keeps_the_last_event(kind) {
            client.expect("before").await;
        }
        if has_members(kind) {
            assert_eq!(confirmation.inner()["presence"]["count"], 2, "{what}");
            insider.expect("pusher_internal:member_added").await;
        }
        self.holds(kind, 2, what).await;
        self.publish(kind, "after").await;
        insider.expect("after").await;
        client.expect("after").await;
        client.leave(&channel(kind)).await;
        if has_members(kind) {
            insider.expect("pusher_internal:member_removed").await;
        }
        insider.nothing_came().await;
    }
}
