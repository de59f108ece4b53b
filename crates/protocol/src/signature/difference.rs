//! What a client signed instead: the search that turns "the signature does not match" into a sentence an integrator can
//! act on. Each try changes one thing about the request and asks whether the signature would then be right.
//!
//! A sentence says more than "no" only about a request that somebody with the secret signed, and never shows secret,
//! signature or a parameter's value. Tests are in `difference/tests.rs`; the same for a body is in [`super::body`].

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::query::Query;
use super::request::{RequestHead, string_to_sign};
use super::{from_hex, hmac, is_signature};
use crate::app::{Credentials, Secret};

pub use super::body::BodyDifference;

/// Bytes that one search may hash, each try with [`TRY_BYTES`] more: strangers can ask for a search, too.
const SEARCH_BYTES: usize = 64 * 1024;
/// Parameters that a request may have to be searched at all; honest ones have less than ten.
const SEARCHED_PARAMETERS: usize = 32;
/// What a try costs besides its text.
const TRY_BYTES: usize = 256;
/// Characters of a path or a list of names that a sentence shows.
const SHOWN: usize = 300;
/// What a client hashes where there is no body.
const MD5_OF_NOTHING: &str = "d41d8cd98f00b204e9800998ecf8427e";
/// What stays as it is in a segment of a path and in a value, as `encodeURIComponent` and `rawurlencode` have it.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A signature that is not ours: what we signed, in shape, and what the client seems to have signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The first line, escaped and cut for display like all texts in here.
    pub method: String,
    /// The second line.
    pub path: String,
    /// The names of the parameters in the third line, in their order.
    pub parameters: String,
    /// `None`: another secret, or a text that no single change leads to.
    pub difference: Option<Difference>,
}

impl Mismatch {
    pub(super) fn explain(
        app: &Credentials,
        head: &RequestHead<'_>,
        query: &Query<'_>,
        signature: &str,
    ) -> Self {
        Self {
            method: shown(head.method),
            path: shown(head.path),
            parameters: shown(&query.signed().map(|(name, _)| name).collect::<Vec<_>>().join(", ")),
            difference: Search::new(app, head, query, signature).difference(signature),
        }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, path, parameters, difference } = self;
        if let Some(difference) = difference {
            return difference.fmt(f);
        }
        write!(
            f,
            "the client has another secret than this server, or signed another text; this server signed the lines \
             {method}, {path} and the parameters {parameters}"
        )
    }
}

/// The one thing that differs between what the client signed and what arrived.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Difference {
    /// No signature at all, by its form; how many characters it has.
    #[error("it must be 64 hexadecimal digits in lower case; it has {0} characters, or others than these")]
    Form(usize),
    /// Right but for its case.
    #[error("its digits are right, but in upper case; they must be in lower case")]
    UpperCase,
    /// Another method: a redirect turns POST into GET, a proxy HEAD into GET.
    #[error("the client signed the method {signed}, but {arrived} arrived")]
    Method {
        /// The client's.
        signed: String,
        /// Ours.
        arrived: String,
    },
    /// Another path: a slash, an encoding, a prefix that somebody took off or put on.
    #[error("the client signed the path {signed}, but {arrived} arrived")]
    Path {
        /// The client's.
        signed: String,
        /// Ours.
        arrived: String,
    },
    /// A parameter that the client did not sign.
    #[error(
        "the client did not sign the parameter {0}; it must sign each it sends, unless something on the way added it"
    )]
    Unsigned(String),
    /// Several of them: all that have nothing to do with signing.
    #[error(
        "the client did not sign the parameters {0}; it must sign each it sends, unless something on the way added them"
    )]
    AllUnsigned(String),
    /// `body_md5` arrived but was not signed.
    #[error("the client did not sign body_md5, although it sent it")]
    DigestUnsigned,
    /// `body_md5` of an empty body was signed but did not arrive.
    #[error("the client signed the body_md5 of an empty body, but no body_md5 arrived")]
    DigestLost,
    /// In the order they were sent.
    #[error("the client signed the parameters in the order sent; they must be sorted by name")]
    Unsorted,
    /// Names as written.
    #[error("the client signed names of parameters with capital letters; names must be signed in lower case")]
    NameCase,
    /// Array items one by one.
    #[error(
        "the client signed the items of an array parameter one by one; they must be joined by commas under its name"
    )]
    Items,
    /// Values still escaped.
    #[error("the client signed escaped values of parameters; values must be signed unescaped")]
    Escaped,
    /// The query string as it stands in the address.
    #[error(
        "the client signed the query string as it is; its parameters must be sorted by name and their values unescaped"
    )]
    AsSent,
    /// `&`, `+` or `=` in a value, sent plain.
    #[error("the client sent a value with & or + in it unescaped; it arrived as something else")]
    NotEscaped,
    /// Line ends other than a line feed.
    #[error("the client did not join the three lines by single line feeds")]
    LineEnds,
    /// HMAC with the key.
    #[error("the client signed with the app's key in place of its secret")]
    KeyAsSecret,
    /// HMAC with a badly copied secret.
    #[error("the client's secret is right but for white space or quotes around it")]
    PaddedSecret,
}

