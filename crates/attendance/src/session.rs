//! The browser's session: a random id in an HttpOnly cookie, and the CSRF token derived from it.
//!
//! Only sessions of signed-in people are stored (`store/sessions.rs`); an anonymous one is nothing but its cookie.

use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::proxies::Client;
use crate::secret;

/// What tells one browser from another.
pub(crate) const SESSION_COOKIE: &str = "gema_session";
/// Read by axios and by the dashboard, sent back as `X-XSRF-TOKEN`: Laravel's names.
const CSRF_COOKIE: &str = "XSRF-TOKEN";
/// 30 days. How long a session lasts is decided in the database, whose end moves with each use; a cookie that outlives
/// it is no more than an anonymous visitor's.
const COOKIE_SECONDS: u32 = 30 * 24 * 3600;

/// The id of a browser session. It is a secret: never logged, stored only as its hash.
#[derive(Clone)]
pub(crate) struct SessionId(String);

impl SessionId {
    /// A fresh one. Made at sign-in and sign-out, too, so that an id known to somebody else is worth nothing.
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        secret::random().map(Self)
    }

    /// The one that the browser sent, if it can be one of ours.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Option<Self> {
        cookie(headers, SESSION_COOKIE).filter(|id| secret::is_well_formed(id)).map(|id| Self(id.to_owned()))
    }

    /// Its key in the database.
    pub(crate) fn hash(&self) -> String {
        secret::sha256_hex(&self.0)
    }

    /// The token that proves that a request was made by our own page: nobody who cannot read the cookies of this site
    /// can compute it, and it says nothing about the id.
    pub(crate) fn csrf_token(&self) -> String {
        secret::sha256_hex(&format!("csrf:{}", self.0))
    }

    /// The two `Set-Cookie` headers of this session.
    pub(crate) fn cookies(&self, client: Client) -> Vec<(HeaderName, HeaderValue)> {
        let secure = if client.is_https { "; Secure" } else { "" };
        let rest = format!("Path=/; Max-Age={COOKIE_SECONDS}; SameSite=Lax{secure}");
        let texts = [
            format!("{SESSION_COOKIE}={}; HttpOnly; {rest}", self.0),
            format!("{CSRF_COOKIE}={}; {rest}", self.csrf_token()),
        ];
        texts
            .into_iter()
            .filter_map(|text| HeaderValue::try_from(text).ok())
            .map(|value| (SET_COOKIE, value))
            .collect()
    }
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_its_cookie_among_others() {
        let id = SessionId::random().unwrap();
        let mut headers = HeaderMap::new();
        let text = format!("theme=dark; {SESSION_COOKIE}={}; {CSRF_COOKIE}=x", id.0);
        headers.insert(COOKIE, text.parse().unwrap());
        assert_eq!(SessionId::from_headers(&headers).unwrap().hash(), id.hash());
    }

    #[test]
    fn ignores_what_cannot_be_ours() {
        let mut headers = HeaderMap::new();
        for value in ["gema_session=", "gema_session=../../etc", "other_gema_session=0", "gema_session"] {
            headers.insert(COOKIE, value.parse().unwrap());
            assert!(SessionId::from_headers(&headers).is_none(), "{value}");
        }
    }
}
