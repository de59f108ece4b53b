//! Which local day it is, and who is late.

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use super::Status;

/// The rules of a working day.
#[derive(Debug, Clone)]
pub(crate) struct WorkingDay {
    zone: TimeZone,
    /// The last moment that counts as in time; nobody is late without it.
    in_time_until: Option<Time>,
}

impl WorkingDay {
    /// From an IANA zone name, an optional start of work `HH:MM`, and the minutes of grace.
    ///
    /// # Errors
    /// One sentence that names the wrong value and what it should look like.
    pub(crate) fn new(zone: &str, work_start: Option<&str>, grace_minutes: u32) -> Result<Self, String> {
        let zone = TimeZone::get(zone).map_err(|_| {
            format!("the time zone `{zone}` is unknown; use an IANA name such as Asia/Jakarta")
        })?;
        let in_time_until = work_start.map(|start| parse_start(start, grace_minutes)).transpose()?;
        Ok(Self { zone, in_time_until })
    }

    /// The local date as `YYYY-MM-DD`, and whether a check-in at this moment is late.
    pub(crate) fn judge(&self, now: Timestamp) -> (String, Status) {
        let local = now.to_zoned(self.zone.clone());
        let late = self.in_time_until.is_some_and(|limit| local.time() > limit);
        (local.date().to_string(), if late { Status::Late } else { Status::Present })
    }
}

fn parse_start(start: &str, grace_minutes: u32) -> Result<Time, String> {
    let time = Time::strptime("%H:%M", start)
        .map_err(|_| format!("the start of work `{start}` is not a time such as 08:00"))?;
    // Grace that reaches past midnight ends with the day.
    Ok(time.saturating_add(Span::new().try_minutes(grace_minutes).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_date_is_the_local_one() {
        let day = WorkingDay::new("Asia/Jakarta", None, 0).unwrap();
        assert_eq!(day.judge(at("2026-11-22T16:59:59Z")), ("2026-11-22".into(), Status::Present));
        assert_eq!(day.judge(at("2026-11-22T17:00:00Z")), ("2026-11-23".into(), Status::Present));
    }

    #[test]
    fn late_begins_after_the_grace_period() {
        let day = WorkingDay::new("Asia/Jakarta", Some("08:00"), 15).unwrap();
        assert_eq!(day.judge(at("2026-11-22T01:15:00Z")).1, Status::Present);
        assert_eq!(day.judge(at("2026-11-22T01:15:00.000001Z")).1, Status::Late);
        assert_eq!(day.judge(at("2026-11-21T17:00:00Z")).1, Status::Present);
    }

    #[test]
    fn work_starts_by_the_clock_on_the_wall_in_summer_and_in_winter() {
        let day = WorkingDay::new("Europe/Berlin", Some("08:00"), 5).unwrap();
        // On 29 March 2026 the clock goes from 02:00 to 03:00, on 25 October from 03:00 to 02:00.
        assert_eq!(day.judge(at("2026-03-28T07:05:00Z")), ("2026-03-28".into(), Status::Present));
        assert_eq!(day.judge(at("2026-03-29T06:05:00Z")), ("2026-03-29".into(), Status::Present));
        assert_eq!(day.judge(at("2026-03-29T06:05:00.000001Z")).1, Status::Late);
        assert_eq!(day.judge(at("2026-10-25T07:05:00Z")).1, Status::Present);
        assert_eq!(day.judge(at("2026-10-25T07:05:01Z")).1, Status::Late);
        // The day begins an hour earlier in UTC as long as it is summer, and is one day although an hour comes twice.
        assert_eq!(day.judge(at("2026-10-24T21:59:59Z")).0, "2026-10-24");
        for utc in
            ["2026-10-24T22:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T22:59:59Z"]
        {
            assert_eq!(day.judge(at(utc)).0, "2026-10-25", "{utc}");
        }
        assert_eq!(day.judge(at("2026-10-25T23:00:00Z")).0, "2026-10-26");
    }

    #[test]
    fn a_start_of_work_that_the_clock_skips_is_past_once_it_has() {
        let day = WorkingDay::new("Europe/Berlin", Some("02:30"), 0).unwrap();
        assert_eq!(day.judge(at("2026-03-29T00:59:59Z")).1, Status::Present);
        assert_eq!(day.judge(at("2026-03-29T01:00:00Z")).1, Status::Late);
        // In Brazil it was midnight that did not exist.
        let day = WorkingDay::new("America/Sao_Paulo", Some("00:00"), 0).unwrap();
        assert_eq!(day.judge(at("2018-11-04T02:59:59Z")), ("2018-11-03".into(), Status::Late));
        assert_eq!(day.judge(at("2018-11-04T03:00:00Z")), ("2018-11-04".into(), Status::Late));
    }

    #[test]
    fn grace_ends_with_the_day_at_the_latest() {
        let day = WorkingDay::new("UTC", Some("23:50"), 30).unwrap();
        assert_eq!(day.judge(at("2026-11-22T23:59:59.999999Z")), ("2026-11-22".into(), Status::Present));
        assert_eq!(day.judge(at("2026-11-23T00:10:00Z")), ("2026-11-23".into(), Status::Present));
        let day = WorkingDay::new("UTC", Some("00:00"), u32::MAX).unwrap();
        assert_eq!(day.judge(at("2026-11-22T23:59:59.999999Z")).1, Status::Present);
    }

    #[test]
    fn wrong_settings_are_named() {
        assert!(WorkingDay::new("Asia/Jakata", None, 0).unwrap_err().contains("Asia/Jakata"));
        assert!(WorkingDay::new("UTC", Some("8 o'clock"), 0).unwrap_err().contains("8 o'clock"));
    }
}
