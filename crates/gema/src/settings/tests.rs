//! The settings as a whole: every key in every source, misspelt and right.

use std::collections::BTreeMap;
use std::path::Path;

use tempfile::TempDir;

use super::names::{app_key, app_keys, process_keys, variables, webhook_key};
use super::registry::NEEDLESS;
use super::{App, Inputs, Outcome, Process, Roles, Setting, Webhook, load, print, reference};

const APP: &str = "REVERB_APP_ID=1\nREVERB_APP_KEY=k\nREVERB_APP_SECRET=hush\n";

/// A folder with the files of a case, and its environment.
struct Case {
    folder: TempDir,
    inputs: Inputs,
}

impl Case {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let inputs = Inputs { directory: folder.path().to_owned(), ..Inputs::default() };
        Self { folder, inputs }
    }

    fn file(self, name: impl AsRef<Path>, text: impl AsRef<[u8]>) -> Self {
        std::fs::write(self.folder.path().join(name), text).unwrap();
        self
    }

    fn var(mut self, name: &str, value: &str) -> Self {
        self.inputs.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    fn flag(mut self, name: &'static str, value: &str) -> Self {
        self.inputs.flags.insert(name, value.to_owned());
        self
    }

    fn load(self, role: Roles) -> Outcome {
        load(self.inputs, role).ok().unwrap()
    }

    fn problems(self, role: Roles) -> Vec<String> {
        load(self.inputs, role).and_then(|outcome| outcome.settings.map(drop)).err().unwrap_or_default()
    }
}

fn all_settings() -> impl Iterator<Item = (&'static Setting, String)> {
    let process = Process::TABLE.iter().map(|setting| (setting, setting.key.to_owned()));
    let app = App::TABLE.iter().map(|setting| (setting, app_key(setting)));
    let webhook = Webhook::TABLE.iter().map(|setting| (setting, format!("app.{}", webhook_key(setting))));
    process.chain(app).chain(webhook)
}

/// The same name with its last letter doubled.
fn misspelt(name: &str) -> String {
    format!("{name}{}", name.chars().last().unwrap())
}

fn winner(outcome: &Outcome, key: &str) -> (String, String) {
    let row = outcome.rows.iter().find(|row| row.key == key).unwrap();
    (row.given.text.clone(), row.given.origin.to_string())
}

#[test]
fn a_misspelt_variable_of_ours_stops_and_names_the_right_one() {
    for name in variables().filter(|name| name.starts_with("GEMA_")) {
        let wrong = misspelt(name);
        let expected = |origin| vec![format!("{wrong} ({origin}) is not a setting; did you mean {name}?")];
        assert_eq!(Case::new().var(&wrong, "1").problems(Roles::MIGRATE), expected("environment"));
        assert_eq!(
            Case::new().file(".env", format!("\n{wrong}=1")).problems(Roles::MIGRATE),
            expected(".env:2")
        );
    }
}

#[test]
fn a_misspelt_variable_of_reverb_warns_and_names_the_right_one() {
    for name in variables().filter(|name| name.starts_with("REVERB_")) {
        let wrong = misspelt(name);
        let settings = Case::new().file(".env", format!("{wrong}=1")).load(Roles::MIGRATE).settings.unwrap();
        assert_eq!(settings.warnings, [format!("{wrong} (.env:1) is not a setting; did you mean {name}?")]);
    }
}

#[test]
fn a_misspelt_key_stops_and_names_the_right_one() {
    let right = process_keys().map(|key| (key, "")).chain(app_keys().map(|key| (key, "[[apps]]\n")));
    for (key, section) in right {
        let wrong = misspelt(&key);
        let line = if section.is_empty() { 1 } else { 2 };
        let problems =
            Case::new().file("gema.toml", format!("{section}{wrong} = 1\n")).problems(Roles::MIGRATE);
        assert_eq!(problems, [format!("gema.toml:{line}: {wrong} is not a setting; did you mean {key}?")]);
    }
}

