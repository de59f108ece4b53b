//! What a node says of its own clients in one channel, and how that looks on its way to the others.

use bytes::{Buf, BufMut, Bytes};
use gema_protocol::channel::ChannelName;

use crate::entry::Origin;
use crate::field::{put, take};
use crate::replica::{Delta, Fact, Version};

/// First byte of every change. A node skips what it does not know.
const VERSION: u8 = 1;

/// Most bytes of the name of a channel that Redis says a node has clients in.
pub const LONGEST_NAME: usize = 4_096;

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
    /// That the node has subscribers there was confirmed before: they are not new, even if it has been forgotten meanwhile.
    pub known: bool,
    /// The node has nobody there but `users`: whoever else it spoke of before is gone.
    pub whole: bool,
    /// Users who came or went since the node spoke of them last.
    pub users: Vec<Claim>,
}

/// Whether a node has connections of a user in the channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The user's id as text.
    pub user_id: String,
    /// The member as the app signed it (JSON); `None` when there is no connection any more.
    pub member: Option<Bytes>,
    /// That the user is there was confirmed before, and has not been taken back since.
    pub known: bool,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// It is true for everybody from this version of the channel on.
    Taken(Version),
    /// Something of this node with this number was taken before; only a higher one is believed.
    Stale(u64),
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
        out.put_u8(self.whole.into());
        out.put_u64(self.subscriptions);
        for claim in &self.users {
            put(&mut out, claim.user_id.as_bytes());
            out.put_u8(claim.member.is_some().into());
            put(&mut out, claim.member.as_deref().unwrap_or_default());
        }
        out
    }

    /// What the others make of it.
    #[must_use]
    pub fn delta(&self, follows: Version, version: Version) -> Delta {
        let node = self.node;
        let fact =
            |claim: &Claim| Fact { node, user_id: claim.user_id.clone(), member: claim.member.clone() };
        let facts = self.users.iter().map(fact).collect();
        let count = Some((node, self.subscriptions));
        Delta { follows, version, facts, count, gone: self.whole.then_some(node) }
    }
}

/// Reads what [`Telling::encode`] wrote.
///
/// # Errors
/// See [`TellingError`].
pub fn decode(mut bytes: Bytes, follows: Version, version: Version) -> Result<Delta, TellingError> {
    let format = bytes.try_get_u8().map_err(|_| TellingError::Malformed)?;
    if format != VERSION {
        return Err(TellingError::Version(format));
    }
    let node = Origin(bytes.try_get_u128().map_err(|_| TellingError::Malformed)?);
    let whole = flag(&mut bytes).ok_or(TellingError::Malformed)?;
    let subscriptions = bytes.try_get_u64().map_err(|_| TellingError::Malformed)?;
    let mut facts = Vec::new();
    while bytes.has_remaining() {
        facts.push(fact(node, &mut bytes).ok_or(TellingError::Malformed)?);
    }
    Ok(Delta { follows, version, facts, count: Some((node, subscriptions)), gone: whole.then_some(node) })
}

fn fact(node: Origin, bytes: &mut Bytes) -> Option<Fact> {
    let user_id = str::from_utf8(&take(bytes)?).ok()?.to_owned();
    let present = flag(bytes)?;
    let member = take(bytes)?;
    str::from_utf8(&member).ok()?;
    (present || member.is_empty()).then(|| Fact { node, user_id, member: present.then_some(member) })
}

fn flag(bytes: &mut Bytes) -> Option<bool> {
    match bytes.try_get_u8().ok()? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn claim((user, info): (String, Option<u32>)) -> Claim {
        let member = info.map(|info| Bytes::from(format!(r#"{{"user_info":{info}}}"#)));
        Claim { user_id: user, member, known: false }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            (node, subscriptions, whole) in any::<(u128, u64, bool)>(),
            users in prop::collection::vec((".{0,10}", any::<Option<u32>>()), 0..10),
        ) {
            let (node, channel) = (Origin(node), ChannelName::parse("presence-a", 200).unwrap());
            let users = users.into_iter().map(claim).collect();
            let telling = Telling { node, number: 1, channel, subscriptions, known: true, whole, users };
            prop_assert_eq!(decode(telling.encode().into(), 3, 4), Ok(telling.delta(3, 4)));
        }
    }
}
