//! What a node knows of the clock that all nodes share. An answer was given somewhere between question and arrival, so each
//! look says between which bounds the clocks differ; together they say it better than the last one alone, which may have
//! waited on a busy machine. Pure: the owner looks. All times are in microseconds since 1970.

/// How far two clocks drift apart: parts in a million.
const DRIFT: i64 = 100;

/// One look at the other clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// When it was asked, by our clock.
    pub asked: i64,
    /// What it said.
    pub theirs: i64,
    /// When the answer came, by our clock.
    pub answered: i64,
}

/// The other clock, as far as it is known.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    /// How far it is ahead of ours, at least and at most.
    ahead: Option<(i64, i64)>,
    learned: i64,
}

impl Clock {
    /// Takes a look into account. One that contradicts those before it is believed alone: a clock was set.
    pub fn learn(&mut self, look: Look) {
        let (least, most) =
            (look.theirs.saturating_sub(look.answered), look.theirs.saturating_sub(look.asked));
        let drift = look.answered.saturating_sub(self.learned).saturating_abs() / 1_000_000 * DRIFT;
        let known = self
            .ahead
            .map(|(from, to)| (from.saturating_sub(drift).max(least), to.saturating_add(drift).min(most)));
        self.ahead = Some(known.filter(|(from, to)| from <= to).unwrap_or((least, most.max(least))));
        self.learned = look.answered;
    }

    /// How far it is ahead of ours, in milliseconds; 0 as long as nobody has looked.
    #[must_use]
    pub fn ahead_ms(&self) -> i64 {
        self.ahead.map_or(0, |(from, to)| i64::midpoint(from, to) / 1_000)
    }

    /// How far that may be wrong, in milliseconds.
    #[must_use]
    pub fn error_ms(&self) -> u64 {
        self.ahead.map_or(0, |(from, to)| (to.saturating_sub(from) / 2_000).unsigned_abs() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(asked: i64, theirs: i64, answered: i64) -> Look {
        Look { asked, theirs, answered }
    }

    #[test]
    fn a_slow_look_does_not_spoil_what_quick_ones_have_said() {
        let mut clock = Clock::default();
        assert_eq!((clock.ahead_ms(), clock.error_ms()), (0, 0));
        // 5 s ahead, and the answer was given at once but came 400 ms later.
        clock.learn(look(1_000_000, 6_000_000, 1_400_000));
        assert_eq!((clock.ahead_ms(), clock.error_ms()), (4_800, 201));
        clock.learn(look(2_000_000, 7_001_000, 2_002_000));
        assert_eq!((clock.ahead_ms(), clock.error_ms()), (4_999, 1));
        clock.learn(look(3_000_000, 8_399_000, 3_400_000));
        assert_eq!((clock.ahead_ms(), clock.error_ms()), (4_999, 1));
    }

    #[test]
    fn a_clock_that_was_set_is_believed() {
        let mut clock = Clock::default();
        clock.learn(look(1_000_000, 6_000_000, 1_002_000));
        clock.learn(look(2_000_000, 3_000_000, 2_100_000));
        assert_eq!((clock.ahead_ms(), clock.error_ms()), (950, 51));
        clock.learn(look(i64::MIN, i64::MAX, i64::MAX));
        clock.learn(look(i64::MAX, i64::MIN, i64::MIN));
    }

    #[test]
    fn what_is_not_looked_at_for_long_is_known_less_well() {
        let mut clock = Clock::default();
        clock.learn(look(0, 0, 0));
        let hour = 3_600_000_000;
        clock.learn(look(hour, hour + 500_000, hour + 1_000_000));
        assert_eq!(clock.error_ms(), 361, "no better than two clocks run alike");
    }
}
