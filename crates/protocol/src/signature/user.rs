//! Signatures of sign-ins: over `{socket_id}::user::{user_data}`. The doubled colon keeps them apart from channels.

use super::{sign_parts, verify_parts};
use crate::app::Credentials;

pub use super::AuthError as UserAuthError;

/// The `auth` an application's user endpoint answers with: `{key}:{hex}`.
#[must_use]
pub fn sign_user(app: &Credentials, socket_id: &str, user_data: &str) -> String {
    sign_parts(app, [socket_id, "::user::", user_data])
}

/// Was this sign-in signed by the app? `user_data` counts byte for byte as received.
///
/// # Errors
/// See [`UserAuthError`].
pub fn verify_user(
    app: &Credentials,
    socket_id: &str,
    user_data: &str,
    auth: &str,
) -> Result<(), UserAuthError> {
    verify_parts(app, [socket_id, "::user::", user_data], auth)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::Secret;
    use crate::signature::verify_channel;

    #[test]
    fn a_sign_in_is_no_subscription() {
        let app = Credentials { id: "1".into(), key: "a:b".into(), secret: Secret::new("s".into()) };
        let auth = sign_user(&app, "1.2", "{}");
        assert_eq!(verify_user(&app, "1.2", "{}", &auth), Ok(()), "a key may hold a colon");
        assert_eq!(verify_user(&app, "1.2", "{ }", &auth), Err(UserAuthError::Mismatch));
        assert_eq!(verify_user(&app, "1.2", "{}", "abc"), Err(UserAuthError::Malformed));
        assert!(verify_channel(&app, "1.2", "private-a", Some("{}"), &auth).is_err());
    }
}
