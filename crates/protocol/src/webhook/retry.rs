//! When a request that was not taken is tried again: pauses that double, with jitter, and an end.

use std::time::Duration;

/// How long an event is tried. The Python SDK refuses a body older than 300 s, so later tries would be for nothing.
pub const GIVE_UP: Duration = Duration::from_secs(300);

/// The schedule.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// The first pause, before jitter.
    pub first: Duration,
    /// No pause is longer.
    pub longest: Duration,
    /// Tries end this long after the first.
    pub give_up: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), longest: Duration::from_secs(30), give_up: GIVE_UP }
    }
}

impl Retry {
    /// How long to wait after a failure, `elapsed` after the first try began and after `before` other failures. `None`:
    /// give up. At least half of each pause is certain, the rest is up to `random`, so that endpoints that failed together are
    /// not tried together.
    #[must_use]
    pub fn pause(&self, elapsed: Duration, before: u32, random: u32) -> Option<Duration> {
        let left = self.give_up.checked_sub(elapsed).filter(|left| !left.is_zero())?;
        let whole = self.first.saturating_mul(2_u32.saturating_pow(before)).min(self.longest);
        let jitter = (whole / 2).mul_f64(f64::from(random) / f64::from(u32::MAX));
        Some((whole / 2 + jitter).min(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let retry = Retry::default();
        let pauses = (0..8).map(|before| retry.pause(Duration::ZERO, before, u32::MAX).unwrap());
        assert_eq!(pauses.collect::<Vec<_>>(), [1, 2, 4, 8, 16, 30, 30, 30].map(seconds));
        assert_eq!(retry.pause(Duration::ZERO, u32::MAX, u32::MAX), Some(seconds(30)));
    }

    #[test]
    fn chance_shortens_a_pause_by_half_at_most() {
        let retry = Retry::default();
        assert_eq!(retry.pause(Duration::ZERO, 2, 0), Some(seconds(2)));
        let middle = retry.pause(Duration::ZERO, 2, u32::MAX / 2).unwrap();
        assert!(middle > seconds(2) && middle < seconds(4), "{middle:?}");
    }

    #[test]
    fn the_last_try_is_five_minutes_after_the_first() {
        let retry = Retry::default();
        assert_eq!(retry.pause(seconds(290), 9, u32::MAX), Some(seconds(10)));
        assert_eq!(retry.pause(seconds(300), 9, 0), None);
        assert_eq!(retry.pause(seconds(301), 0, 0), None);
    }
}
