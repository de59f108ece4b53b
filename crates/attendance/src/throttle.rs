//! Slows down guessing of passwords: five tries a minute for each pair of e-mail and client address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const TRIES: u32 = 5;
const WINDOW: Duration = Duration::from_secs(60);
/// Most pairs remembered. Filling this takes as many password checks, which takes longer than a window.
const CAPACITY: usize = 10_000;

type Key = (String, IpAddr);

/// Counts of recent sign-in tries, in this process.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    tries: Mutex<HashMap<Key, Tries>>,
}

#[derive(Debug)]
struct Tries {
    since: Instant,
    count: u32,
}

impl Throttle {
    /// Takes note of a try *before* the password is checked, so that parallel tries count, too.
    ///
    /// # Errors
    /// The seconds until the next try is allowed.
    pub(crate) fn attempt(&self, email: &str, address: IpAddr, now: Instant) -> Result<(), u64> {
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        if tries.len() >= CAPACITY {
            make_room(&mut tries, now);
        }
        let entry =
            tries.entry((email.to_owned(), address)).or_insert_with(|| Tries { since: now, count: 0 });
        if is_over(entry, now) {
            *entry = Tries { since: now, count: 0 };
        }
        if entry.count >= TRIES {
            let left = WINDOW.saturating_sub(now.saturating_duration_since(entry.since));
            return Err(left.as_secs() + 1);
        }
        entry.count += 1;
        Ok(())
    }

    /// Forgets the tries after a sign-in that worked.
    pub(crate) fn clear(&self, email: &str, address: IpAddr) {
        let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
        tries.remove(&(email.to_owned(), address));
    }
}

fn is_over(tries: &Tries, now: Instant) -> bool {
    now.saturating_duration_since(tries.since) >= WINDOW
}

fn make_room(tries: &mut HashMap<Key, Tries>, now: Instant) {
    tries.retain(|_, entry| !is_over(entry, now));
    if tries.len() >= CAPACITY {
        tries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const THERE: IpAddr = IpAddr::V4(Ipv4Addr::BROADCAST);

    #[test]
    fn the_sixth_try_within_a_minute_waits() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        for _ in 0..5 {
            assert_eq!(throttle.attempt("a@b.c", HERE, start), Ok(()));
        }
        assert_eq!(throttle.attempt("a@b.c", HERE, start + Duration::from_secs(20)), Err(41));
        assert_eq!(throttle.attempt("a@b.c", THERE, start), Ok(()));
        assert_eq!(throttle.attempt("other@b.c", HERE, start), Ok(()));
        assert_eq!(throttle.attempt("a@b.c", HERE, start + WINDOW), Ok(()));
    }

    #[test]
    fn a_success_forgets_the_tries() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for _ in 0..20 {
            assert_eq!(throttle.attempt("a@b.c", HERE, now), Ok(()));
            throttle.clear("a@b.c", HERE);
        }
    }

    #[test]
    fn the_map_is_bounded() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for i in 0..CAPACITY * 2 {
            throttle.attempt(&format!("{i}@b.c"), HERE, now).unwrap();
        }
        assert!(throttle.tries.lock().unwrap().len() <= CAPACITY);
    }
}
