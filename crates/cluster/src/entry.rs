//! One entry of a channel's log: the events that one node published to it with one flush.
//!
//! Plain fields with their lengths, nothing nested. Entries are opened ([`crate::seal`]) before they are read, and still
//! read as if a stranger had written them: another version of Gema may have.

use bytes::{Buf, BufMut, Bytes};
use gema_protocol::socket_id::SocketId;

use crate::field::{put, take};

/// First byte of every entry. A node skips what it does not know.
const VERSION: u8 = 1;
/// Most events of one entry.
pub const MOST_EVENTS: usize = 1_024;

/// A node between its start and its death; random, so no two are ever the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin(pub u128);

/// Events of one flush.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Who published.
    pub origin: Origin,
    /// Counts this origin's entries of all channels from 1. An entry may come twice; of one channel, never in another order.
    pub sequence: u64,
    /// In the order of publishing; at most [`MOST_EVENTS`].
    pub events: Vec<Published>,
}

/// An event and its time. Events of one entry may be a second apart, and somebody may have subscribed in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// When it was published, in milliseconds since 1970 by Redis' clock as its origin knew it.
    pub at_ms: u64,
    /// What was published.
    pub event: Event,
}

/// One event for the subscribers of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The text of the message that subscribers get.
    pub text: Bytes,
    /// The connection that does not get it.
    pub except: Option<SocketId>,
    /// A cache channel keeps it as its last event.
    pub keep: bool,
}

/// Why bytes are no entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// Written by another version of Gema.
    #[error("the entry has version {0}, this node reads version {VERSION}")]
    Version(u8),
    /// A field is cut off, too long, or no text.
    #[error("the entry is malformed")]
    Malformed,
}

impl Entry {
    /// Its bytes, unsealed.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let size: usize = self.events.iter().map(|one| one.event.text.len() + 48).sum();
        let mut out = Vec::with_capacity(64 + size);
        out.put_u8(VERSION);
        out.put_u128(self.origin.0);
        out.put_u64(self.sequence);
        for Published { at_ms, event } in &self.events {
            let except = event.except.map(|id| id.to_string()).unwrap_or_default();
            out.put_u64(*at_ms);
            out.put_u8(event.keep.into());
            put(&mut out, except.as_bytes());
            put(&mut out, &event.text);
        }
        out
    }

    /// Reads what [`Entry::encode`] wrote. The events share the memory of `bytes`.
    ///
    /// # Errors
    /// See [`EntryError`].
    pub fn decode(mut bytes: Bytes) -> Result<Self, EntryError> {
        let version = bytes.try_get_u8().map_err(|_| EntryError::Malformed)?;
        if version != VERSION {
            return Err(EntryError::Version(version));
        }
        let origin = Origin(bytes.try_get_u128().map_err(|_| EntryError::Malformed)?);
        let sequence = bytes.try_get_u64().map_err(|_| EntryError::Malformed)?;
        let mut events = Vec::new();
        while bytes.has_remaining() {
            let at_ms = bytes.try_get_u64().map_err(|_| EntryError::Malformed)?;
            let event = event(&mut bytes).ok_or(EntryError::Malformed)?;
            events.push(Published { at_ms, event });
            if events.len() > MOST_EVENTS {
                return Err(EntryError::Malformed);
            }
        }
        Ok(Self { origin, sequence, events })
    }
}

fn event(bytes: &mut Bytes) -> Option<Event> {
    let keep = match bytes.try_get_u8().ok()? {
        0 => false,
        1 => true,
        _ => return None,
    };
    let except = take(bytes)?;
    let except = if except.is_empty() { None } else { Some(str::from_utf8(&except).ok()?.parse().ok()?) };
    let text = take(bytes)?;
    str::from_utf8(&text).ok()?;
    Some(Event { text, except, keep })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_event() -> impl Strategy<Value = Published> {
        let parts = (any::<u64>(), ".{0,40}", any::<Option<[u8; 16]>>(), any::<bool>());
        parts.prop_map(|(at_ms, text, except, keep)| {
            let (text, except) = (text.into(), except.map(SocketId::from_random));
            Published { at_ms, event: Event { text, except, keep } }
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            (origin, sequence) in any::<(u128, u64)>(),
            events in prop::collection::vec(any_event(), 0..20),
        ) {
            let entry = Entry { origin: Origin(origin), sequence, events };
            let bytes = entry.encode();
            prop_assert_eq!(Entry::decode(bytes.clone().into()), Ok(entry));
            for cut in 0..bytes.len().min(80) {
                // A cut at the border of an event leaves an entry with fewer events; the seal is what notices that.
                let _ = Entry::decode(Bytes::copy_from_slice(&bytes[..cut]));
            }
        }
    }

    #[test]
    fn another_version_and_too_much_are_refused() {
        assert_eq!(Entry::decode(Bytes::from_static(&[2, 0, 0])), Err(EntryError::Version(2)));
        assert_eq!(Entry::decode(Bytes::new()), Err(EntryError::Malformed));
        let event = Event { text: Bytes::new(), except: None, keep: false };
        let published = Published { at_ms: 1, event };
        let entry = |count| Entry { origin: Origin(1), sequence: 1, events: vec![published.clone(); count] };
        assert!(Entry::decode(entry(MOST_EVENTS).encode().into()).is_ok());
        assert_eq!(Entry::decode(entry(MOST_EVENTS + 1).encode().into()), Err(EntryError::Malformed));
        let mut long = entry(0).encode();
        long.extend_from_slice(&[0; 9]);
        long.extend_from_slice(&u32::MAX.to_be_bytes());
        assert_eq!(Entry::decode(long.into()), Err(EntryError::Malformed));
    }
}
