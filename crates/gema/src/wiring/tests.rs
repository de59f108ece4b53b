//! What the settings of an app become: the defaults of both profiles, and each setting in turn.

use std::collections::BTreeMap;
use std::fmt::Debug;

use super::*;
use crate::settings::{Inputs, Roles, load};

/// The app that these lines of `NAME=value` describe.
fn app(lines: &[&str]) -> AppConfig {
    let folder = tempfile::tempdir().unwrap();
    let identity = ["REVERB_APP_ID=1", "REVERB_APP_KEY=k", "REVERB_APP_SECRET=s"];
    let pair = |line: &&str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    let environment: BTreeMap<_, _> = identity.iter().chain(lines).filter_map(pair).collect();
    let inputs = Inputs { environment, directory: folder.path().to_owned(), ..Inputs::default() };
    let settings = load(inputs, Roles::SERVE).ok().and_then(|outcome| outcome.settings.ok()).unwrap();
    let (credentials, app) = &settings.apps[0];
    app_config(credentials, app, &settings.process)
}

fn shown(value: impl Debug) -> String {
    format!("{value:?}")
}

type Look = fn(&AppConfig) -> String;

/// What it is, how to look at it, its default for `pusher` and for `reverb`: the table of the protocol's limits.
const DEFAULTS: [(&str, Look, &str, &str); 22] = [
    ("bytes of a channel name", |app| shown(app.limits.channel_name), "164", "200"),
    ("characters of an event name", |app| shown(app.limits.event_name), "200", "200"),
    ("bytes of an event's data", |app| shown(app.limits.event_data), "10240", "10240"),
    ("bytes of a request body", |app| shown(app.limits.request_body), "1572864", "1572864"),
    ("channels per event", |app| shown(app.limits.channels_per_event), "100", "100"),
    ("events per batch", |app| shown(app.limits.batch), "Some(10)", "None"),
    ("bytes of a client's message", |app| shown(app.limits.client_message), "11264", "10000"),
    ("who sends client events", |app| shown(app.client_events), "Nobody", "Members"),
    ("on public channels", |app| shown(app.client_events_on_public_channels), "false", "false"),
    ("client events a second", |app| shown(app.limits.client_events_per_second), "Some(10)", "None"),
    ("messages in a window", |app| shown(app.message_rate), "None", "None"),
    ("presence members", |app| shown(app.limits.presence_members), "Some(100)", "None"),
    ("bytes of user_info", |app| shown(app.limits.presence_user_info), "Some(1024)", "None"),
    ("characters of a user id", |app| shown(app.limits.user_id), "128", "128"),
    ("ids in a watchlist", |app| shown(app.limits.watchlist), "100", "100"),
    ("life of a cached event", |app| shown(app.limits.cache_ttl), "1800s", "1800s"),
    ("activity_timeout", |app| shown(app.limits.activity_timeout_s), "120", "30"),
    ("server ping", |app| shown(app.limits.ping_interval_s), "120", "60"),
    ("wait for its answer", |app| shown(app.limits.pong_grace_s), "30", "30"),
    ("window of signatures", |app| shown(app.limits.signature_window_s), "600", "600"),
    ("info on a wrong type", |app| shown(app.limits.misplaced_info), "Refuse", "Omit"),
    ("connections", |app| shown(app.max_connections), "None", "None"),
];

#[test]
fn both_profiles_have_the_documented_defaults() {
    let (pusher, reverb) = (app(&["REVERB_APP_PROFILE=pusher"]), app(&[]));
    for (what, look, in_pusher, in_reverb) in DEFAULTS {
        assert_eq!((look(&pusher).as_str(), look(&reverb).as_str()), (in_pusher, in_reverb), "{what}");
    }
}

#[test]
fn r_reverb_83_a_larger_request_size_raises_what_may_be_published_and_a_usual_one_lowers_nothing() {
    let sizes = |lines: &[&str]| {
        let limits = app(lines).limits;
        (limits.request_body, limits.event_data)
    };
    assert_eq!(sizes(&["REVERB_MAX_REQUEST_SIZE=10000"]), (1_572_864, 10_240));
    assert_eq!(sizes(&["REVERB_MAX_REQUEST_SIZE=10100"]), (1_572_864, 10_240));
    assert_eq!(sizes(&["REVERB_MAX_REQUEST_SIZE=50000"]), (1_572_864, 50_000));
    assert_eq!(sizes(&["REVERB_MAX_REQUEST_SIZE=2000000"]), (2_000_000, 2_000_000));
    let pusher = ["REVERB_APP_PROFILE=pusher", "REVERB_MAX_REQUEST_SIZE=2000000"];
    assert_eq!(sizes(&pusher), (1_572_864, 10_240), "Pusher's own limits are fixed");
}