/// One search for the difference.
struct Search<'a> {
    app: &'a Credentials,
    head: &'a RequestHead<'a>,
    query: &'a Query<'a>,
    /// In lower case.
    signature: String,
    /// Bytes that may still be hashed; 0 from the first try on that would need more.
    left: Cell<usize>,
}

impl<'a> Search<'a> {
    fn new(app: &'a Credentials, head: &'a RequestHead<'a>, query: &'a Query<'a>, signature: &str) -> Self {
        Self { app, head, query, signature: signature.to_ascii_lowercase(), left: Cell::new(SEARCH_BYTES) }
    }

    fn difference(&self, signature: &str) -> Option<Difference> {
        if from_hex::<32>(signature).is_none() {
            let upper = from_hex::<32>(&self.signature).is_some() && self.signs(&self.ours());
            let form = || Difference::Form(signature.chars().count());
            return Some(if upper { Difference::UpperCase } else { form() });
        }
        if self.query.iter().nth(SEARCHED_PARAMETERS).is_some() {
            return None;
        }
        self.method()
            .or_else(|| self.path())
            .or_else(|| self.spelling())
            .or_else(|| self.unsigned())
            .or_else(|| self.line_ends())
            .or_else(|| self.secret())
    }

    /// The text that this server signs.
    fn ours(&self) -> String {
        string_to_sign(self.head.method, self.head.path, self.query.signed())
    }

    fn signs(&self, text: &str) -> bool {
        self.signs_with(&self.app.secret, text)
    }

    fn signs_with(&self, secret: &Secret, text: &str) -> bool {
        let left = self.left.get().checked_sub(text.len() + TRY_BYTES);
        self.left.set(left.unwrap_or(0));
        left.is_some() && is_signature(hmac(secret, [text.as_bytes()]), &self.signature)
    }

    fn method(&self) -> Option<Difference> {
        let lower = self.head.method.to_ascii_lowercase();
        let methods = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", &lower];
        let signed = methods.into_iter().find(|method| {
            let text = string_to_sign(method, self.head.path, self.query.signed());
            *method != self.head.method && self.signs(&text)
        })?;
        Some(Difference::Method { signed: signed.to_owned(), arrived: shown(self.head.method) })
    }

    fn path(&self) -> Option<Difference> {
        let path = self.head.path;
        let plain = percent_decode_str(path).decode_utf8_lossy();
        let whole = [self.head.prefix, path].concat();
        let mut below_app = path.trim_start_matches("/apps/").splitn(2, '/').skip(1);
        let paths = [
            format!("{path}/"),
            path.trim_end_matches('/').to_owned(),
            format!("/{path}"),
            path.trim_start_matches('/').to_owned(),
            plain.split('/').map(escaped).collect::<Vec<_>>().join("/"),
            format!("/{}", below_app.next().unwrap_or_default()),
            format!("{whole}/"),
            whole.trim_start_matches('/').to_owned(),
        ];
        let signs = |signed: &String| {
            signed != path && self.signs(&string_to_sign(self.head.method, signed, self.query.signed()))
        };
        let signed = paths.into_iter().find(signs)?;
        Some(Difference::Path { signed: shown(&signed), arrived: shown(path) })
    }

