//! The address of an endpoint, which may hold secrets: what is shown of it leaves them out.

use std::fmt;

/// An `http` or `https` URL. Its `Display` and `Debug` show scheme, host, port and path only.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl(reqwest::Url);

impl WebhookUrl {
    /// Reads an absolute URL; `None` if it is none, or of another scheme. A user name and password in it become the
    /// header `Authorization`; a fragment is left out.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut url = reqwest::Url::parse(text).ok()?;
        url.set_fragment(None);
        (matches!(url.scheme(), "http" | "https") && url.has_host()).then_some(Self(url))
    }

    /// The whole of it, to be sent to and never to be shown.
    pub(super) fn expose(&self) -> &reqwest::Url {
        &self.0
    }
}

impl fmt::Display for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.0.origin().ascii_serialization(), self.0.path())
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebhookUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_web_addresses_are_taken() {
        for text in ["http://a", "https://a/b?c=d", "http://127.0.0.1:9/x", "https://u:p@a/"] {
            assert!(WebhookUrl::parse(text).is_some(), "{text}");
        }
        for text in ["", "a", "a/b", "ftp://a", "http://", "https:///", "http://a b/", "file:///x", "//a"] {
            assert!(WebhookUrl::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn secrets_of_an_address_are_not_shown() {
        let url = WebhookUrl::parse("https://user:hush@example.com:8443/hook?token=hush#hush").unwrap();
        assert_eq!(url.to_string(), "https://example.com:8443/hook");
        assert!(!format!("{url:?}").contains("hush"));
    }
}
