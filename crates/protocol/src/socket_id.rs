//! The id of one connection: `123456.7890`. It is part of every auth signature, so it is unguessable and never reused.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

/// The largest value of either part.
const LARGEST: u32 = 1_000_000_000;

/// Two decimal numbers of 1 to 10⁹ with a dot between them; every SDK insists on `^\d+\.\d+$`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketId(NonZeroU32, NonZeroU32);

impl SocketId {
    /// Makes an id of 16 bytes from a cryptographic random source; 8 bytes per part keep the bias below 2⁻³⁴.
    #[must_use]
    pub fn from_random(bytes: [u8; 16]) -> Self {
        let bits = u128::from_le_bytes(bytes);
        let part = |bits: u128| {
            let below = u32::try_from((bits & u128::from(u64::MAX)) % u128::from(LARGEST)).unwrap_or(0);
            NonZeroU32::MIN.saturating_add(below)
        };
        Self(part(bits), part(bits >> 64))
    }
}

impl fmt::Display for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// The text is not a socket id that this server could have given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a socket id is two numbers of 1 to 1000000000 with a dot between them")]
pub struct SocketIdError;

impl FromStr for SocketId {
    type Err = SocketIdError;

    /// Takes only what `Display` writes: no sign, no leading zero, no space. An id has one spelling.
    fn from_str(text: &str) -> Result<Self, SocketIdError> {
        let part = |digits: &str| {
            let canonical = !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
            let number = digits.parse::<NonZeroU32>().map_err(|_| SocketIdError)?;
            if canonical && number.get() <= LARGEST { Ok(number) } else { Err(SocketIdError) }
        };
        let (first, second) = text.split_once('.').ok_or(SocketIdError)?;
        Ok(Self(part(first)?, part(second)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_bytes_of_any_kind_stay_in_range() {
        assert_eq!(SocketId::from_random([0; 16]).to_string(), "1.1");
        for byte in 0..=255 {
            let id = SocketId::from_random([byte; 16]);
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        let mut bytes = [0; 16];
        bytes[8] = 7;
        assert_eq!(SocketId::from_random(bytes).to_string(), "1.8", "each half of the bytes makes one part");
    }

    #[test]
    fn only_its_own_spelling_is_read() {
        assert_eq!("1.1000000000".parse::<SocketId>().map(|id| id.to_string()), Ok("1.1000000000".into()));
        for wrong in [
            "",
            ".",
            "1",
            "1.",
            ".1",
            "0.1",
            "1.0",
            "01.1",
            "+1.1",
            "1.-1",
            " 1.1",
            "1.1 ",
            "1.1.1",
            "1.1000000001",
            "99999999999.1",
            "١.1",
            "invalid-socket-id",
        ] {
            assert!(wrong.parse::<SocketId>().is_err(), "{wrong:?}");
        }
    }
}