#[test]
fn every_setting_is_won_by_the_strongest_source() {
    for (setting, key) in all_settings() {
        let outcome = Case::new().load(Roles::SERVE);
        if !key.starts_with("app.") {
            assert_eq!(winner(&outcome, &key), (setting.default.to_owned(), "default".to_owned()));
        }
        // An app appears once it has an id, whichever source names it.
        let toml = format!("{key} = \"file\"\n{}", if key == "app.id" { "" } else { "app.id = \"1\"\n" });
        let with_file = || Case::new().file("gema.toml", &toml);
        let seen = |case: Case| winner(&case.load(Roles::SERVE), &key);
        let expect = |text: &str, origin: &str| (text.to_owned(), origin.to_owned());
        assert_eq!(seen(with_file()), expect("file", "gema.toml:1"), "{key}");
        let with_dotenv = || with_file().file(".env", format!("{}=dotenv", setting.env));
        assert_eq!(seen(with_dotenv()), expect("dotenv", ".env:1"), "{key}");
        let with_variable = || with_dotenv().var(setting.env, "variable");
        assert_eq!(seen(with_variable()), expect("variable", "environment"), "{key}");
        if let Some(flag) = setting.flag(Roles::SERVE) {
            let origin = format!("--{}", flag.name);
            assert_eq!(seen(with_variable().flag(flag.name, "flag")), expect("flag", &origin), "{key}");
        }
    }
}

#[test]
fn an_empty_value_leaves_the_word_to_the_next_source() {
    for unset in ["", "null", "(null)", "empty", "(empty)", "NULL", "\"\""] {
        let case = Case::new().file(".env", "REVERB_SERVER_PORT=1").var("REVERB_SERVER_PORT", unset);
        let expected = ("1".to_owned(), ".env:1".to_owned());
        assert_eq!(winner(&case.load(Roles::SERVE), "server.port"), expected, "{unset:?}");
    }
}

#[test]
fn every_default_is_valid_in_both_profiles() {
    for profile in ["reverb", "pusher"] {
        let case = Case::new().file(".env", format!("{APP}REVERB_APP_PROFILE={profile}"));
        let settings = case.load(Roles::SERVE).settings.unwrap();
        let timeout: u32 = settings.apps[0].1.activity_timeout.get();
        assert_eq!(timeout, if profile == "reverb" { 30 } else { 120 });
    }
}

#[test]
fn a_bad_value_stops_the_roles_that_read_it_and_names_its_source() {
    let table = [
        (
            "REVERB_SERVER_PORT",
            "http",
            "REVERB_SERVER_PORT (.env:4) is \"http\"; it must be a whole number from 0 to 65535",
        ),
        (
            "REVERB_MAX_REQUEST_SIZE",
            "9999",
            "REVERB_MAX_REQUEST_SIZE (.env:4) is \"9999\"; it must be a whole number from 10000 to 1073741824",
        ),
        ("REVERB_APP_ENABLED", "ja", "REVERB_APP_ENABLED (.env:4) is \"ja\"; it must be true or false"),
    ];
    for (name, value, sentence) in table {
        let case = || Case::new().file(".env", format!("{APP}{name}={value}"));
        assert_eq!(case().problems(Roles::BROADCAST), [sentence]);
        assert_eq!(case().problems(Roles::ATTENDANCE), [""; 0], "{name} is nothing to the attendance API");
    }
    let file = Case::new().file("gema.toml", "[server]\nport = 70000").file(".env", APP);
    let sentence = "server.port (gema.toml:2) is \"70000\"; it must be a whole number from 0 to 65535";
    assert_eq!(file.problems(Roles::BROADCAST), [sentence]);
    let flag = Case::new().file(".env", APP).flag("port", "x");
    let sentence = "--port is \"x\"; it must be a whole number from 0 to 65535";
    assert_eq!(flag.problems(Roles::BROADCAST), [sentence]);
}

#[test]
fn half_of_tls_is_an_error_that_names_the_other_half() {
    let table = [
        (
            "GEMA_TLS_CERT=a.pem",
            "GEMA_TLS_CERT is set and GEMA_TLS_KEY is not: set both to speak TLS, or neither",
        ),
        (
            "GEMA_TLS_KEY=a.key",
            "GEMA_TLS_KEY is set and GEMA_TLS_CERT is not: set both to speak TLS, or neither",
        ),
    ];
    for (line, sentence) in table {
        let case = || Case::new().file(".env", format!("{APP}{line}\n"));
        for role in [Roles::BROADCAST, Roles::ATTENDANCE, Roles::SERVE] {
            assert_eq!(case().problems(role), [sentence]);
        }
        assert!(case().problems(Roles::WORKER).is_empty(), "a worker does not listen");
    }
    let toml = "[tls]\ncert = \"a.pem\"\nkey = \"a.key\"\n";
    assert!(Case::new().file(".env", APP).file("gema.toml", toml).problems(Roles::SERVE).is_empty());
}

