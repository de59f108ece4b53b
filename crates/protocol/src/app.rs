//! Who an application is: its id, key and secret. What it may do is configuration and lives in the server.

use std::fmt;

use subtle::ConstantTimeEq;

/// An app's secret. It signs and verifies; it is never shown: `Debug` hides it and there is no `Display`.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Wraps the secret's text; its UTF-8 bytes are the HMAC key.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The secret itself. Every caller is a place to review: it must not reach a log, an error or a response.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// What identifies an app (`id` in API paths, `key` in client URLs) and what proves a request comes from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The `{app_id}` of `/apps/{app_id}/…`. Not secret.
    pub id: String,
    /// The `{key}` of `/app/{key}` and the first part of every `auth`. Not secret: every browser has it.
    pub key: String,
    /// Signs everything.
    pub secret: Secret,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_never_shows_the_secret() {
        let app = Credentials { id: "1".into(), key: "k".into(), secret: Secret::new("hush-hush".into()) };
        let shown = format!("{app:?} {app:#?} {:?}", app.secret);
        assert!(!shown.contains("hush"), "{shown}");
        assert!(shown.contains("Secret(***)"));
        assert_eq!(app.secret.expose(), "hush-hush");
        assert!(app.secret == app.clone().secret && app.secret != Secret::new("hush-husH".into()));
    }
}
