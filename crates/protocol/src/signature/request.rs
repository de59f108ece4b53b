//! Signatures of HTTP API requests: over method, path and all query parameters but the signature itself. The body is
//! covered by its digest among the parameters. Why a signature does not match is worked out in [`super::difference`].

use md5::{Digest, Md5};
use subtle::ConstantTimeEq;

use super::difference::{BodyDifference, Mismatch};
use super::query::Query;
use super::{from_hex, hex, hmac, hmac_hex, is_signature};
use crate::app::Credentials;

/// What a signature covers, as it came off the wire.
#[derive(Debug, Clone, Copy)]
pub struct RequestParts<'a> {
    /// In upper case: `GET`, `POST`.
    pub method: &'a str,
    /// Still percent-encoded, from `/apps/` on: no SDK signs the server's own path prefix.
    pub path: &'a str,
    /// Still encoded, without the `?`.
    pub query: &'a str,
    /// All of it, unread.
    pub body: &'a [u8],
}

/// A request without its body: enough to verify the signature, so that no stranger's body need be read.
#[derive(Debug, Clone, Copy)]
pub struct RequestHead<'a> {
    /// As of [`RequestParts`].
    pub method: &'a str,
    /// The server's own path prefix, such as `/ws`; empty if it has none. Clients of soketi sign it.
    pub prefix: &'a str,
    /// As of [`RequestParts`].
    pub path: &'a str,
    /// As of [`RequestParts`].
    pub query: &'a str,
    /// Whether a body is known to follow.
    pub has_body: bool,
}

/// Why a request was not accepted; always 401. The texts help an integrator and hold neither secret nor signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestAuthError {
    /// A parameter that every request needs is absent.
    #[error("the query parameter {0} is missing")]
    Missing(&'static str),
    /// `auth_key` belongs to another app.
    #[error("auth_key is not the key of this app")]
    OtherKey,
    /// `auth_key` belongs to no app, and the path names none.
    #[error("auth_key is not the key of any app")]
    UnknownKey,
    /// `auth_key` is right but for white space, as a careless copy of it has.
    #[error("auth_key is the key of this app with white space around it")]
    PaddedKey,
    /// `auth_version` is not `1.0`.
    #[error("auth_version must be 1.0")]
    Version,
    /// `auth_timestamp` is no number.
    #[error("auth_timestamp must be a number of seconds since 1970")]
    TimestampFormat,
    /// `auth_timestamp` would be right as milliseconds.
    #[error("auth_timestamp is in milliseconds, it must be in seconds since 1970")]
    Milliseconds,
    /// The clocks of the two hosts are too far apart, or the request is a replay. All in seconds since 1970.
    #[error("auth_timestamp is {theirs}, this server's clock says {ours}: they may differ by {window} s")]
    Clock {
        /// What the request says.
        theirs: u64,
        /// What our clock says.
        ours: u64,
        /// Seconds they may differ by.
        window: u64,
    },
    /// There is a body, and nothing in the query that covers it.
    #[error("the query parameter body_md5 is missing, it must cover the body")]
    BodyMd5Missing,
    /// `body_md5` is not the lower-case hex MD5 of the body.
    #[error("body_md5 is not the MD5 of the body in lower-case hex: {0}")]
    BodyMd5Mismatch(BodyDifference),
    /// Another secret, or another text than ours was signed.
    #[error("auth_signature does not match: {0}")]
    Mismatch(Box<Mismatch>),
}

/// Was this request signed by the app, just now? `window_s` is how far the clocks may be apart, in either direction.
///
/// # Errors
/// See [`RequestAuthError`].
pub fn verify_request(
    app: &Credentials,
    request: &RequestParts<'_>,
    now_unix_s: u64,
    window_s: u64,
) -> Result<(), RequestAuthError> {
    let RequestParts { method, path, query: raw, body } = *request;
    let query = Query::parse(raw);
    let head = RequestHead { method, prefix: "", path, query: raw, has_body: !body.is_empty() };
    verify_head(app, &head, &query, now_unix_s, window_s)?;
    verify_body(&query, body)
}

