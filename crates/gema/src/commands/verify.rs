//! `gema verify`: is a signature right, and if not, which part of it differs.

use gema_protocol::app::{Credentials, Secret};
use gema_protocol::signature::{
    ChannelAuthError, Query, RequestAuthError, RequestHead, canonical_text, verify_body, verify_channel,
    verify_head, verify_user,
};

use super::config::write;
use super::sign::{app, app_id, app_settings, below, body, channel_text, present, user_text};
use crate::cli::{Request, Signing, Subject};
use crate::failure::{Ended, Failure};
use crate::settings::{self, Inputs, Roles, Settings};
use crate::wiring;

/// Prints what the server signs; ends with status 1 and the reason if that is not what was signed.
pub(crate) fn run(inputs: Inputs, signing: &Signing) -> Ended {
    let settings = settings::load(inputs, Roles::BROADCAST)?.settings?;
    let auth = signing.auth.as_deref().unwrap_or_default();
    match &signing.subject {
        Subject::Request(request) => of_request(&settings, signing, request)?,
        Subject::Channel { socket_id, channel, data } => {
            let app = app(&settings, signing.app.as_deref())?;
            show(&channel_text(socket_id, channel, data.as_deref()))?;
            of_channel(app, socket_id, channel, data.as_deref(), auth)?;
        }
        Subject::User { socket_id, data } => {
            let app = app(&settings, signing.app.as_deref())?;
            show(&user_text(socket_id, data))?;
            of_user(app, socket_id, data, auth)?;
        }
    }
    write("the signature is right\n")
}

fn show(text: &str) -> Ended {
    write(&format!("text to sign:\n{text}\n\n"))
}

fn of_request(settings: &Settings, signing: &Signing, request: &Request) -> Ended {
    let (path, raw) = target(&request.target);
    let prefix = &settings.process.server_path.0;
    let path = below(prefix, path);
    let query = Query::parse(raw);
    let named = signing.app.as_deref().or_else(|| app_id(path)).or_else(|| query.get("auth_key"));
    let (credentials, app) = app_settings(settings, named)?;
    let body = body(request)?;
    show(&canonical_text(&request.method, path, &query))?;

    let head = RequestHead { method: &request.method, prefix, path, query: raw, has_body: !body.is_empty() };
    let window = wiring::limits(app, &settings.process).signature_window_s;
    let judge = |now| {
        verify_head(credentials, &head, &query, now, window)?;
        verify_body(&query, &body)
    };
    match judge(present(request)) {
        Ok(()) => Ok(()),
        // The clock is not all that may be wrong with an old request.
        Err(late @ RequestAuthError::Clock { theirs, .. }) => {
            let rest = judge(theirs).map_or_else(
                |error| error.to_string(),
                |()| "at that time the signature was right".to_owned(),
            );
            Err(vec![late.to_string(), rest].into())
        }
        Err(error) => Err(error.to_string().into()),
    }
}

/// Path and query of an address, whether or not it begins with scheme and host.
fn target(address: &str) -> (&str, &str) {
    let address = address.split('#').next().unwrap_or_default();
    let path = match address.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("", |at| &rest[at..]),
        None => address,
    };
    path.split_once('?').unwrap_or((path, ""))
}

fn of_channel(app: &Credentials, socket: &str, channel: &str, data: Option<&str>, auth: &str) -> Ended {
    let verify = |app: &Credentials, data: Option<&str>, auth: &str| {
        verify_channel(app, socket, channel, data, auth).is_ok()
    };
    let Err(error) = verify_channel(app, socket, channel, data, auth) else { return Ok(()) };
    let tries = [
        ("it was signed without channel_data", data.is_some() && verify(app, None, auth)),
        ("it was signed with an empty channel_data", data.is_none() && verify(app, Some(""), auth)),
        ("it is a signature of a sign-in", verify_user(app, socket, data.unwrap_or_default(), auth).is_ok()),
        ("its digits are in upper case", verify(app, data, &lower(auth))),
        ("it was signed with the app's key in place of its secret", verify(&key_as_secret(app), data, auth)),
        (
            "it is of the socket and the channel in reverse order",
            verify_channel(app, channel, socket, data, auth).is_ok(),
        ),
    ];
    Err(reason(error, &tries))
}

fn of_user(app: &Credentials, socket: &str, data: &str, auth: &str) -> Ended {
    let verify = |app: &Credentials, auth: &str| verify_user(app, socket, data, auth).is_ok();
    let Err(error) = verify_user(app, socket, data, auth) else { return Ok(()) };
    let single_colons = verify_channel(app, socket, "user", Some(data), auth).is_ok();
    let tries = [
        ("the colons around `user` must be doubled", single_colons),
        ("its digits are in upper case", verify(app, &lower(auth))),
        ("it was signed with the app's key in place of its secret", verify(&key_as_secret(app), auth)),
    ];
    Err(reason(error, &tries))
}

/// The signature in lower case; the key stays.
fn lower(auth: &str) -> String {
    auth.rsplit_once(':')
        .map_or_else(String::new, |(key, digits)| format!("{key}:{}", digits.to_ascii_lowercase()))
}

fn key_as_secret(app: &Credentials) -> Credentials {
    Credentials { secret: Secret::new(app.key.clone()), ..app.clone() }
}

fn reason(error: ChannelAuthError, tries: &[(&str, bool)]) -> Failure {
    let found = tries.iter().find(|(_, fits)| *fits && error == ChannelAuthError::Mismatch);
    let unknown = "another secret, or another text than the one above was signed";
    let detail = match (error, found) {
        (ChannelAuthError::Mismatch, None) => format!(": {unknown}"),
        (_, Some((what, _))) => format!(": {what}"),
        (ChannelAuthError::Malformed | ChannelAuthError::OtherKey, None) => String::new(),
    };
    format!("{error}{detail}").into()
}