/// A line of `.env`, how to look at what it sets, and what is then seen. None of them is a default.
const CHANGES: [(&str, Look, &str); 24] = [
    ("REVERB_APP_ENABLED=false", |app| shown(app.enabled), "false"),
    (
        "REVERB_APP_ALLOWED_ORIGINS=a.test,b.test",
        |app| shown(app.allowed_origins.entries()),
        r#"["a.test", "b.test"]"#,
    ),
    ("REVERB_APP_PING_INTERVAL=7", |app| shown(app.limits.ping_interval_s), "7"),
    ("REVERB_APP_PONG_TIMEOUT=7", |app| shown(app.limits.pong_grace_s), "7"),
    ("REVERB_APP_ACTIVITY_TIMEOUT=7", |app| shown(app.limits.activity_timeout_s), "7"),
    ("REVERB_APP_MAX_CONNECTIONS=7", |app| shown(app.max_connections), "Some(7)"),
    ("REVERB_APP_MAX_MESSAGE_SIZE=2000", |app| shown(app.limits.client_message), "2000"),
    ("REVERB_APP_STRICT_PROTOCOL=true", |app| shown(app.strict_protocol), "true"),
    ("REVERB_APP_AUTHORIZATION_TIMEOUT=7", |app| shown(app.authorization_timeout), "Some(7s)"),
    ("REVERB_APP_USER_AUTHENTICATION=false", |app| shown(app.user_authentication), "false"),
    ("REVERB_APP_WATCHLISTS=false", |app| shown(app.watchlists), "false"),
    ("REVERB_APP_TERMINATE_BY_PRESENCE=false", |app| shown(app.terminate_by_presence), "false"),
    ("REVERB_APP_TERMINATE_CLOSE_CODE=4200", |app| shown(app.terminate_with.code()), "4200"),
    ("REVERB_APP_SUBSCRIPTION_COUNT=true", |app| shown(app.subscription_count), "true"),
    ("REVERB_APP_SUBSCRIPTION_ERRORS=true", |app| shown(app.subscription_errors), "true"),
    ("REVERB_APP_CACHE_TTL=7", |app| shown(app.limits.cache_ttl), "7s"),
    ("REVERB_APP_MAX_PRESENCE_MEMBERS=7", |app| shown(app.limits.presence_members), "Some(7)"),
    ("REVERB_APP_MAX_USER_INFO_SIZE=7", |app| shown(app.limits.presence_user_info), "Some(7)"),
    ("REVERB_APP_MAX_BATCH_SIZE=7", |app| shown(app.limits.batch), "Some(7)"),
    ("REVERB_APP_SIGNATURE_WINDOW=7", |app| shown(app.limits.signature_window_s), "7"),
    ("REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM=all", |app| shown(app.client_events), "Anyone"),
    ("REVERB_APP_ACCEPT_CLIENT_EVENTS_FROM=none", |app| shown(app.client_events), "Nobody"),
    (
        "REVERB_APP_CLIENT_EVENTS_ON_PUBLIC_CHANNELS=true",
        |app| shown(app.client_events_on_public_channels),
        "true",
    ),
    (
        "REVERB_APP_MAX_CLIENT_EVENTS_PER_SECOND=7",
        |app| shown(app.limits.client_events_per_second),
        "Some(7)",
    ),
];

#[test]
fn every_setting_of_an_app_arrives() {
    for (line, look, seen) in CHANGES {
        assert_ne!(look(&app(&[])), seen, "{line} is the default");
        assert_eq!(look(&app(&[line])), seen, "{line}");
    }
}

#[test]
fn no_setting_of_an_app_is_left_untested() {
    // What an app is called, its profile and the rate limit have tests of their own.
    let elsewhere =
        |key: &str| ["id", "key", "secret", "profile"].contains(&key) || key.starts_with("rate_limiting.");
    let changed = |env: &str| CHANGES.iter().any(|(line, ..)| line.split('=').next() == Some(env));
    let untested = App::TABLE.iter().filter(|setting| !elsewhere(setting.key) && !changed(setting.env));
    assert_eq!(untested.map(|setting| setting.env).collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn r_reverb_371_the_rate_limit_is_reverbs() {
    let rate = |lines: &[&str]| {
        app(lines).message_rate.map(|limit| (limit.rate.times, limit.rate.window.as_secs(), limit.terminate))
    };
    assert_eq!(rate(&["REVERB_APP_RATE_LIMIT_MAX_ATTEMPTS=5"]), None, "it is off until it is enabled");
    assert_eq!(rate(&["REVERB_APP_RATE_LIMITING_ENABLED=true"]), Some((60, 60, false)));
    let all = [
        "REVERB_APP_RATE_LIMITING_ENABLED=true",
        "REVERB_APP_RATE_LIMIT_MAX_ATTEMPTS=5",
        "REVERB_APP_RATE_LIMIT_DECAY_SECONDS=7",
        "REVERB_APP_RATE_LIMIT_TERMINATE=true",
    ];
    assert_eq!(rate(&all), Some((5, 7, true)));
}
