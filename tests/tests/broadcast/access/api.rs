//! The HTTP API: every endpoint that reads from, writes to or ends something of a channel, unsigned and signed wrongly.

use gema_protocol::app::{Credentials, Secret};
use gema_protocol::channel::ChannelKind;
use gema_protocol::signature::sign_request;
use gema_tests::{Answer, now, request};
use serde_json::json;

use super::Demand::{Identity, Nothing, OwnSignIn, Signature};
use super::{Stage, channel, demand, event, has_members, path};

struct Call {
    method: &'static str,
    /// From `/apps` on, with the id of the first app.
    path: String,
    body: String,
}

/// Everything that concerns the channel of this kind; what publishes or ends stands last.
fn calls(stage: &Stage, kind: ChannelKind) -> Vec<Call> {
    let app = &stage.gema.app.id;
    let get = |path: String| Call { method: "GET", path: format!("/apps/{app}{path}"), body: String::new() };
    let post = |path: &str, body: serde_json::Value| Call {
        method: "POST",
        path: format!("/apps/{app}{path}"),
        body: body.to_string(),
    };
    vec![
        get("/channels".to_owned()),
        get(path(kind)),
        get(format!("{}/users", path(kind))),
        get("/connections".to_owned()),
        post("/events", event(kind, "forged")),
        post("/batch_events", json!({"batch": [{"name": "forged", "channel": channel(kind), "data": "x"}]})),
        post("/users/7/terminate_connections", json!({})),
        post("/users/insider/terminate_connections", json!({})),
    ]
}

fn signed_by(app: &Credentials, call: &Call) -> String {
    sign_request(app, call.method, &call.path, &[], call.body.as_bytes(), now())
}

/// The query of a request that is not the app's own.
type Forgery = fn(&Stage, &Call) -> String;

fn mixed(key_of: &Credentials, secret_of: &Credentials) -> Credentials {
    Credentials { secret: secret_of.secret.clone(), ..key_of.clone() }
}

const FORGERIES: &[(&str, Forgery)] = &[
    ("unsigned", |_, _| String::new()),
    ("our key alone", |s, _| format!("auth_key={}", s.gema.app.key)),
    ("another app", |s, c| signed_by(&s.other, c)),
    ("another app's secret under our key", |s, c| signed_by(&mixed(&s.gema.app, &s.other), c)),
    ("our secret under another app's key", |s, c| signed_by(&mixed(&s.other, &s.gema.app), c)),
    ("a guessed secret", |s, c| {
        signed_by(&Credentials { secret: Secret::new("secret".to_owned()), ..s.gema.app.clone() }, c)
    }),
    ("signed for another method", |s, c| {
        sign_request(&s.gema.app, "PUT", &c.path, &[], c.body.as_bytes(), now())
    }),
    ("signed for another path", |s, c| {
        sign_request(&s.gema.app, c.method, &format!("{}x", c.path), &[], c.body.as_bytes(), now())
    }),
    ("signed for another app's path", |s, c| {
        let path = c.path.replace(&s.gema.app.id, &s.other.id);
        sign_request(&s.gema.app, c.method, &path, &[], c.body.as_bytes(), now())
    }),
    ("signed for another body", |s, c| sign_request(&s.gema.app, c.method, &c.path, &[], b"{ }", now())),
    ("signed long ago", |s, c| {
        sign_request(&s.gema.app, c.method, &c.path, &[], c.body.as_bytes(), now() - 3600)
    }),
    ("signed with one parameter less", |s, c| signed_by(&s.gema.app, c) + "&filter_by_prefix=private-"),
];

impl Stage {
    async fn ask(&self, call: &Call, query: &str) -> Answer {
        let target = format!("{}?{query}", call.path);
        let json = [("content-type", "application/json")];
        request(self.gema.broadcast, call.method, &target, &json, call.body.as_bytes()).await
    }
}

#[tokio::test]
async fn no_forged_request_reads_writes_or_ends_anything() {
    let stage = Stage::set().await;
    for &kind in ChannelKind::ALL {
        let mut insider = stage.insider(kind).await;
        for call in calls(&stage, kind) {
            for (name, forge) in FORGERIES {
                let answer = stage.ask(&call, &forge(&stage, &call)).await;
                assert_eq!(answer.status, 401, "{} {} {name}: {}", call.method, call.path, answer.body);
                assert!(!answer.body.starts_with('{'), "{name}: {}", answer.body);
            }
            insider.nothing_came().await;
        }
    }
}

#[tokio::test]
async fn the_same_requests_rightly_signed_do_what_they_say() {
    let stage = Stage::set().await;
    for &kind in ChannelKind::ALL {
        let mut insider = stage.insider(kind).await;
        let mut answers = Vec::new();
        for call in calls(&stage, kind) {
            answers.push(stage.ask(&call, &signed_by(&stage.gema.app, &call)).await);
        }
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        let users = if has_members(kind) { 200 } else { 400 };
        assert_eq!(statuses, [200, 200, users, 200, 200, 200, 200, 200], "{kind:?}");
        assert_eq!(answers[0].json()["channels"].get(channel(kind)).is_some(), demand(kind) != OwnSignIn);
        assert_eq!(answers[2].body.contains("insider"), has_members(kind));
        insider.expect("forged").await;
        insider.expect("forged").await;
        match demand(kind) {
            OwnSignIn | Identity => assert_eq!(insider.closed().await.0, 4009, "{kind:?}"),
            Nothing | Signature => insider.nothing_came().await,
        }
    }
}

#[tokio::test]
async fn an_apps_own_signature_ends_nothing_of_another_app() {
    let stage = Stage::set().await;
    for &kind in ChannelKind::ALL {
        let (mut ours, mut theirs) = (stage.insider(kind).await, stage.insider_of_other(kind).await);
        for user in ["7", "insider"] {
            let path = format!("/users/{user}/terminate_connections");
            stage.other_api().post(&path, &json!({})).await.ok();
        }
        ours.nothing_came().await;
        match demand(kind) {
            OwnSignIn | Identity => assert_eq!(theirs.closed().await.0, 4009, "{kind:?}"),
            Nothing | Signature => theirs.nothing_came().await,
        }
    }
}
