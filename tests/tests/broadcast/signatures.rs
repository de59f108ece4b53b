//! Requests that somebody with the secret signed, but that arrive otherwise than they were signed: each way to go wrong
//! has its own sentence, and none shows the secret or a right signature.

use std::collections::BTreeMap;

use gema_protocol::app::{Credentials, Secret};
use gema_protocol::signature::{sign_request, sign_webhook};
use gema_tests::{Answer, Gema, Setup, now, request};

const BODY: &[u8] = br#"{"name":"e","channels":["a"],"data":"x"}"#;
const EVENTS: &str = "/apps/424242/events";
const CHANNELS: &str = "/apps/424242/channels";

async fn send(gema: &Gema, method: &str, target: &str, body: &[u8]) -> Answer {
    let answer = request(gema.broadcast, method, target, &[("content-type", "application/json")], body).await;
    assert!(!answer.body.contains(gema.app.secret.expose()), "the secret is in the answer");
    answer
}

/// A query whose signature covers any text: an HMAC is the same whatever it is made for.
fn over(gema: &Gema, text: &str, query: &str) -> String {
    format!("{query}&auth_signature={}", sign_webhook(&gema.app.secret, text.as_bytes()))
}

fn auth() -> String {
    format!("auth_key=testkey0123456789abc&auth_timestamp={}&auth_version=1.0", now())
}

/// What the answers say, each once.
#[derive(Default)]
struct Said(BTreeMap<String, String>);

impl Said {
    /// A 401 with these words, and with a sentence no other case had.
    fn hears(&mut self, case: &str, answer: &Answer, words: &str) {
        assert_eq!(answer.status, 401, "{case}: {}", answer.body);
        assert!(answer.header("content-type").starts_with("text/plain"), "{answer:?}");
        let sentence = answer.body.strip_prefix("Authentication signature invalid. ");
        let sentence = sentence.unwrap_or_else(|| panic!("{case}: {}", answer.body));
        assert!(sentence.contains(words), "{case}: {words:?} is not in: {sentence}");
        let before = self.0.insert(sentence.to_owned(), case.to_owned());
        assert_eq!(before, None, "{case}: {sentence}");
    }
}

