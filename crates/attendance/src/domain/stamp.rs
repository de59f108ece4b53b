//! Points in time as the database keeps them and as JSON shows them.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

/// UTC with microseconds. Stored as `YYYY-MM-DD HH:MM:SS.ffffff`, which sorts as it is and is what `DATETIME(6)`
/// prints; serialised as ISO 8601 with six decimals and `Z`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, ToSchema)]
#[schema(value_type = String, format = DateTime, examples("2026-11-22T20:45:00.123456Z"))]
pub(crate) struct Stamp(String);

impl Stamp {
    pub(crate) fn now() -> Self {
        Self::from(Timestamp::now())
    }

    /// `from` now on into the future. A duration beyond the calendar counts as none.
    pub(crate) fn after(from: Duration) -> Self {
        Self::from(Timestamp::now().saturating_add(from).unwrap_or_else(|_| Timestamp::now()))
    }

    /// `back` from now into the past.
    pub(crate) fn before(back: Duration) -> Self {
        Self::from(Timestamp::now().saturating_sub(back).unwrap_or_else(|_| Timestamp::now()))
    }

    /// The point in time; `None` if the text is none.
    pub(crate) fn timestamp(&self) -> Option<Timestamp> {
        Some(self.0.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp())
    }

    /// Takes over what the database holds.
    pub(crate) fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The stored form, for binding to a query.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Timestamp> for Stamp {
    fn from(timestamp: Timestamp) -> Self {
        Self(timestamp.strftime("%Y-%m-%d %H:%M:%S%.6f").to_string())
    }
}

/// ISO 8601, as in JSON.
impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}Z", self.0.replacen(' ', "T", 1))
    }
}

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_six_decimals_in_both_forms() {
        let stamp = Stamp::from("2026-11-22T20:45:00.1Z".parse::<Timestamp>().unwrap());
        assert_eq!(stamp.as_str(), "2026-11-22 20:45:00.100000");
        assert_eq!(serde_json::to_string(&stamp).unwrap(), r#""2026-11-22T20:45:00.100000Z""#);
        let whole = Stamp::from("2026-11-22T20:45:00Z".parse::<Timestamp>().unwrap());
        assert_eq!(whole.as_str(), "2026-11-22 20:45:00.000000");
        assert_eq!(whole.timestamp(), "2026-11-22T20:45:00Z".parse().ok());
        let nanos = Stamp::from("2026-11-22T20:45:00.123456789Z".parse::<Timestamp>().unwrap());
        assert_eq!(nanos.as_str(), "2026-11-22 20:45:00.123456");
    }

    #[test]
    fn sorts_by_time() {
        assert!(Stamp::after(Duration::from_secs(1)) > Stamp::now());
    }
}
