//! A limit on how often something may happen: so many times in a window, which starts with the first of them.

use std::time::Duration;

/// So many in so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How often.
    pub times: u32,
    /// In how long.
    pub window: Duration,
}

/// Counts against a [`Rate`]. Small: it lives in each connection.
#[derive(Debug, Clone, Copy)]
pub struct RateLimiter {
    rate: Rate,
    ends: Duration,
    used: u32,
}

impl RateLimiter {
    /// Nothing is used yet.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self { rate, ends: Duration::ZERO, used: 0 }
    }

    /// Counts one more at `now`, a time since any fixed moment. False when it is one too many.
    pub fn allows(&mut self, now: Duration) -> bool {
        if now >= self.ends {
            self.ends = now + self.rate.window;
            self.used = 0;
        }
        self.used = self.used.saturating_add(1);
        self.used <= self.rate.times
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_takes_as_many_as_allowed_and_starts_anew_after_its_end() {
        let second = Duration::from_secs(1);
        let mut limiter = RateLimiter::new(Rate { times: 2, window: second });
        let mut at = |millis| limiter.allows(Duration::from_millis(millis));
        assert_eq!([at(500), at(600), at(700), at(1499)], [true, true, false, false]);
        assert_eq!([at(1500), at(1500), at(1500)], [true, true, false]);
    }

    #[test]
    fn nothing_is_allowed_at_a_rate_of_zero() {
        let mut limiter = RateLimiter::new(Rate { times: 0, window: Duration::from_secs(1) });
        assert!(!limiter.allows(Duration::ZERO));
    }
}
