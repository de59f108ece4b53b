//! Signatures: what is signed verifies, and no single change of it does.

use gema_protocol::app::{Credentials, Secret};
use gema_protocol::signature::{
    Query, RequestAuthError, RequestParts, sign_channel, sign_request, sign_user, sign_webhook,
    verify_channel, verify_request, verify_user, verify_webhook,
};

use super::query::encoded;
use super::texts;

const NOW: u64 = 1_700_000_000;
const WINDOW: u64 = 600;

/// The first byte chooses the change, six texts follow: secret, method, path, name and value of a parameter, body. The
/// same texts stand for a subscription.
pub(crate) fn check(bytes: &[u8]) {
    let (choice, rest) =
        bytes.split_first().map_or((0, &b""[..]), |(first, rest)| (usize::from(*first), rest));
    let [secret, method, path, name, value, body] = texts(rest);
    let app = Credentials { id: "1".into(), key: "key".into(), secret: Secret::new(secret) };
    let name = format!("x{}_", name.to_ascii_lowercase());
    let request = Request { app: &app, method: &method, path: &path, body: body.as_bytes() };
    request_holds(&request, &[(&name, &value)], choice);
    channel_holds(&app, [&path, &name, &value], choice);
    webhook_holds(&app, body.as_bytes());
}

#[derive(Clone, Copy)]
struct Request<'a> {
    app: &'a Credentials,
    method: &'a str,
    path: &'a str,
    body: &'a [u8],
}

impl Request<'_> {
    fn verified(&self, query: &str, now: u64) -> Result<(), RequestAuthError> {
        let parts = RequestParts { method: self.method, path: self.path, query, body: self.body };
        verify_request(self.app, &parts, now, WINDOW)
    }
}

fn request_holds(request: &Request<'_>, extra: &[(&str, &str)], choice: usize) {
    let Request { app, method, path, body } = *request;
    let query = sign_request(app, method, path, extra, body, NOW);
    for now in [NOW - WINDOW, NOW, NOW + WINDOW] {
        assert_eq!(request.verified(&query, now), Ok(()));
    }
    for now in [0, NOW - WINDOW - 1, NOW + WINDOW + 1, u64::MAX] {
        assert!(matches!(request.verified(&query, now), Err(RequestAuthError::Clock { .. })));
    }

    // One change per input: each refusal is followed by a search for its cause.
    let right = query.rsplit('=').next().unwrap_or_default();
    let fails = |request: Request<'_>, changed: &str| {
        let error = request.verified(changed, NOW).expect_err(changed).to_string();
        assert!(!error.contains(right), "the right signature is told: {error}");
        assert!(error.len() < 4_000 && !error.contains(char::is_control), "{error}");
    };
    let (other_method, other_path) = (format!("{method}x"), format!("{path}x"));
    match choice % 8 {
        0 => fails(Request { method: &other_method, ..*request }, &query),
        1 => fails(Request { path: &other_path, ..*request }, &query),
        2 => fails(Request { body: &[body, b"x"].concat(), ..*request }, &query),
        3 => fails(Request { app: &other_key(app), ..*request }, &query),
        4 => fails(Request { app: &other_secret(app), ..*request }, &query),
        _ => fails(*request, &changed(&Query::parse(&query).iter().collect::<Vec<_>>(), choice / 8)),
    }
}

/// A query that differs in one parameter: longer, renamed, gone, or one more.
fn changed(signed: &[(&str, &str)], choice: usize) -> String {
    let at = choice / 4 % signed.len();
    let (name, value) = signed[at];
    let (longer_name, longer_value) = (format!("{name}x"), format!("{value}x"));
    let other = match choice % 4 {
        0 => Some((name, &*longer_value)),
        1 => Some((&*longer_name, value)),
        2 => None,
        _ => return encoded(signed.iter().copied().chain([("y", "")])),
    };
    encoded(signed[..at].iter().chain(&signed[at + 1..]).copied().chain(other))
}

fn other_key(app: &Credentials) -> Credentials {
    Credentials { key: format!("{}x", app.key), ..app.clone() }
}

fn other_secret(app: &Credentials) -> Credentials {
    Credentials { secret: Secret::new(format!("{}x", app.secret.expose())), ..app.clone() }
}

fn channel_holds(app: &Credentials, [socket, channel, data]: [&str; 3], choice: usize) {
    let socket: String = socket.chars().filter(char::is_ascii_digit).chain("1.1".chars()).collect();
    let channel: String = channel
        .chars()
        .filter(|letter| letter.is_ascii_alphanumeric() || "_-=@,.;".contains(*letter))
        .collect();
    let (longer_socket, longer_channel, longer_data) =
        (format!("{socket}1"), format!("{channel}x"), format!("{data}x"));
    let as_user = sign_user(app, &socket, data);
    assert_eq!(verify_user(app, &socket, data, &as_user), Ok(()));
    assert!(verify_user(app, &longer_socket, data, &as_user).is_err());
    assert!(verify_user(app, &socket, &longer_data, &as_user).is_err());
    let (signed, other_data) = if choice.is_multiple_of(2) { (Some(data), None) } else { (None, Some(data)) };
    let auth = sign_channel(app, &socket, &channel, signed);
    assert_eq!(verify_channel(app, &socket, &channel, signed, &auth), Ok(()));
    assert!(verify_user(app, &socket, data, &auth).is_err(), "a subscription is no sign-in");
    let fails = |app: &Credentials, socket: &str, channel: &str, data: Option<&str>, auth: &str| {
        assert!(verify_channel(app, socket, channel, data, auth).is_err(), "{socket} {channel} {data:?}");
    };
    match choice / 2 % 11 {
        0 => fails(app, &longer_socket, &channel, signed, &auth),
        1 => fails(app, &socket, &longer_channel, signed, &auth),
        2 => fails(app, &socket, &channel, Some(&longer_data), &auth),
        3 => fails(app, &socket, &channel, other_data, &auth),
        4 => fails(&other_key(app), &socket, &channel, signed, &auth),
        5 => fails(&other_secret(app), &socket, &channel, signed, &auth),
        6 => fails(app, &socket, &channel, signed, &as_user),
        7 => fails(app, &socket, &channel, signed, data),
        8 => fails(app, &socket, &channel, signed, &auth.to_uppercase()),
        9 => fails(app, &socket, &channel, signed, &auth[..auth.len() - 1]),
        _ => fails(app, &socket, &channel, signed, &one_other_character(&auth, data.len())),
    }
}

/// The text with another character at some place.
fn one_other_character(text: &str, at: usize) -> String {
    let at = at % text.len();
    let other = if text.as_bytes()[at] == b'0' { "1" } else { "0" };
    [&text[..at], other, &text[at + 1..]].concat()
}

fn webhook_holds(app: &Credentials, body: &[u8]) {
    let signature = sign_webhook(&app.secret, body);
    assert!(verify_webhook(&app.secret, body, &signature));
    assert!(!verify_webhook(&app.secret, &[body, b"x"].concat(), &signature));
    assert!(!verify_webhook(&other_secret(app).secret, body, &signature));
}
