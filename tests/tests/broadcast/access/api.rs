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
    /// With the id of the first app in it, unless it stands outside of all apps.
    path: String,
    params: Vec<(&'static str, String)>,
    body: String,
}

/// Everything that concerns the channel of this kind; what publishes or ends stands last.
fn calls(stage: &Stage, kind: ChannelKind) -> Vec<Call> {
    let app = format!("/apps/{}", stage.gema.app.id);
    let get = |path: String| Call { method: "GET", path, params: Vec::new(), body: String::new() };
    let post = |path: String, params: &[(&'static str, &str)], body: &str| Call {
        method: "POST",
        path,
        params: params.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
        body: body.to_owned(),
    };
    let (name, path) = (channel(kind), path(kind));
    let batch = json!({"batch": [{"name": "forged", "channel": name, "data": "x"}]}).to_string();
    vec![
        get(format!("{app}/channels")),
        get(format!("{app}{path}")),
        get(format!("{app}{path}/users")),
        get(format!("{app}{path}/stats")),
        get(format!("{app}/connections")),
        post(format!("{app}/events"), &[], &event(kind, "forged").to_string()),
        post(format!("{app}/events"), &[("name", "forged"), ("data", "x"), ("channel", &name)], ""),
        post(format!("{app}/batch_events"), &[], &batch),
        post(format!("{app}{path}/events"), &[("name", "forged")], "x"),
        post(format!("{app}/users/7/terminate_connections"), &[], "{}"),
        post("/users/insider/terminate_connections".to_owned(), &[], "{}"),
    ]
}

/// The query of this call as `app` signs it, changed by `change` before it is signed.
fn signed_after(app: &Credentials, call: &Call, change: impl FnOnce(&mut Call)) -> String {
    let params = call.params.clone();
    let mut signed = Call { method: call.method, path: call.path.clone(), params, body: call.body.clone() };
    change(&mut signed);
    let params: Vec<(&str, &str)> = signed.params.iter().map(|(name, value)| (*name, &**value)).collect();
    sign_request(app, signed.method, &signed.path, &params, signed.body.as_bytes(), now())
}

fn signed_by(app: &Credentials, call: &Call) -> String {
    signed_after(app, call, |_| ())
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
    ("signed for another method", |s, c| signed_after(&s.gema.app, c, |c| c.method = "PUT")),
    ("signed for another path", |s, c| signed_after(&s.gema.app, c, |c| c.path.push('x'))),
    ("signed for another app's path", |s, c| {
        signed_after(&s.gema.app, c, |c| c.path.insert_str(0, &format!("/apps/{}", s.other.id)))
    }),
    ("signed for another body", |s, c| signed_after(&s.gema.app, c, |c| c.body.push(' '))),
    ("signed long ago", |s, c| {
        let params: Vec<(&str, &str)> = c.params.iter().map(|(name, value)| (*name, &**value)).collect();
        sign_request(&s.gema.app, c.method, &c.path, &params, c.body.as_bytes(), now() - 3600)
    }),
    ("signed with one parameter less", |s, c| signed_by(&s.gema.app, c) + "&filter_by_prefix=private-"),
    ("signed with one parameter more", |s, c| {
        signed_after(&s.gema.app, c, |c| c.params.push(("info", "cache".to_owned())))
            .replace("info=cache&", "")
    }),
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
                if *name == "another app" && !call.path.starts_with("/apps/") {
                    // That is a right request of the other app; what it ends is tested below.
                    continue;
                }
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
        assert_eq!(statuses, [200, 200, users, 200, 200, 200, 200, 200, 202, 200, 200], "{kind:?}");
        assert_eq!(answers[0].json()["channels"].get(channel(kind)).is_some(), demand(kind) != OwnSignIn);
        assert_eq!(answers[2].body.contains("insider"), has_members(kind));
        for _ in 0..4 {
            insider.expect("forged").await;
        }
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
            let body = "{}".to_owned();
            let outside = Call { method: "POST", path, params: Vec::new(), body };
            assert_eq!(stage.ask(&outside, &signed_by(&stage.other, &outside)).await.status, 200);
        }
        ours.nothing_came().await;
        match demand(kind) {
            OwnSignIn | Identity => assert_eq!(theirs.closed().await.0, 4009, "{kind:?}"),
            Nothing | Signature => theirs.nothing_came().await,
        }
    }
}