#[test]
fn the_env_of_a_laravel_application_is_read_as_it_is() {
    let env = r#"
APP_NAME="My App"
APP_ENV=local
APP_KEY=base64:AAAA/BBBB+CCCC=
APP_DEBUG=true
APP_URL=http://localhost
APP_MAINTENANCE_DRIVER=file
# APP_MAINTENANCE_STORE=database
DB_CONNECTION=mysql
DB_HOST=127.0.0.1
DB_DATABASE=laravel
DB_PASSWORD=
QUEUE_CONNECTION=redis
BROADCAST_CONNECTION=reverb
REDIS_CLIENT=phpredis
REDIS_PASSWORD=null
MAIL_FROM_ADDRESS="hello@example.com"
MAIL_FROM_NAME="${APP_NAME}"
REVERB_APP_ID=123456
REVERB_APP_KEY=abcdefghijklmnopqrst
REVERB_APP_SECRET=tsrqponmlkjihgfedcba
REVERB_HOST="localhost"
REVERB_PORT=8080
REVERB_SCHEME=http
REVERB_APP_MAX_CONNECTIONS=null
REVERB_SCALING_ENABLED=(false)
VITE_REVERB_APP_KEY="${REVERB_APP_KEY}"
VITE_REVERB_HOST="${REVERB_HOST}"
"#;
    assert_eq!(Case::new().file(".env", env).problems(Roles::WORKER), [""; 0]);
    let outcome = Case::new().file(".env", env).load(Roles::BROADCAST);
    assert_eq!(winner(&outcome, "redis.password"), (String::new(), "default".to_owned()));
    let settings = outcome.settings.unwrap();
    assert_eq!(settings.warnings, [""; 0]);
    assert_eq!(settings.apps[0].0.id, "123456");
    assert_eq!(settings.process.public_port.map(|port| port.get::<u16>()), Some(8080));
    assert_eq!(settings.process.public_host.as_ref().map(|host| host.0.as_str()), Some("localhost"));
}

#[test]
fn the_service_variables_of_kubernetes_change_nothing() {
    let case = Case::new().file(".env", APP);
    let case =
        case.var("REVERB_PORT", "tcp://10.0.0.1:8080").var("REVERB_SERVER_PORT", "tcp://10.0.0.1:8080");
    let case = case.var("GEMA_SERVICE_HOST", "10.0.0.1").var("GEMA_PORT_8080_TCP_ADDR", "10.0.0.1");
    let settings = case.load(Roles::SERVE).settings.unwrap();
    assert_eq!(settings.process.server_port.get::<u16>(), 8080);
    assert!(settings.process.public_port.is_none());
    assert_eq!(settings.warnings, [""; 0]);
}

#[test]
fn without_an_app_only_migrate_works() {
    for role in [Roles::BROADCAST, Roles::ATTENDANCE, Roles::WORKER, Roles::SERVE] {
        let problems = Case::new().problems(role);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].contains("gema init"), "{problems:?}");
    }
    assert_eq!(Case::new().problems(Roles::MIGRATE), [""; 0]);
}

#[test]
fn half_an_app_is_an_error_that_names_the_other_half() {
    let problems = Case::new().file(".env", "REVERB_APP_ID=1\nREVERB_APP_KEY=k").problems(Roles::SERVE);
    assert_eq!(problems, ["REVERB_APP_SECRET must be set, too, for the app to work"]);
    let problems = Case::new().file("gema.toml", "[[apps]]\nid = 1").problems(Roles::SERVE);
    assert_eq!(problems, ["apps[0].key and apps[0].secret must be set, too, for the app to work"]);
}

