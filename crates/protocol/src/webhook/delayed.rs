//! A table of things that become due after a fixed time unless they are taken back before. Bounded: what is too many
//! makes the oldest due early.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::Duration;

/// Stale places in the order that are not worth a clean-up.
const STALE: usize = 1024;

/// Keyed values, each with the moment at which it is due. The caller puts them in the order of these moments.
#[derive(Debug)]
pub(super) struct Delayed<K, V> {
    entries: HashMap<K, (u64, V)>,
    /// Moments, with the number of the entry meant; one that was taken back leaves a stale place here.
    order: VecDeque<(Duration, u64, K)>,
    newest: u64,
    most: usize,
}

impl<K: Hash + Eq + Clone, V> Delayed<K, V> {
    /// Room for `most` entries.
    pub(super) fn new(most: usize) -> Self {
        Self { entries: HashMap::new(), order: VecDeque::new(), newest: 0, most }
    }

    /// Adds an entry, in place of one with the same key. The oldest comes back when there is no room for it any more.
    pub(super) fn put(&mut self, key: K, value: V, due: Duration) -> Option<(K, V)> {
        self.newest += 1;
        self.entries.insert(key.clone(), (self.newest, value));
        self.order.push_back((due, self.newest, key));
        if self.order.len() > 2 * self.entries.len() + STALE {
            let entries = &self.entries;
            self.order.retain(|(_, number, key)| entries.get(key).is_some_and(|(n, _)| n == number));
        }
        if self.entries.len() > self.most { self.pop() } else { None }
    }

    /// The value of a key that is not due yet.
    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key).map(|(_, value)| value)
    }

    /// Takes an entry back.
    pub(super) fn take(&mut self, key: &K) -> Option<V> {
        self.entries.remove(key).map(|(_, value)| value)
    }

    /// When the next is due.
    pub(super) fn next_due(&mut self) -> Option<Duration> {
        while let Some((due, number, key)) = self.order.front() {
            if self.entries.get(key).is_some_and(|(n, _)| n == number) {
                return Some(*due);
            }
            self.order.pop_front();
        }
        None
    }

    /// The oldest that is due at `now`.
    pub(super) fn pop_due(&mut self, now: Duration) -> Option<(K, V)> {
        if self.next_due()? <= now { self.pop() } else { None }
    }

    /// The oldest, due or not.
    pub(super) fn pop(&mut self) -> Option<(K, V)> {
        self.next_due()?;
        let (_, _, key) = self.order.pop_front()?;
        self.take(&key).map(|value| (key, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn what_was_taken_back_is_not_due_and_a_second_time_counts_anew() {
        let mut table = Delayed::new(10);
        table.put("a", 1, at(3));
        table.put("b", 2, at(4));
        assert_eq!(table.take(&"a"), Some(1));
        table.put("a", 3, at(6));
        assert_eq!(table.next_due(), Some(at(4)));
        assert_eq!((table.pop_due(at(3)), table.pop_due(at(5))), (None, Some(("b", 2))));
        assert_eq!((table.pop_due(at(5)), table.pop_due(at(6))), (None, Some(("a", 3))));
        assert_eq!(table.next_due(), None);
    }

    #[test]
    fn too_many_make_the_oldest_due_early() {
        let mut table = Delayed::new(2);
        assert_eq!([table.put(1, (), at(1)), table.put(2, (), at(2))], [None, None]);
        assert_eq!(table.put(3, (), at(3)), Some((1, ())));
    }

    #[test]
    fn coming_and_going_for_ever_takes_no_memory() {
        let mut table = Delayed::new(10);
        for _ in 0..100_000 {
            table.put((), (), at(1));
            table.take(&());
        }
        assert!(table.order.len() <= STALE + 2, "{}", table.order.len());
    }
}
