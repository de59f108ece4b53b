//! Signatures of subscriptions: over `{socket_id}:{channel}`, and `:{channel_data}` when there is any. That no single
//! change of it verifies is tested in `tests/properties/checks/signature.rs`.

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