    /// The same parameters, joined in another way.
    fn spelling(&self) -> Option<Difference> {
        let raw: Vec<&str> = self.head.query.split('&').filter(|pair| !is_signature_pair(pair)).collect();
        let sent: Vec<_> = form_urlencoded::parse(self.head.query.as_bytes())
            .filter(|(name, _)| !name.eq_ignore_ascii_case("auth_signature"))
            .collect();
        let lowered: Vec<_> =
            sent.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect();
        let escaped: Vec<_> = self.query.signed().map(|(name, value)| (name, escaped(value))).collect();
        let spellings = [
            (Difference::Items, joined(&sorted(lowered.clone()))),
            (Difference::NameCase, joined(&sorted(sent))),
            (Difference::Unsorted, joined(&lowered)),
            (Difference::Escaped, sorted(raw.clone()).join("&")),
            (Difference::Escaped, joined(&escaped)),
            (Difference::AsSent, raw.join("&")),
            (Difference::NotEscaped, percent_decode_str(&raw.join("&")).decode_utf8_lossy().into_owned()),
        ];
        let signs = |(_, params): &(Difference, String)| {
            self.signs(&format!("{}\n{}\n{params}", self.head.method, self.head.path))
        };
        spellings.into_iter().find(signs).map(|(difference, _)| difference)
    }

    /// A parameter more or less.
    fn unsigned(&self) -> Option<Difference> {
        let without = |left_out: &dyn Fn(&str) -> bool| {
            let kept = self.query.signed().filter(|(name, _)| !left_out(name));
            self.signs(&string_to_sign(self.head.method, self.head.path, kept))
        };
        if self.query.get("body_md5").is_some() && without(&|name| name == "body_md5") {
            return Some(Difference::DigestUnsigned);
        }
        let mut with_digest: Vec<_> = self.query.signed().chain([("body_md5", MD5_OF_NOTHING)]).collect();
        with_digest.sort_unstable();
        if self.signs(&string_to_sign(self.head.method, self.head.path, with_digest.into_iter())) {
            return Some(Difference::DigestLost);
        }
        let foreign = |name: &str| !name.starts_with("auth_") && name != "body_md5";
        let names: Vec<_> = self.query.iter().map(|(name, _)| name).filter(|name| foreign(name)).collect();
        if names.len() > 1 && without(&foreign) {
            return Some(Difference::AllUnsigned(shown(&names.join(", "))));
        }
        let added =
            self.query.signed().map(|(name, _)| name).find(|added| without(&|name| name == *added))?;
        Some(Difference::Unsigned(shown(added)))
    }

    fn line_ends(&self) -> Option<Difference> {
        let ours = self.ours();
        let texts = [ours.replace('\n', "\r\n"), ours.replace('\n', "\\n"), ours.clone() + "\n"];
        texts.iter().any(|text| self.signs(text)).then_some(Difference::LineEnds)
    }

    fn secret(&self) -> Option<Difference> {
        let ours = self.ours();
        if self.signs_with(&Secret::new(self.app.key.clone()), &ours) {
            return Some(Difference::KeyAsSecret);
        }
        let secret = self.app.secret.expose();
        let around = [("", "\n"), ("", "\r"), ("", "\r\n"), ("", " "), (" ", ""), ("\"", "\""), ("'", "'")];
        let padded = |(before, after)| Secret::new([before, secret, after].concat());
        let found = around.map(padded).iter().any(|secret| self.signs_with(secret, &ours));
        found.then_some(Difference::PaddedSecret)
    }
}

fn is_signature_pair(pair: &str) -> bool {
    let name = pair.split('=').next().unwrap_or_default();
    pair.is_empty() || name.eq_ignore_ascii_case("auth_signature")
}

fn sorted<T: Ord>(mut params: Vec<T>) -> Vec<T> {
    params.sort();
    params
}

fn joined<K: AsRef<str>, V: AsRef<str>>(params: &[(K, V)]) -> String {
    let pair = |(name, value): &(K, V)| [name.as_ref(), "=", value.as_ref()].concat();
    params.iter().map(pair).collect::<Vec<_>>().join("&")
}

fn escaped(value: &str) -> String {
    utf8_percent_encode(value, ESCAPED).to_string()
}

/// A stranger's text as a sentence may show it: on one line, and not too long.
fn shown(text: &str) -> String {
    let text = text.escape_debug().to_string();
    let cut = text
        .char_indices()
        .nth(SHOWN)
        .map_or(Cow::Borrowed(text.as_str()), |(end, _)| Cow::Owned(format!("{}…", &text[..end])));
    cut.into_owned()
}

#[cfg(test)]
mod tests;