#[test]
fn apps_of_the_file_join_the_one_of_the_environment_and_share_its_limits() {
    let toml = "[app]\nmax_connections = 5\n[[apps]]\nid = 2\nkey = \"k2\"\nsecret = \"s2\"\n\
        [[apps]]\nid = 3\nkey = \"k3\"\nsecret = \"s3\"\nmax_connections = 7\nallowed_origins = [\"a.test\"]\n";
    let settings = Case::new().file(".env", APP).file("gema.toml", toml).load(Roles::SERVE).settings.unwrap();
    let ids: Vec<_> = settings.apps.iter().map(|(app, _)| app.id.as_str()).collect();
    let limits: Vec<_> =
        settings.apps.iter().map(|(_, app)| app.max_connections.unwrap().get::<usize>()).collect();
    assert_eq!((ids, limits), (vec!["1", "2", "3"], vec![5, 5, 7]));
    assert_eq!(settings.apps[2].1.allowed_origins.0, ["a.test"]);
}

#[test]
fn two_apps_may_not_share_an_id_or_a_key() {
    let toml = "[[apps]]\nid = 1\nkey = \"k\"\nsecret = \"other\"\n";
    let problems = Case::new().file(".env", APP).file("gema.toml", toml).problems(Roles::SERVE);
    let expected = [
        "two apps have the id \"1\": give each app its own",
        "two apps have the key \"k\": give each app its own",
    ];
    assert_eq!(problems, expected);
}

#[test]
fn a_secret_is_in_nothing_that_is_printed() {
    let case = || {
        let lines =
            "REDIS_PASSWORD=hush2\nREDIS_URL=redis://:hush3@h\nREVERB_APP_WEBHOOK_URL=http://a:hush4@h/";
        Case::new().file(".env", format!("{APP}{lines}"))
    };
    let outcome = case().load(Roles::SERVE);
    let printed = print(&outcome.rows);
    assert!(printed.contains("app.secret") && printed.contains("***"), "{printed}");
    assert!(!printed.contains("hush"), "{printed}");
    let settings = outcome.settings.unwrap();
    assert!(!format!("{settings:?}").contains("hush"), "{settings:?}");
}

#[test]
fn a_file_that_was_asked_for_must_be_there() {
    let mut case = Case::new();
    case.inputs.config = Some("missing.toml".into());
    case.inputs.env_file = Some("missing.env".into());
    let problems = case.problems(Roles::MIGRATE);
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].starts_with("missing.toml cannot be read: "), "{problems:?}");
    assert!(problems[1].starts_with("missing.env cannot be read: "), "{problems:?}");
}

#[test]
fn the_reference_has_every_setting_once() {
    let page = reference();
    for (setting, key) in all_settings() {
        let row = format!("| `{key}` | `{}` |", setting.env);
        assert_eq!(page.matches(&row).count(), 1, "{row}");
    }
    assert!(NEEDLESS.iter().all(|needless| page.contains(needless.env)));
}

#[test]
fn names_are_declared_once() {
    let count = |names: Vec<String>| {
        names.into_iter().fold(BTreeMap::new(), |mut seen, name| {
            *seen.entry(name).or_insert(0) += 1;
            seen
        })
    };
    let twice = |names| count(names).into_iter().filter(|(_, times)| *times > 1).collect::<Vec<_>>();
    assert_eq!(twice(variables().map(str::to_owned).collect()), []);
    assert_eq!(twice(process_keys().collect()), []);
}

#[test]
fn needless_variables_are_told_only_where_it_matters() {
    let case = Case::new().file(".env", format!("{APP}REDIS_TIMEOUT=5\nREVERB_SERVER=reverb"));
    let settings = case.load(Roles::BROADCAST).settings.unwrap();
    assert_eq!(
        settings.notices,
        ["REDIS_TIMEOUT (.env:4) changes nothing: Gema reconnects to Redis for ever"]
    );
    assert_eq!(settings.warnings, [""; 0]);
}

#[test]
fn who_lets_everybody_send_client_events_is_warned() {
    let toml = "[[apps]]\nid = 2\nkey = \"k2\"\nsecret = \"s2\"\naccept_client_events_from = \"all\"\n";
    let case = || Case::new().file(".env", APP).file("gema.toml", toml);
    let warnings = case().load(Roles::BROADCAST).settings.unwrap().warnings;
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].starts_with("app 2: accept_client_events_from is all"), "{warnings:?}");
    assert_eq!(case().load(Roles::WORKER).settings.unwrap().warnings, [""; 0]);
}

/// The URLs of the endpoints, each with its app.
fn endpoints(case: Case) -> Vec<(String, String)> {
    let settings = case.load(Roles::BROADCAST).settings.unwrap();
    let url = |webhook: &Webhook| webhook.url.as_ref().unwrap().to_string();
    settings.webhooks.iter().map(|(app, webhook)| (app.clone(), url(webhook))).collect()
}