/// What is sent as `POST /events`: name of the case, query, body, and words of the refusal.
type Case = (&'static str, String, &'static [u8], &'static str);

/// As [`sign_request`], now.
fn signed(app: &Credentials, method: &str, path: &str, params: &[(&str, &str)], body: &[u8]) -> String {
    sign_request(app, method, path, params, body, now())
}

fn another_request(app: &Credentials) -> Vec<Case> {
    let good = signed(app, "POST", EVENTS, &[("info", "x")], BODY);
    let taken = signed(app, "POST", EVENTS, &[("a", "1"), ("info", "x")], BODY).replace("info=x&", "");
    let nothing = [("body_md5", "d41d8cd98f00b204e9800998ecf8427e")];
    vec![
        ("method", signed(app, "GET", EVENTS, &[], BODY), BODY, "the method GET, but POST"),
        (
            "path",
            signed(app, "POST", "/apps/424242/events/", &[], BODY),
            BODY,
            "the path /apps/424242/events/",
        ),
        ("a parameter added", good.clone() + "&fbclid=1", BODY, "did not sign the parameter fbclid"),
        ("two added", signed(app, "POST", EVENTS, &[], BODY) + "&b=1&a=2", BODY, "the parameters a, b"),
        ("one taken away", taken, BODY, "another secret than this server, or signed another text"),
        ("another body", good.clone(), b"{}", "other bytes than the 2"),
        (
            "a respelled body",
            good.clone(),
            br#"{"name": "e", "channels": ["a"], "data": "x"}"#,
            "written otherwise",
        ),
        ("no body", good, b"", "none arrived"),
        (
            "nothing signed",
            signed(app, "POST", EVENTS, &nothing, b""),
            BODY,
            "hashed an empty body, but 40 bytes",
        ),
        ("no digest", signed(app, "POST", EVENTS, &[], b""), BODY, "body_md5 is missing"),
    ]
}

fn another_signer(app: &Credentials) -> Vec<Case> {
    let with = |secret: String| {
        let app = Credentials { secret: Secret::new(secret), ..app.clone() };
        signed(&app, "POST", EVENTS, &[], BODY)
    };
    let at = |seconds| sign_request(app, "POST", EVENTS, &[], BODY, seconds);
    let (secret, lines) =
        (app.secret.expose(), "the lines POST, /apps/424242/events and the parameters auth_key");
    vec![
        ("another secret", with("another".into()), BODY, lines),
        ("a line end in the secret", with(format!("{secret}\n")), BODY, "white space or quotes"),
        ("the key as secret", with(app.key.clone()), BODY, "key in place of its secret"),
        ("old", at(1), BODY, "this server's clock says"),
        ("milliseconds", at(now() * 1_000), BODY, "in milliseconds"),
    ]
}

fn another_parameter(app: &Credentials) -> Vec<Case> {
    let good = signed(app, "POST", EVENTS, &[], BODY);
    let with = |from, to| good.replace(from, to);
    vec![
        ("another key", with("auth_key=test", "auth_key=tset"), BODY, "not the key of this app"),
        ("a key with a space", with("auth_key=test", "auth_key=+test"), BODY, "white space around it"),
        ("no key", with("auth_key=", "key="), BODY, "auth_key is missing"),
        ("no signature", with("auth_signature=", "signature="), BODY, "auth_signature is missing"),
        ("no time", with("auth_timestamp=", "time="), BODY, "auth_timestamp is missing"),
        ("soon", with("auth_timestamp=1", "auth_timestamp=soon1"), BODY, "must be a number"),
        ("no version", with("auth_version=", "version="), BODY, "auth_version is missing"),
        ("another version", with("version=1.0", "version=2"), BODY, "auth_version must be"),
    ]
}

#[tokio::test]
async fn r_reverb_289_each_tampering_has_its_own_sentence() {
    let gema = Setup::broadcast().start().await;
    let app = &gema.app;
    let mut said = Said::default();
    for (case, query, body, words) in
        [another_request(app), another_signer(app), another_parameter(app)].concat()
    {
        let answer = send(&gema, "POST", &format!("{EVENTS}?{query}"), body).await;
        said.hears(case, &answer, words);
    }
    let good = signed(app, "POST", EVENTS, &[], BODY);
    assert_eq!(send(&gema, "POST", &format!("{EVENTS}?{good}"), BODY).await.status, 200);
    assert!(send(&gema, "POST", EVENTS, BODY).await.body.ends_with("auth_key is missing"));
}

#[tokio::test]
async fn escaped_values_and_strange_line_ends_are_named() {
    let gema = Setup::broadcast().start().await;
    let (plain, mut said) = (auth(), Said::default());
    let query = format!("{plain}&info=a%2Cb");
    let query = over(&gema, &format!("GET\n{CHANNELS}\n{query}"), &query);
    said.hears(
        "escaped",
        &send(&gema, "GET", &format!("{CHANNELS}?{query}"), b"").await,
        "signed escaped values",
    );
    let query = over(&gema, &format!("GET\r\n{CHANNELS}\r\n{plain}"), &plain);
    said.hears("ends", &send(&gema, "GET", &format!("{CHANNELS}?{query}"), b"").await, "line feeds");
}

#[tokio::test]
async fn r_reverb_289_a_redirect_that_makes_a_get_of_a_post_is_named() {
    let gema = Setup::broadcast().start().await;
    let query = signed(&gema.app, "POST", EVENTS, &[], BODY);
    let answer = send(&gema, "GET", &format!("{EVENTS}?{query}"), b"").await;
    assert_eq!((answer.status, answer.header("allow")), (405, "POST"));
    assert!(
        answer.body.starts_with("Method not allowed.") && answer.body.contains("redirect"),
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn r_reverb_320_the_order_and_the_case_of_parameters_are_named() {
    let gema = Setup::broadcast().start().await;
    let (plain, first) = (auth(), format!("GET\n{CHANNELS}\n"));
    let mut said = Said::default();
    for (query, words) in [
        (format!("info=x&{plain}"), "must be sorted by name"),
        (format!("{plain}&Info=x"), "capital letters"),
        (format!("{plain}&info[0]=x&info[1]=y"), "joined by commas"),
        (format!("info=x%2Cy&{plain}"), "the query string as it is"),
    ] {
        let text =
            if query.contains("Info") { format!("{first}Info=x&{plain}") } else { first.clone() + &query };
        let answer = send(&gema, "GET", &format!("{CHANNELS}?{}", over(&gema, &text, &query)), b"").await;
        said.hears(&query, &answer, words);
    }
    // Sorting is the signer's business alone: parameters may be sent in any order.
    let query = sign_request(&gema.app, "GET", CHANNELS, &[("info", "x")], b"", now());
    let reversed = query.split('&').rev().collect::<Vec<_>>().join("&");
    assert_eq!(send(&gema, "GET", &format!("{CHANNELS}?{reversed}"), b"").await.status, 200);
}

#[tokio::test]
async fn r_reverb_356_368_a_path_prefix_may_be_signed_or_not() {
    let gema = Setup::broadcast().prefix("/ws").start().await;
    let signed = |path: &str| sign_request(&gema.app, "POST", path, &[], BODY, now());
    for path in [EVENTS.to_owned(), format!("/ws{EVENTS}")] {
        let answer = send(&gema, "POST", &format!("/ws{EVENTS}?{}", signed(&path)), BODY).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "{}"), "signed {path}");
    }
    for path in [format!("/ws{EVENTS}/"), format!("//{EVENTS}").replace("///", "//"), "/events".to_owned()] {
        let answer = send(&gema, "POST", &format!("/ws{EVENTS}?{}", signed(&path)), BODY).await;
        let sentence = format!("the client signed the path {path}, but {EVENTS} arrived");
        assert!(answer.status == 401 && answer.body.ends_with(&sentence), "{path}: {}", answer.body);
    }
}

#[tokio::test]
async fn r_lw_34_a_long_body_verifies_and_a_cut_one_is_named() {
    let gema = Setup::broadcast().start().await;
    let event = serde_json::json!({"name": "e", "channel": "a", "data": "é".repeat(5_120)});
    let body = serde_json::json!({"batch": vec![event; 100]}).to_string();
    assert!(body.len() > 1_000_000);
    let api = gema.api();
    let target = api.target("POST", "/batch_events", &[], body.as_bytes());
    let answer = send(&gema, "POST", &target, body.as_bytes()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let cut = &body.as_bytes()[..65_536];
    let answer = send(&gema, "POST", &target, cut).await;
    assert_eq!(answer.status, 401);
    assert!(
        answer.body.ends_with("the client hashed other bytes than the 65536 that arrived"),
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn signatures_and_digests_in_upper_case_or_base64_are_refused_and_named() {
    let gema = Setup::broadcast().start().await;
    let good = gema.api().target("POST", "/events", &[], BODY);
    let (before, digits) = good.rsplit_once('=').expect("a signature at the end");
    let mut said = Said::default();
    let upper = format!("{before}={}", digits.to_ascii_uppercase());
    said.hears("upper", &send(&gema, "POST", &upper, BODY).await, "in upper case");
    let short = format!("{before}={}", &digits[..63]);
    said.hears("short", &send(&gema, "POST", &short, BODY).await, "it has 63 characters");
    let md5 = "D41D8CD98F00B204E9800998ECF8427E";
    let target = gema.api().target("GET", "/channels", &[("body_md5", md5)], b"");
    said.hears("digest", &send(&gema, "GET", &target, b"").await, "in upper case");
    let target = gema.api().target("GET", "/channels", &[("body_md5", "1B2M2Y8AsgTpgAmY7PhCfg==")], b"");
    said.hears("base64", &send(&gema, "GET", &target, b"").await, "it has 24 characters");
}

#[tokio::test]
async fn a_stranger_learns_nothing_and_is_refused_before_the_body_is_read() {
    let gema = Setup::broadcast().start().await;
    let mut raw = gema_tests::Raw::connect(gema.broadcast).await;
    let forged = format!("{EVENTS}?{}&body_md5={}&auth_signature={}", auth(), "0".repeat(32), "0".repeat(64));
    // A body is announced and never sent: only who can sign is waited for.
    raw.send_head("POST", &forged, &["Content-Length: 1000000", "Expect: 100-continue"]).await;
    let answer = raw.answer().await;
    assert_eq!(answer.status, 401, "{}", answer.body);
    assert!(answer.body.contains("another secret"), "{}", answer.body);
}
