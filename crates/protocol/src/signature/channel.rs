//! Signatures of subscriptions: over `{socket_id}:{channel}`, and `:{channel_data}` when there is any.

use super::{sign_parts, verify_parts};
use crate::app::Credentials;

pub use super::AuthError as ChannelAuthError;

/// The `auth` an application's endpoint answers with: `{key}:{hex}`.
#[must_use]
pub fn sign_channel(app: &Credentials, socket_id: &str, channel: &str, channel_data: Option<&str>) -> String {
    match channel_data {
        Some(data) => sign_parts(app, [socket_id, ":", channel, ":", data]),
        None => sign_parts(app, [socket_id, ":", channel]),
    }
}

/// Was this subscription signed by the app? `channel_data` counts on every kind of channel, byte for byte as received.
///
/// # Errors
/// See [`ChannelAuthError`].
pub fn verify_channel(
    app: &Credentials,
    socket_id: &str,
    channel: &str,
    channel_data: Option<&str>,
    auth: &str,
) -> Result<(), ChannelAuthError> {
    match channel_data {
        Some(data) => verify_parts(app, [socket_id, ":", channel, ":", data], auth),
        None => verify_parts(app, [socket_id, ":", channel], auth),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::app::Secret;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn signed_verifies_and_any_change_fails(
            channel in "[a-z]{1,10}", data in proptest::option::of(".{0,20}"), at in any::<prop::sample::Index>()
        ) {
            let app = Credentials { id: "1".into(), key: "key".into(), secret: Secret::new("secret".into()) };
            let auth = sign_channel(&app, "1.2", &channel, data.as_deref());
            let verify = |socket: &str, channel: &str, data: Option<&str>, auth: &str| verify_channel(&app, socket, channel, data, auth);
            prop_assert_eq!(verify("1.2", &channel, data.as_deref(), &auth), Ok(()));

            prop_assert_eq!(verify("1.3", &channel, data.as_deref(), &auth), Err(ChannelAuthError::Mismatch));
            prop_assert_eq!(verify("1.2", &format!("{channel}x"), data.as_deref(), &auth), Err(ChannelAuthError::Mismatch));
            let other = format!("{}x", data.as_deref().unwrap_or_default());
            prop_assert_eq!(verify("1.2", &channel, Some(&other), &auth), Err(ChannelAuthError::Mismatch));
            let mut changed = auth.clone().into_bytes();
            let at = at.index(changed.len());
            changed[at] = if changed[at] == b'0' { b'1' } else { b'0' };
            prop_assert!(verify("1.2", &channel, data.as_deref(), std::str::from_utf8(&changed).unwrap()).is_err());
        }
    }
}