#[test]
fn each_app_has_its_own_endpoints() {
    let toml = "[app.webhook]\nurl = \"http://toml/\"\n[[app.webhooks]]\nurl = \"http://a/\"\nbatching = false\n\
        [[app.webhooks]]\nurl = \"http://b/\"\nevents = [\"cache_miss\"]\nchannel_prefix = \"cache-x\"\n\
        [[apps]]\nid = 2\nkey = \"k2\"\nsecret = \"s2\"\nwebhook.url = \"http://c/\"\n\
        [[apps.webhooks]]\nurl = \"http://d/\"\n[[apps]]\nid = 3\nkey = \"k3\"\nsecret = \"s3\"\n";
    let case = || Case::new().file(".env", APP).file("gema.toml", toml);
    let pairs = |first: &str| {
        let all =
            [("1", first), ("1", "http://a/"), ("1", "http://b/"), ("2", "http://c/"), ("2", "http://d/")];
        all.map(|(app, url)| (app.to_owned(), url.to_owned())).to_vec()
    };
    assert_eq!(endpoints(case()), pairs("http://toml/"));
    assert_eq!(endpoints(case().var("REVERB_APP_WEBHOOK_URL", "http://env/")), pairs("http://env/"));
    let settings = case().load(Roles::BROADCAST).settings.unwrap();
    let (_, first) = &settings.webhooks[1];
    assert!(!first.batching && first.events.is_none() && first.channel_prefix.is_none());
    let (_, second) = &settings.webhooks[2];
    assert_eq!(second.events.as_ref().unwrap().0, ["cache_miss"]);
    assert_eq!((second.batching, second.channel_prefix.as_deref()), (true, Some("cache-x")));
    let row = winner(&case().load(Roles::BROADCAST), "app.webhooks[1].channel_prefix");
    assert_eq!(row, ("cache-x".to_owned(), "gema.toml:9".to_owned()));
}

#[test]
fn without_an_address_there_is_no_endpoint() {
    for unset in ["", "null"] {
        let case = Case::new().file(".env", APP).var("REVERB_APP_WEBHOOK_URL", unset);
        assert_eq!(endpoints(case.var("REVERB_APP_WEBHOOK_EVENTS", "cache_miss")), []);
    }
}

#[test]
fn what_is_wrong_about_an_endpoint_is_named() {
    let variables = [
        (
            "REVERB_APP_WEBHOOK_URL",
            "ftp://hush/",
            "REVERB_APP_WEBHOOK_URL (environment) is not valid; it must be an address that begins with http:// or \
             https://",
        ),
        (
            "REVERB_APP_WEBHOOK_EVENTS",
            "cache_miss, chanel_ocupied",
            "REVERB_APP_WEBHOOK_EVENTS (environment): there is no event \"chanel_ocupied\"; did you mean \
             channel_occupied?",
        ),
    ];
    for (name, value, sentence) in variables {
        let case = || Case::new().file(".env", APP).var(name, value);
        assert_eq!(case().problems(Roles::BROADCAST), [sentence]);
        assert_eq!(case().problems(Roles::ATTENDANCE), [""; 0]);
    }
    let files = [
        (
            "[[app.webhooks]]\nevents = \"member_aded\"\nurl = \"http://a\"",
            "app.webhooks[0].events (gema.toml:2): there is no event \"member_aded\"; did you mean member_added?",
        ),
        ("[[app.webhooks]]\nbatching = true", "gema.toml:1: app.webhooks[0].url must be set"),
        (
            "[[apps]]\n[[apps.webhooks]]\nurl = \"http://a\"\n[[apps.webhooks]]\nurl = \"http://a\"\nevent = \"\"",
            "gema.toml:6: webhooks[1].event is not a setting; did you mean webhooks[1].events?",
        ),
        ("[app]\nwebhooks = 1", "gema.toml:2: app.webhooks is not a setting; did you mean app.webhook.url?"),
    ];
    for (toml, sentence) in files {
        let case = Case::new().file(".env", APP).file("gema.toml", toml);
        assert_eq!(case.problems(Roles::BROADCAST), [sentence], "{toml}");
    }
}
