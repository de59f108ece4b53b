//! Signatures of HTTP API requests: over method, path and all query parameters but the signature itself.

use std::borrow::Cow;

use md5::{Digest, Md5};
use subtle::ConstantTimeEq;

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

/// Decoded query parameters: names in lower case, sorted, each once. The same view is signed and used by handlers, so
/// nothing can mean one thing to the signature and another to the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    /// Form-decodes `raw` (`%XX`, and `+` for a space). `k[]=a&k[]=b` and `k[0]=a&k[1]=b` become `k=a,b`, which is what
    /// the PHP SDK signs; of a name that repeats otherwise the last value stays.
    #[must_use]
    pub fn parse(raw: &'a str) -> Self {
        let mut params: Vec<(Cow<'a, str>, Cow<'a, str>, bool)> = Vec::new();
        for (name, value) in form_urlencoded::parse(raw.as_bytes()) {
            let (name, is_item) = unfold(name);
            match params.iter_mut().find(|(known, ..)| *known == name) {
                Some((_, all, true)) if is_item => {
                    let all = all.to_mut();
                    all.push(',');
                    all.push_str(&value);
                }
                Some(known) => *known = (name, value, is_item),
                None => params.push((name, value, is_item)),
            }
        }
        let mut params: Vec<_> = params.into_iter().map(|(name, value, _)| (name, value)).collect();
        params.sort_unstable();
        Self(params)
    }

    /// The value of a parameter; `name` in lower case, without brackets.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// All parameters, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    fn require(&self, name: &'static str) -> Result<&str, RequestAuthError> {
        self.get(name).ok_or(RequestAuthError::Missing(name))
    }

    /// Every parameter but the signature.
    fn signed(&self) -> impl Iterator<Item = (&str, &str)> {
        self.iter().filter(|(name, _)| *name != "auth_signature")
    }
}

/// Lower-cases a name and takes the brackets of an array item (`k[]`, `k[7]`) off it.
fn unfold(mut name: Cow<'_, str>) -> (Cow<'_, str>, bool) {
    if name.bytes().any(|b| b.is_ascii_uppercase()) {
        name.to_mut().make_ascii_lowercase();
    }
    let index = name.strip_suffix(']').and_then(|rest| rest.rsplit_once('['));
    match index {
        Some((array, digits)) if !array.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
            let length = array.len();
            let array = match name {
                Cow::Borrowed(name) => Cow::Borrowed(&name[..length]),
                Cow::Owned(mut name) => {
                    name.truncate(length);
                    Cow::Owned(name)
                }
            };
            (array, true)
        }
        _ => (name, false),
    }
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
    /// `auth_version` is not `1.0`.
    #[error("auth_version must be 1.0")]
    Version,
    /// `auth_timestamp` is no number.
    #[error("auth_timestamp must be a number of seconds since 1970")]
    TimestampFormat,
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
    #[error("body_md5 is not the MD5 of the body in lower-case hex")]
    BodyMd5Mismatch,
    /// Another secret, or another string than the one named here was signed.
    #[error(
        "auth_signature does not match; this server signed the lines {method}, {path} and the parameters {parameters}"
    )]
    Mismatch {
        /// The first line.
        method: String,
        /// The second line.
        path: String,
        /// The names of the parameters in the third line, in their order.
        parameters: String,
    },
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
    verify_query(app, request, &Query::parse(request.query), now_unix_s, window_s)
}

/// [`verify_request`] for a caller that has parsed `request.query` already.
///
/// # Errors
/// See [`RequestAuthError`].
pub fn verify_query(
    app: &Credentials,
    request: &RequestParts<'_>,
    query: &Query<'_>,
    now_unix_s: u64,
    window_s: u64,
) -> Result<(), RequestAuthError> {
    if query.require("auth_key")? != app.key {
        return Err(RequestAuthError::OtherKey);
    }
    if query.require("auth_version")? != "1.0" {
        return Err(RequestAuthError::Version);
    }
    check_clock(query.require("auth_timestamp")?, now_unix_s, window_s)?;
    let signature = query.require("auth_signature")?;
    check_body(query.get("body_md5"), request.body)?;

    // An intermediary may have encoded the path further; clients sign it plain.
    let plain = percent_encoding::percent_decode_str(request.path).decode_utf8_lossy();
    let matches = |path: &str| {
        let text = string_to_sign(request.method, path, query.signed());
        is_signature(hmac(&app.secret, [text.as_bytes()]), signature)
    };
    if matches(request.path) || (plain != request.path && matches(&plain)) {
        return Ok(());
    }
    Err(RequestAuthError::Mismatch {
        method: request.method.to_owned(),
        path: request.path.to_owned(),
        parameters: query
            .signed()
            .map(|(name, _)| name.escape_debug().to_string())
            .collect::<Vec<_>>()
            .join(", "),
    })
}

fn check_clock(timestamp: &str, ours: u64, window: u64) -> Result<(), RequestAuthError> {
    let theirs = timestamp.parse().map_err(|_| RequestAuthError::TimestampFormat)?;
    if ours.abs_diff(theirs) <= window {
        Ok(())
    } else {
        Err(RequestAuthError::Clock { theirs, ours, window })
    }
}

/// An empty body needs no digest, but the Python SDK sends one on every GET, and then it counts.
fn check_body(digest: Option<&str>, body: &[u8]) -> Result<(), RequestAuthError> {
    let Some(digest) = digest else {
        return if body.is_empty() { Ok(()) } else { Err(RequestAuthError::BodyMd5Missing) };
    };
    let ours: [u8; 16] = Md5::digest(body).into();
    let same = from_hex::<16>(digest).is_some_and(|theirs| theirs.ct_eq(&ours).into());
    if same { Ok(()) } else { Err(RequestAuthError::BodyMd5Mismatch) }
}

fn string_to_sign<'a>(method: &str, path: &str, params: impl Iterator<Item = (&'a str, &'a str)>) -> String {
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
#[path = "request_tests.rs"]
mod tests;
