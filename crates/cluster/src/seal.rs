//! Messages between nodes end in a code that only a holder of the app's secret can make: Redis is not trusted.

use bytes::Bytes;
use gema_protocol::app::Secret;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Bytes of the code: HMAC-SHA256, cut. Nobody can try forgeries faster than Redis takes them.
const CODE: usize = 16;
/// What the key is derived for; another purpose or another format of messages has another key.
const PURPOSE: &[u8] = b"gema cluster 1";

/// Seals and opens the messages of one app.
#[derive(Clone)]
pub struct Sealer {
    keyed: Hmac<Sha256>,
}

/// The bytes were not sealed for this topic with this app's secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the message does not carry this app's seal for its topic")]
pub struct BrokenSeal;

impl Sealer {
    /// Derives the key from an app's secret, so that neither can be told from the other.
    #[must_use]
    pub fn new(secret: &Secret) -> Self {
        let key = keyed(secret.expose().as_bytes()).chain_update(PURPOSE).finalize().into_bytes();
        Self { keyed: keyed(&key) }
    }

    /// Appends the code to a message for a topic (or key).
    #[must_use]
    pub fn seal(&self, topic: &str, mut message: Vec<u8>) -> Bytes {
        let code = self.code(topic, &message).finalize().into_bytes();
        message.extend_from_slice(&code[..CODE]);
        message.into()
    }

    /// The message without its code, if the code holds. Compared in constant time.
    ///
    /// # Errors
    /// Anything that was not sealed by [`Sealer::seal`] for the same topic and app.
    pub fn open(&self, topic: &str, sealed: &Bytes) -> Result<Bytes, BrokenSeal> {
        let length = sealed.len().checked_sub(CODE).ok_or(BrokenSeal)?;
        let (message, code) = sealed.split_at(length);
        self.code(topic, message).verify_truncated_left(code).map_err(|_| BrokenSeal)?;
        Ok(sealed.slice(..length))
    }

    /// The topic's length goes first: no topic can borrow the beginning of a message.
    fn code(&self, topic: &str, message: &[u8]) -> Hmac<Sha256> {
        let length = (topic.len() as u64).to_be_bytes();
        self.keyed.clone().chain_update(length).chain_update(topic).chain_update(message)
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::<Sha256>::new_from_slice(key).expect("an HMAC key has any length")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sealer(secret: &str) -> Sealer {
        Sealer::new(&Secret::new(secret.to_owned()))
    }

    #[test]
    fn a_seal_holds_for_its_topic_and_app_only() {
        let sealed = sealer("s").seal("topic", b"message".to_vec());
        assert_eq!(sealer("s").open("topic", &sealed), Ok(Bytes::from_static(b"message")));
        assert_eq!(sealer("s").open("topics", &sealed), Err(BrokenSeal));
        assert_eq!(sealer("t").open("topic", &sealed), Err(BrokenSeal));
        assert_eq!(sealer("s").open("topicm", &sealer("s").seal("topic", b"m".to_vec())), Err(BrokenSeal));
    }

    proptest! {
        #[test]
        fn any_change_breaks_it(message in prop::collection::vec(any::<u8>(), 0..60), at in any::<prop::sample::Index>(), flip in 1u8..) {
            let sealed = sealer("s").seal("t", message.clone());
            prop_assert_eq!(sealer("s").open("t", &sealed), Ok(message.into()));
            let mut changed = sealed.to_vec();
            let at = at.index(changed.len());
            changed[at] ^= flip;
            prop_assert_eq!(sealer("s").open("t", &changed.into()), Err(BrokenSeal));
            prop_assert_eq!(sealer("s").open("t", &sealed.slice(..sealed.len() - 1)), Err(BrokenSeal));
        }

        #[test]
        fn noise_is_refused(noise in prop::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(sealer("s").open("t", &noise.into()), Err(BrokenSeal));
        }
    }
}
