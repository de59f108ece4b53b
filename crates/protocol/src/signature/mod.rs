//! Who signed what: HMAC-SHA256 with the app's secret, in lower-case hex, compared in constant time.
//!
//! Subscriptions are in [`channel`], sign-ins in [`user`], HTTP requests in [`request`]; webhooks are one line, here.

mod body;
pub mod channel;
pub mod difference;
mod query;
pub mod request;
pub mod user;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

pub use channel::{ChannelAuthError, sign_channel, verify_channel};
pub use query::Query;
pub use request::{
    RequestAuthError, RequestHead, RequestParts, canonical_text, sign_request, verify_body, verify_head,
    verify_request,
};
pub use user::{UserAuthError, sign_user, verify_user};

use crate::app::{Credentials, Secret};

/// The `X-Pusher-Signature` of a webhook: lower-case hex over the raw body.
#[must_use]
pub fn sign_webhook(secret: &Secret, body: &[u8]) -> String {
    hmac_hex(secret, [body])
}

/// Is `signature` the one of this webhook body?
#[must_use]
pub fn verify_webhook(secret: &Secret, body: &[u8], signature: &str) -> bool {
    is_signature(hmac(secret, [body]), signature)
}

/// The key of an end-to-end encrypted channel, which the app's auth endpoint gives to its clients as base64 in
/// `shared_secret`. The server never sees it on the wire.
#[must_use]
pub fn shared_secret(channel: &str, master_key: &[u8; 32]) -> [u8; 32] {
    Sha256::new().chain_update(channel).chain_update(master_key).finalize().into()
}

/// Why an `auth` string was not accepted. Each of them is error 4009 to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// Not of the form `{key}:{hex}`.
    #[error("auth is not of the form key:signature")]
    Malformed,
    /// Signed for another app.
    #[error("the key in auth is not the key of this app")]
    OtherKey,
    /// Another secret, socket, channel or data than what is presented, or not 64 lower-case hex digits.
    #[error("the signature in auth does not match")]
    Mismatch,
}

/// `{key}:{hex}` over the parts, one after the other.
fn sign_parts<const N: usize>(app: &Credentials, parts: [&str; N]) -> String {
    format!("{}:{}", app.key, hmac_hex(&app.secret, parts.map(str::as_bytes)))
}

fn verify_parts<const N: usize>(app: &Credentials, parts: [&str; N], auth: &str) -> Result<(), AuthError> {
    let (key, signature) = auth.rsplit_once(':').ok_or(AuthError::Malformed)?;
    if key != app.key {
        return Err(AuthError::OtherKey);
    }
    let mac = hmac(&app.secret, parts.map(str::as_bytes));
    if is_signature(mac, signature) { Ok(()) } else { Err(AuthError::Mismatch) }
}

fn hmac<const N: usize>(secret: &Secret, parts: [&[u8]; N]) -> Hmac<Sha256> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()).expect("an HMAC key has any length");
    for part in parts {
        mac.update(part);
    }
    mac
}

fn hmac_hex<const N: usize>(secret: &Secret, parts: [&[u8]; N]) -> String {
    hex(&hmac(secret, parts).finalize().into_bytes())
}

/// Compares in constant time. Upper-case hex is refused: a signature has one spelling.
fn is_signature(mac: Hmac<Sha256>, signature: &str) -> bool {
    from_hex::<32>(signature).is_some_and(|bytes| mac.verify_slice(&bytes).is_ok())
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}

/// Reads exactly `N` bytes of lower-case hex.
fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() || pairs.len() != N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_lower_case_and_exact() {
        let all: [u8; 256] = std::array::from_fn(|i| u8::try_from(i).unwrap());
        assert_eq!(from_hex::<256>(&hex(&all)), Some(all));
        assert_eq!(hex(&[0, 0x9a, 0xff]), "009aff");
        for wrong in ["", "0", "009af", "009afg", "009AFF", "009aff0", "009aff00", "äää"] {
            assert_eq!(from_hex::<3>(wrong), None, "{wrong}");
        }
    }
}