/// [`verify_request`] before the body is read. `query` is `head.query`, parsed.
///
/// # Errors
/// See [`RequestAuthError`].
pub fn verify_head(
    app: &Credentials,
    head: &RequestHead<'_>,
    query: &Query<'_>,
    now_unix_s: u64,
    window_s: u64,
) -> Result<(), RequestAuthError> {
    check_key(query.require("auth_key")?, &app.key)?;
    if query.require("auth_version")? != "1.0" {
        return Err(RequestAuthError::Version);
    }
    check_clock(query.require("auth_timestamp")?, now_unix_s, window_s)?;
    let signature = query.require("auth_signature")?;
    require_digest(query, head.has_body)?;
    let matches = |path: &str| {
        let text = string_to_sign(head.method, path, query.signed());
        is_signature(hmac(&app.secret, [text.as_bytes()]), signature)
    };
    // An intermediary may have encoded the path further; clients sign it plain. Those of soketi sign its prefix, too.
    let plain = percent_encoding::percent_decode_str(head.path).decode_utf8_lossy();
    let whole = || [head.prefix, head.path].concat();
    if matches(head.path)
        || (plain != head.path && matches(&plain))
        || (!head.prefix.is_empty() && matches(&whole()))
    {
        return Ok(());
    }
    Err(RequestAuthError::Mismatch(Box::new(Mismatch::explain(app, head, query, signature))))
}

/// Is `body_md5` the digest of the body? An empty body needs none, but the Python SDK sends one on every GET, and then it
/// counts.
///
/// # Errors
/// [`RequestAuthError::BodyMd5Missing`] and [`RequestAuthError::BodyMd5Mismatch`].
pub fn verify_body(query: &Query<'_>, body: &[u8]) -> Result<(), RequestAuthError> {
    require_digest(query, !body.is_empty())?;
    let Some(digest) = query.get("body_md5") else { return Ok(()) };
    let ours: [u8; 16] = Md5::digest(body).into();
    let same = from_hex::<16>(digest).is_some_and(|theirs| theirs.ct_eq(&ours).into());
    if same { Ok(()) } else { Err(RequestAuthError::BodyMd5Mismatch(BodyDifference::explain(digest, body))) }
}

/// A body must be covered by the signature.
fn require_digest(query: &Query<'_>, has_body: bool) -> Result<(), RequestAuthError> {
    if has_body && query.get("body_md5").is_none() { Err(RequestAuthError::BodyMd5Missing) } else { Ok(()) }
}

fn check_key(theirs: &str, ours: &str) -> Result<(), RequestAuthError> {
    if theirs == ours {
        Ok(())
    } else if theirs.trim() == ours {
        Err(RequestAuthError::PaddedKey)
    } else {
        Err(RequestAuthError::OtherKey)
    }
}

fn check_clock(timestamp: &str, ours: u64, window: u64) -> Result<(), RequestAuthError> {
    let theirs: u64 = timestamp.parse().map_err(|_| RequestAuthError::TimestampFormat)?;
    if ours.abs_diff(theirs) <= window {
        Ok(())
    } else if ours.abs_diff(theirs / 1000) <= window {
        Err(RequestAuthError::Milliseconds)
    } else {
        Err(RequestAuthError::Clock { theirs, ours, window })
    }
}

/// The text that a signature covers: three lines, the last with every parameter but the signature, sorted by name.
#[must_use]
pub fn canonical_text(method: &str, path: &str, query: &Query<'_>) -> String {
    string_to_sign(method, path, query.signed())
}

pub(super) fn string_to_sign<'a>(
    method: &str,
    path: &str,
    params: impl Iterator<Item = (&'a str, &'a str)>,
) -> String {
    let mut text = format!("{method}\n{path}\n");
    for (index, (name, value)) in params.enumerate() {
        if index > 0 {
            text.push('&');
        }
        text.extend([name, "=", value]);
    }
    text
}

/// The whole query string of a signed request, as the official SDKs make it: digest of the body if there is one, values
/// signed plain and sent encoded. `path` starts at `/apps/`; `extra_params` are names in lower case and plain values.
#[expect(
    clippy::too_many_arguments,
    reason = "each is one part of what is signed; a struct would only rename them"
)]
#[must_use]
pub fn sign_request(
    app: &Credentials,
    method: &str,
    path: &str,
    extra_params: &[(&str, &str)],
    body: &[u8],
    unix_seconds: u64,
) -> String {
    let timestamp = unix_seconds.to_string();
    let digest = hex(&Md5::digest(body));
    let mut params =
        vec![("auth_key", app.key.as_str()), ("auth_timestamp", &timestamp), ("auth_version", "1.0")];
    if !body.is_empty() {
        params.push(("body_md5", &digest));
    }
    params.extend_from_slice(extra_params);
    params.sort_unstable();

    let text = string_to_sign(method, path, params.iter().copied());
    let signature = hmac_hex(&app.secret, [text.as_bytes()]);
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(params)
        .append_pair("auth_signature", &signature)
        .finish()
}

#[cfg(test)]
mod tests;
