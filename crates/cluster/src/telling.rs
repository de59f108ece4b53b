//! What a node says of its own clients in one channel, and how that looks on its way to the others.

use bytes::{Buf, BufMut, Bytes};
use gema_protocol::channel::ChannelName;

use crate::entry::Origin;
use crate::field::{put, take};
use crate::replica::Fact;

/// First byte of every change. A node skips what it does not know.
const VERSION: u8 = 1;

/// The present truth about a channel's clients on one node. Not a difference: what was said before and lost on its way
/// does not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telling {
    /// Who says it.
    pub node: Origin,
    /// Counts what the node says about one partition; only a higher number is believed.
    pub number: u64,
    /// The channel.
    pub channel: ChannelName,
    /// How many of the node's connections subscribe to it.
    pub subscriptions: u64,
    /// Users who came or went since the node spoke of them last: the id, and the member as JSON if there is a connection.
    pub users: Vec<(String, Option<Bytes>)>,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// It is true for everybody from this version of the channel on.
    Taken(u64),
    /// Something newer of this node was taken before.
    Stale,
    /// The node has been declared dead; it needs another id.
    Dead,
}

/// Why bytes are no change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TellingError {
    /// Written by another version of Gema.
    #[error("the change has version {0}, this node reads version {VERSION}")]
    Version(u8),
    /// A field is cut off, or no text.
    #[error("the change is malformed")]
    Malformed,
}

impl Telling {
    /// The change as the others are told it, unsealed.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.put_u128(self.node.0);
        for (user, member) in &self.users {
            put(&mut out, user.as_bytes());
            out.put_u8(member.is_some().into());
            put(&mut out, member.as_deref().unwrap_or_default());
        }
        out
    }
}

/// Reads what [`Telling::encode`] wrote.
///
/// # Errors
/// See [`TellingError`].
pub fn decode(mut bytes: Bytes) -> Result<Vec<Fact>, TellingError> {
    let version = bytes.try_get_u8().map_err(|_| TellingError::Malformed)?;
    if version != VERSION {
        return Err(TellingError::Version(version));
    }
    let node = Origin(bytes.try_get_u128().map_err(|_| TellingError::Malformed)?);
    let mut facts = Vec::new();
    while bytes.has_remaining() {
        facts.push(fact(node, &mut bytes).ok_or(TellingError::Malformed)?);
    }
    Ok(facts)
}

fn fact(node: Origin, bytes: &mut Bytes) -> Option<Fact> {
    let user_id = str::from_utf8(&take(bytes)?).ok()?.to_owned();
    let present = match bytes.try_get_u8().ok()? {
        0 => false,
        1 => true,
        _ => return None,
    };
    let member = take(bytes)?;
    str::from_utf8(&member).ok()?;
    (present || member.is_empty()).then(|| Fact { node, user_id, member: present.then_some(member) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(node in any::<u128>(), users in prop::collection::vec((".{0,10}", any::<Option<u32>>()), 0..10)) {
            let member = |info: u32| Bytes::from(format!(r#"{{"user_info":{info}}}"#));
            let users: Vec<_> = users.into_iter().map(|(user, info)| (user, info.map(member))).collect();
            let channel = ChannelName::parse("presence-a", 200).unwrap();
            let telling = Telling { node: Origin(node), number: 1, channel, subscriptions: 1, users: users.clone() };
            let facts = users.into_iter().map(|(user_id, member)| Fact { node: Origin(node), user_id, member });
            prop_assert_eq!(decode(telling.encode().into()), Ok(facts.collect()));
        }

        #[test]
        fn noise_is_an_error_and_no_panic(noise in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(noise.into());
        }
    }
}
