//! When to ping a silent connection and when to give it up. Pure: the owner of the connection brings the clock.

use std::time::Duration;

/// What the owner of a connection does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// Nothing before [`Liveness::next_deadline`].
    Wait,
    /// Send a ping; the grace period has begun.
    Ping,
    /// The ping found no answer: close with 4201.
    Dead,
}

/// The idle timer of one connection: after `idle` without a frame one ping, after `grace` more it is dead.
///
/// Times are durations since any fixed moment of the caller's choice. There is one of these per connection, hence
/// milliseconds in few words: 24 bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Liveness {
    deadline_ms: u64,
    idle_ms: u32,
    grace_ms: u32,
    pinged: bool,
}

impl Liveness {
    /// A connection that was alive at `now`. Periods above 49 days count as 49 days.
    #[must_use]
    pub fn new(now: Duration, idle: Duration, grace: Duration) -> Self {
        let short = |period| u32::try_from(millis(period)).unwrap_or(u32::MAX);
        let mut timer = Self { deadline_ms: 0, idle_ms: short(idle), grace_ms: short(grace), pinged: false };
        timer.on_activity(now);
        timer
    }

    /// Any frame arrived, text or control.
    pub fn on_activity(&mut self, now: Duration) {
        self.pinged = false;
        self.deadline_ms = millis(now).saturating_add(u64::from(self.idle_ms));
    }

    /// The moment before which [`poll`](Self::poll) says nothing new.
    #[must_use]
    pub fn next_deadline(&self) -> Duration {
        Duration::from_millis(self.deadline_ms)
    }

    /// What to do at `now`. Says `Ping` once per silence, then `Wait` until the grace has passed.
    pub fn poll(&mut self, now: Duration) -> Beat {
        let now = millis(now);
        if now < self.deadline_ms {
            Beat::Wait
        } else if self.pinged {
            Beat::Dead
        } else {
            self.pinged = true;
            self.deadline_ms = now.saturating_add(u64::from(self.grace_ms));
            Beat::Ping
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn silence_is_pinged_once_then_dead() {
        let mut timer = Liveness::new(S(100), S(60), S(30));
        assert_eq!((timer.poll(S(159)), timer.next_deadline()), (Beat::Wait, S(160)));
        assert_eq!((timer.poll(S(160)), timer.next_deadline()), (Beat::Ping, S(190)));
        assert_eq!(timer.poll(S(189)), Beat::Wait);
        assert_eq!(timer.poll(S(190)), Beat::Dead);
        assert_eq!(timer.poll(S(500)), Beat::Dead, "it stays dead until something arrives");
    }

    #[test]
    fn any_frame_starts_it_anew() {
        let mut timer = Liveness::new(S(0), S(60), S(30));
        timer.on_activity(S(59));
        assert_eq!(timer.poll(S(60)), Beat::Wait);
        assert_eq!(timer.poll(S(119)), Beat::Ping);
        timer.on_activity(S(120));
        assert_eq!(timer.poll(S(149)), Beat::Wait);
        assert_eq!(timer.poll(S(180)), Beat::Ping);
    }

    #[test]
    fn a_late_poll_still_grants_the_whole_grace() {
        let mut timer = Liveness::new(S(0), S(60), S(30));
        assert_eq!(timer.poll(S(600)), Beat::Ping);
        assert_eq!(timer.next_deadline(), S(630));
    }

    #[test]
    fn it_is_small_and_knows_no_overflow() {
        assert!(size_of::<Liveness>() <= 24);
        let mut timer = Liveness::new(Duration::MAX, Duration::MAX, Duration::MAX);
        timer.on_activity(Duration::MAX);
        assert_eq!(timer.poll(Duration::MAX), Beat::Ping);
    }
}
