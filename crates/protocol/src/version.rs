//! The `protocol` parameter of a connection's URL: which revision of the Pusher protocol the client speaks.
//!
//! Every client is served as one of version 7. An old number only changes how it is told of a close and how it is pinged;
//! strict apps refuse what is missing, malformed or unknown.

use crate::close::CloseCode;

/// The versions whose clients understand what we send: 1 to 3 are retired, after 7 came none.
const SPOKEN: std::ops::RangeInclusive<u32> = 4..=7;

/// What the client says it speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProtocolVersion {
    /// Nothing.
    Missing,
    /// Something that is no whole number.
    Malformed,
    /// A number, known or not.
    Number(u32),
}

impl ProtocolVersion {
    /// Reads the query of the URL, without its `?`. The first `protocol` counts.
    #[must_use]
    pub fn of_query(query: &str) -> Self {
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        match pairs.find(|(name, _)| name == "protocol") {
            None => Self::Missing,
            Some((_, text)) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                text.parse().map_or(Self::Malformed, Self::Number)
            }
            Some(_) => Self::Malformed,
        }
    }

    /// What a strict app thinks of it.
    ///
    /// # Errors
    /// The code to refuse the connection with: 4006, 4007 or 4008.
    pub fn check(self) -> Result<(), CloseCode> {
        match self {
            Self::Missing => Err(CloseCode::NoProtocol),
            Self::Malformed => Err(CloseCode::InvalidVersion),
            Self::Number(number) if SPOKEN.contains(&number) => Ok(()),
            Self::Number(_) => Err(CloseCode::UnsupportedProtocol),
        }
    }

    /// Whether the client learns of a close by a `pusher:error` before it: close codes came with version 6.
    #[must_use]
    pub fn wants_error_before_close(self) -> bool {
        self.is_before(6)
    }

    /// Whether the client knows `pusher:ping`, which came with version 5. Older ones answer control pings only.
    #[must_use]
    pub fn knows_pings(self) -> bool {
        !self.is_before(5)
    }

    fn is_before(self, version: u32) -> bool {
        matches!(self, Self::Number(number) if number < version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameter_is_read_and_judged() {
        use ProtocolVersion::{Malformed, Missing, Number};
        let table = [
            ("", Missing, Err(4008)),
            ("client=js&version=7", Missing, Err(4008)),
            ("protocol", Malformed, Err(4006)),
            ("protocol=", Malformed, Err(4006)),
            ("protocol=seven", Malformed, Err(4006)),
            ("protocol=7.0", Malformed, Err(4006)),
            ("protocol=-7", Malformed, Err(4006)),
            ("protocol=+7", Malformed, Err(4006)),
            ("protocol=%37", Number(7), Ok(())),
            ("protocol=99999999999", Malformed, Err(4006)),
            ("protocol=0", Number(0), Err(4007)),
            ("protocol=3", Number(3), Err(4007)),
            ("protocol=4", Number(4), Ok(())),
            ("client=js&protocol=7&flash=false", Number(7), Ok(())),
            ("protocol=7&protocol=8", Number(7), Ok(())),
            ("protocol=8", Number(8), Err(4007)),
        ];
        for (query, version, verdict) in table {
            assert_eq!(ProtocolVersion::of_query(query), version, "{query}");
            assert_eq!(version.check().map_err(CloseCode::code), verdict, "{query}");
        }
    }

    #[test]
    fn only_an_old_number_changes_how_the_client_is_treated() {
        for (version, error_first, pings) in [
            (ProtocolVersion::Missing, false, true),
            (ProtocolVersion::Malformed, false, true),
            (ProtocolVersion::Number(4), true, false),
            (ProtocolVersion::Number(5), true, true),
            (ProtocolVersion::Number(6), false, true),
            (ProtocolVersion::Number(7), false, true),
            (ProtocolVersion::Number(8), false, true),
        ] {
            assert_eq!(version.wants_error_before_close(), error_first, "{version:?}");
            assert_eq!(version.knows_pings(), pings, "{version:?}");
        }
    }
}
