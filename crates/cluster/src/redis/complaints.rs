//! What is wrong with Redis or in it: each kind is logged once, all of it is counted.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

/// Kinds that are told from each other. More would be a stranger who makes them up.
const KINDS: usize = 64;

/// Says once what would otherwise fill the log.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    said: Mutex<HashSet<String>>,
    count: AtomicU64,
}

impl Complaints {
    /// Counts one, and is true for the first of its kind.
    pub(super) fn is_first(&self, kind: &str) -> bool {
        self.count.fetch_add(1, Ordering::Relaxed);
        let mut said = self.said.lock();
        said.len() < KINDS && !said.contains(kind) && said.insert(kind.to_owned())
    }

    /// How many there were.
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_first_once_and_kinds_are_bounded() {
        let complaints = Complaints::default();
        assert_eq!(["a", "b", "a"].map(|kind| complaints.is_first(kind)), [true, true, false]);
        let new = (0..1_000).filter(|kind| complaints.is_first(&kind.to_string())).count();
        assert_eq!((new, complaints.count()), (KINDS - 2, 1_003));
    }
}
