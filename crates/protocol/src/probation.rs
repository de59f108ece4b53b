//! The time a new connection has to prove that the app knows it, where the app asks for that. Pure: the owner of the
//! connection brings the clock.

use std::time::Duration;

/// Runs until the connection signs in or joins a channel that the app signed for; when time is up, it is closed with
/// 4009 ([`NotAuthorizedInTime`](crate::close::CloseCode::NotAuthorizedInTime)).
///
/// Times are durations since any fixed moment of the caller's choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probation {
    /// In milliseconds, to be small; the largest value stands for never.
    ends_ms: u64,
}

impl Probation {
    /// Begins at `now` and lasts `period`; `None` asks for nothing.
    #[must_use]
    pub fn new(now: Duration, period: Option<Duration>) -> Self {
        let end = period.map(|period| now.saturating_add(period).as_millis());
        Self { ends_ms: end.and_then(|end| u64::try_from(end).ok()).unwrap_or(u64::MAX) }
    }

    /// The connection is authorised, now and for good.
    pub fn pass(&mut self) {
        self.ends_ms = u64::MAX;
    }

    /// When it ends; beyond all times when there is nothing to wait for.
    #[must_use]
    pub fn next_deadline(&self) -> Duration {
        Duration::from_millis(self.ends_ms)
    }

    /// Whether time is up.
    #[must_use]
    pub fn is_over(&self, now: Duration) -> bool {
        self.ends_ms != u64::MAX && now >= self.next_deadline()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn it_ends_when_its_time_is_up_and_not_before() {
        let probation = Probation::new(S(5), Some(S(30)));
        assert_eq!(probation.next_deadline(), S(35));
        assert!(!probation.is_over(Duration::from_millis(34_999)));
        assert!(probation.is_over(S(35)) && probation.is_over(S(1_000)));
    }

    #[test]
    fn who_has_passed_and_who_is_not_asked_stays_for_ever() {
        let mut passed = Probation::new(S(0), Some(S(30)));
        passed.pass();
        for probation in [passed, Probation::new(S(0), None), Probation::new(S(1), Some(Duration::MAX))] {
            assert!(!probation.is_over(Duration::MAX), "{probation:?}");
        }
    }
}
