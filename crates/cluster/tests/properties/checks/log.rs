//! Entries of a channel's log, and what becomes of a stream of them.

use std::collections::HashMap;

use bytes::Bytes;
use gema_cluster::entry::{Entry, MOST_EVENTS, Origin};
use gema_cluster::inbox::{Inbox, Page, Position, Step};

use super::messages;

/// What is an entry is written again byte for byte; its events share the memory of the message.
pub(super) fn entry(bytes: &[u8]) {
    let Ok(entry) = Entry::decode(Bytes::copy_from_slice(bytes)) else { return };
    assert!(entry.events.len() <= MOST_EVENTS);
    assert_eq!(entry.encode(), bytes);
}

/// Entries as a topic may bring them, with a log that has some of them: whatever their numbers are, each of one origin
/// is delivered once and in its order.
pub(super) fn followed(bytes: &[u8]) {
    let mut inbox = Inbox::new(Origin(1));
    let (mut newest, mut log) = (HashMap::new(), Vec::new());
    hear(inbox.on_subscribed(), &mut newest);
    for (index, message) in messages(bytes).into_iter().enumerate() {
        let Ok(entry) = Entry::decode(message.slice(1.min(message.len())..)) else { continue };
        let choice = message[0];
        // Numbers are not sealed: they may be anything.
        let number =
            if choice & 8 == 0 { index as u64 + u64::from(choice & 3) } else { u64::MAX - index as u64 };
        let at = Position { epoch: u64::from(choice >> 6), number };
        let step = if choice & 4 == 0 {
            log.push((at.number, entry.clone()));
            inbox.on_message(at, entry)
        } else {
            inbox.on_page(Page { newest: Some(at), entries: std::mem::take(&mut log) })
        };
        hear(step, &mut newest);
    }
}

fn hear(step: Step, newest: &mut HashMap<Origin, u64>) {
    for heard in step.deliver {
        let before = newest.insert(heard.entry.origin, heard.entry.sequence);
        assert!(before.is_none_or(|before| before < heard.entry.sequence), "{heard:?} after {before:?}");
        assert_eq!(heard.own, heard.entry.origin == Origin(1));
    }
}
