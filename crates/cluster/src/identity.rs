//! The ids under which a node speaks of its clients. Whoever was declared dead never speaks again under the same id: a node
//! that only slept takes another, and still knows the former ones as its own.

use std::sync::Arc;

use parking_lot::RwLock;
use sha2::{Digest, Sha256};

use crate::entry::Origin;

/// Former ids that are still known. An id is gone from all facts seconds after it was given up.
const FORMER: usize = 64;

/// A node's ids. Clones share them.
#[derive(Debug, Clone)]
pub struct Identity(Arc<RwLock<Ids>>);

#[derive(Debug)]
struct Ids {
    current: Origin,
    former: Vec<Origin>,
}

impl Identity {
    /// Begins with a random id.
    #[must_use]
    pub fn new(first: Origin) -> Self {
        Self(Arc::new(RwLock::new(Ids { current: first, former: Vec::new() })))
    }

    /// The id to speak under.
    #[must_use]
    pub fn current(&self) -> Origin {
        self.0.read().current
    }

    /// Is it this node, now or before?
    #[must_use]
    pub fn is_own(&self, node: Origin) -> bool {
        let ids = self.0.read();
        ids.current == node || ids.former.contains(&node)
    }

    /// Gives up an id that was declared dead. False when that was done before: two may learn of one death.
    #[must_use]
    pub fn give_up(&self, dead: Origin) -> bool {
        let mut ids = self.0.write();
        if ids.current != dead {
            return false;
        }
        ids.current = heir(dead);
        ids.former.push(dead);
        if ids.former.len() > FORMER {
            ids.former.remove(0);
        }
        true
    }
}

/// As random as the id it follows, and nobody else's.
fn heir(of: Origin) -> Origin {
    let digest: [u8; 32] = Sha256::digest(of.0.to_be_bytes()).into();
    let (half, _) = digest.as_chunks::<16>();
    Origin(u128::from_be_bytes(half[0]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_given_up_once_and_stays_known() {
        let (first, other) = (Origin(7), Origin(8));
        let identity = Identity::new(first);
        let shared = identity.clone();
        assert!(!identity.give_up(other), "somebody else's death");
        assert!(identity.give_up(first));
        assert!(!shared.give_up(first), "known already");
        assert_ne!(shared.current(), first);
        assert!(shared.is_own(first) && shared.is_own(shared.current()) && !shared.is_own(other));
    }

    #[test]
    fn ids_do_not_come_back_and_few_are_kept() {
        let identity = Identity::new(Origin(7));
        let ids: Vec<_> = (0..200)
            .map(|_| {
                let id = identity.current();
                assert!(identity.give_up(id));
                id
            })
            .collect();
        assert_eq!(ids.iter().collect::<std::collections::HashSet<_>>().len(), ids.len());
        assert!(identity.is_own(ids[199]) && !identity.is_own(ids[0]));
    }
}
