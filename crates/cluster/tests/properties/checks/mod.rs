//! What holds for any bytes that come out of Redis. The property tests beside this folder call [`check`] with inputs they
//! make up, and the fuzz target `cluster` in `tests/fuzz` with what libFuzzer finds.

mod facts;
mod log;
mod webhooks;

use bytes::Bytes;
use gema_cluster::seal::Sealer;
use gema_protocol::app::Secret;

/// The first byte says what the others are taken for; each is a check of its own.
pub(crate) const CHECKS: [fn(&[u8]); 6] =
    [log::entry, log::followed, facts::change, facts::followed, webhooks::parcel, webhooks::record];

/// The whole input is a choice and a message, sealed and unsealed.
pub(crate) fn check(bytes: &[u8]) {
    let Some((choice, message)) = bytes.split_first() else { return };
    CHECKS[usize::from(*choice) % CHECKS.len()](message);
    is_sealed(message, usize::from(*choice));
}

/// Bytes that nobody sealed are not opened; what was sealed is, for its topic only, and not with one bit changed.
fn is_sealed(message: &[u8], bit: usize) {
    let sealer = Sealer::new(&Secret::new("secret".to_owned()));
    assert!(sealer.open("topic", &Bytes::copy_from_slice(message)).is_err(), "nobody guesses a seal");
    let sealed = sealer.seal("topic", message.to_vec());
    assert_eq!(sealer.open("topic", &sealed).as_deref(), Ok(message));
    assert!(sealer.open("topics", &sealed).is_err());
    let mut changed = sealed.to_vec();
    let at = changed.len() - 1 - bit % changed.len();
    changed[at] ^= 1 << (bit % 8);
    assert!(sealer.open("topic", &changed.into()).is_err());
    assert!(sealer.open("topic", &sealed.slice(1..)).is_err());
}

/// Messages of an input, each behind two bytes of length; the last may be cut off.
fn messages(mut bytes: &[u8]) -> Vec<Bytes> {
    let mut found = Vec::new();
    while let [high, low, rest @ ..] = bytes {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        found.push(Bytes::copy_from_slice(&rest[..length]));
        bytes = &rest[length..];
    }
    found
}
