//! `gema sign`: the text that is signed, the signature, and what to send, for whoever writes a client by hand.

use std::io::Read as _;
use std::time::{SystemTime, UNIX_EPOCH};

use gema_protocol::app::Credentials;
use gema_protocol::signature::{Query, canonical_text, sign_channel, sign_request, sign_user};

use super::config::write;
use crate::cli::{Request, Signing, Subject};
use crate::failure::{Ended, Failure};
use crate::settings::{self, App, Inputs, Roles, Settings};

/// Prints each step of a signature.
pub(crate) fn run(inputs: Inputs, signing: &Signing) -> Ended {
    let settings = settings::load(inputs, Roles::BROADCAST)?.settings?;
    let page = match &signing.subject {
        Subject::Request(request) => of_request(&settings, signing, request)?,
        Subject::Channel { socket_id, channel, data } => {
            let app = app(&settings, signing.app.as_deref())?;
            let auth = sign_channel(app, socket_id, channel, data.as_deref());
            of_auth(&channel_text(socket_id, channel, data.as_deref()), &auth)
        }
        Subject::User { socket_id, data } => {
            let app = app(&settings, signing.app.as_deref())?;
            of_auth(&user_text(socket_id, data), &sign_user(app, socket_id, data))
        }
    };
    write(&page)
}

fn of_auth(text: &str, auth: &str) -> String {
    format!("text to sign:\n{text}\n\nauth:\n{auth}\n")
}

fn of_request(settings: &Settings, signing: &Signing, request: &Request) -> Result<String, Failure> {
    let prefix = &settings.process.server_path.0;
    let (path, in_path) = request.target.split_once('?').unwrap_or((&request.target, ""));
    let path = below(prefix, path);
    let app = app(settings, signing.app.as_deref().or_else(|| app_id(path)))?;
    let raw = query(in_path, &request.params)?;
    let params = Query::parse(&raw);
    let params: Vec<_> = params.iter().collect();
    let body = body(request)?;
    let signed = sign_request(app, &request.method, path, &params, &body, present(request));
    let parsed = Query::parse(&signed);
    let text = canonical_text(&request.method, path, &parsed);
    let signature = parsed.get("auth_signature").unwrap_or_default();
    Ok(format!(
        "text to sign:\n{text}\n\nauth_signature:\n{signature}\n\nrequest:\n{} {prefix}{path}?{signed}\n",
        request.method
    ))
}

/// The parameters of a path and of `--param`, as one query string.
fn query(in_path: &str, given: &[String]) -> Result<String, Failure> {
    let mut query = in_path.to_owned();
    for param in given {
        let Some((name, value)) = param.split_once('=') else {
            return Err(format!("--param {param:?} has no value: write it as NAME=VALUE").into());
        };
        let pair: String = [name, value].map(escaped).join("=");
        query.push('&');
        query.push_str(&pair);
    }
    let ours = |name: &str| name.starts_with("auth_") || name == "body_md5";
    let found = Query::parse(&query).iter().find(|(name, _)| ours(name)).map(|(name, _)| name.to_owned());
    match found {
        Some(name) => Err(format!("{name} is added by `gema sign`: leave it out").into()),
        None => Ok(query),
    }
}

/// Every byte escaped that could mean something in a query string.
fn escaped(text: &str) -> String {
    let escape = |byte: u8| {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(escape).collect()
}

/// What a subscription signs.
pub(super) fn channel_text(socket_id: &str, channel: &str, data: Option<&str>) -> String {
    [socket_id, channel].into_iter().chain(data).collect::<Vec<_>>().join(":")
}

/// What a sign-in signs.
pub(super) fn user_text(socket_id: &str, data: &str) -> String {
    format!("{socket_id}::user::{data}")
}

/// The path as it is signed: without the server's own prefix.
pub(super) fn below<'a>(prefix: &str, path: &'a str) -> &'a str {
    path.strip_prefix(prefix).filter(|rest| rest.starts_with('/')).unwrap_or(path)
}

/// The app that a path names.
pub(super) fn app_id(path: &str) -> Option<&str> {
    path.strip_prefix("/apps/")?.split('/').next()
}

/// The app with this id or key, or the first one.
pub(super) fn app<'a>(settings: &'a Settings, wanted: Option<&str>) -> Result<&'a Credentials, Failure> {
    app_settings(settings, wanted).map(|(app, _)| app)
}

/// As [`app`], with its settings.
pub(super) fn app_settings<'a>(
    settings: &'a Settings,
    wanted: Option<&str>,
) -> Result<&'a (Credentials, App), Failure> {
    let is_wanted = |app: &Credentials| wanted.is_none_or(|wanted| app.id == wanted || app.key == wanted);
    settings.apps.iter().find(|(app, _)| is_wanted(app)).ok_or_else(|| {
        let known = settings.apps.iter().map(|(app, _)| app.id.as_str()).collect::<Vec<_>>().join(", ");
        format!(
            "no app has the id or key {:?}; the settings have the apps {known}",
            wanted.unwrap_or_default()
        )
        .into()
    })
}

/// The body, from wherever it is to be taken.
pub(super) fn body(request: &Request) -> Result<Vec<u8>, Failure> {
    let Some(path) = &request.body_file else {
        return Ok(request.body.clone().unwrap_or_default().into_bytes());
    };
    let mut body = Vec::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().read_to_end(&mut body).map(|_| body)
    } else {
        std::fs::read(path)
    };
    read.map_err(|error| format!("{} cannot be read: {error}", path.display()).into())
}

/// Seconds since 1970, as asked for or by the clock.
pub(super) fn present(request: &Request) -> u64 {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    request.at.unwrap_or_else(now)
}
