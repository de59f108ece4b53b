//! The headers of the frames that a client sends, judged as their bytes arrive: what RFC 6455 forbids there and a
//! decoder may miss, or see only once a payload has come that nobody should wait for.
//!
//! Payloads are passed over; whether they make sense together (fragments, UTF-8, close codes) is the decoder's business.

/// The longest part of a header that is judged: two bytes and a length of 64 bits. The mask follows it.
const JUDGED: usize = 10;
const MASK: u64 = 4;

/// Follows one stream of client frames. Small: it lives in each connection.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct FrameHeaders {
    header: [u8; JUDGED],
    seen: u8,
    /// Bytes of mask and payload to pass over.
    skip: u64,
}

/// Where a stream breaks, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Broken {
    /// Bytes of the last piece that came before the faulty one.
    pub good: usize,
    /// What is wrong.
    pub fault: HeaderFault,
}

/// What a header must not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderFault {
    /// A reserved bit is set, though no extension was negotiated (section 5.2).
    #[error("a reserved bit is set")]
    ReservedBit,
    /// Opcodes 3 to 7 and 11 to 15 have no meaning (section 5.2).
    #[error("the opcode is reserved")]
    ReservedOpcode,
    /// Clients mask what they send (section 5.1).
    #[error("the frame is not masked")]
    Unmasked,
    /// A control frame is one frame of at most 125 bytes (section 5.5).
    #[error("a control frame is fragmented or too long")]
    Control,
    /// A length is written in as few bytes as it needs and below 2^63 (section 5.2).
    #[error("the length is not in its shortest form")]
    Length,
}

impl FrameHeaders {
    /// Takes the next piece of the stream, wherever it was cut.
    ///
    /// # Errors
    /// The first fault; the stream is of no use from there on.
    pub fn feed(&mut self, piece: &[u8]) -> Result<(), Broken> {
        let mut at = 0;
        while at < piece.len() {
            let skipped = (piece.len() - at).min(usize::try_from(self.skip).unwrap_or(usize::MAX));
            self.skip -= skipped as u64;
            at += skipped;
            if let Some(byte) = piece.get(at) {
                self.take(*byte).map_err(|fault| Broken { good: at, fault })?;
                at += 1;
            }
        }
        Ok(())
    }

    /// Takes one more byte of a header and looks at what there is of it.
    fn take(&mut self, byte: u8) -> Result<(), HeaderFault> {
        self.header[usize::from(self.seen)] = byte;
        self.seen += 1;
        let [first, second, ..] = self.header;
        let extra = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        match self.seen {
            1 => check_first(first)?,
            2 => check_second(first, second)?,
            _ => {}
        }
        if self.seen >= 2 && usize::from(self.seen) == 2 + extra {
            self.skip = MASK + length(second & 0x7f, &self.header[2..2 + extra])?;
            self.seen = 0;
        }
        Ok(())
    }
}

fn check_first(first: u8) -> Result<(), HeaderFault> {
    if first & 0x70 != 0 {
        return Err(HeaderFault::ReservedBit);
    }
    match first & 0x0f {
        0..=2 => Ok(()),
        8..=10 if first & 0x80 == 0 => Err(HeaderFault::Control),
        8..=10 => Ok(()),
        _ => Err(HeaderFault::ReservedOpcode),
    }
}

fn check_second(first: u8, second: u8) -> Result<(), HeaderFault> {
    if second & 0x80 == 0 {
        Err(HeaderFault::Unmasked)
    } else if first & 0x08 != 0 && second & 0x7f > 125 {
        Err(HeaderFault::Control)
    } else {
        Ok(())
    }
}

/// The length of the payload: `short` itself, or what the bytes after it say.
fn length(short: u8, extra: &[u8]) -> Result<u64, HeaderFault> {
    let value = extra.iter().fold(0, |value: u64, byte| value << 8 | u64::from(*byte));
    match short {
        126 if value < 126 => Err(HeaderFault::Length),
        127 if value <= u64::from(u16::MAX) || value >> 63 != 0 => Err(HeaderFault::Length),
        126 | 127 => Ok(value),
        short => Ok(short.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds the bytes whole and octet by octet; both must agree.
    fn judge(bytes: &[u8]) -> Result<(), HeaderFault> {
        let whole = FrameHeaders::default().feed(bytes);
        let mut headers = FrameHeaders::default();
        let good = bytes.iter().take_while(|byte| headers.feed(&[**byte]).is_ok()).count();
        assert_eq!(good, whole.map_or_else(|broken| broken.good, |()| bytes.len()), "{bytes:02x?}");
        whole.map_err(|broken| broken.fault)
    }

    fn frame(header: &[u8], payload: usize) -> Vec<u8> {
        [header, &[0; 4], &vec![0xff; payload]].concat()
    }

    #[test]
    fn headers_of_every_length_are_passed_and_the_next_is_found() {
        let bad = [0xc1];
        for (header, payload) in [
            (&[0x81, 0x80][..], 0),
            (&[0x81, 0xfd], 125),
            (&[0x82, 0xfe, 0, 126], 126),
            (&[0x01, 0xfe, 0xff, 0xff], 65_535),
            (&[0x80, 0xff, 0, 0, 0, 0, 0, 1, 0, 0], 65_536),
            (&[0x89, 0xfd], 125),
        ] {
            let one = frame(header, payload);
            assert_eq!(judge(&one), Ok(()), "{header:02x?}");
            assert_eq!(judge(&[&one[..], &one].concat()), Ok(()), "{header:02x?}");
            let followed = [&one[..], &bad].concat();
            assert_eq!(judge(&followed), Err(HeaderFault::ReservedBit), "{header:02x?}");
        }
    }

    #[test]
    fn a_fault_is_seen_at_its_byte() {
        let table: [(&[u8], HeaderFault); 14] = [
            (&[0xc1], HeaderFault::ReservedBit),
            (&[0xa1], HeaderFault::ReservedBit),
            (&[0x91], HeaderFault::ReservedBit),
            (&[0x83], HeaderFault::ReservedOpcode),
            (&[0x87], HeaderFault::ReservedOpcode),
            (&[0x8b], HeaderFault::ReservedOpcode),
            (&[0x8f], HeaderFault::ReservedOpcode),
            (&[0x09], HeaderFault::Control),
            (&[0x88, 0xfe], HeaderFault::Control),
            (&[0x81, 0x05], HeaderFault::Unmasked),
            (&[0x81, 0xfe, 0, 125], HeaderFault::Length),
            (&[0x81, 0xff, 0, 0, 0, 0, 0, 0, 0, 5], HeaderFault::Length),
            (&[0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff], HeaderFault::Length),
            (&[0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0], HeaderFault::Length),
        ];
        for (bytes, fault) in table {
            assert_eq!(judge(bytes), Err(fault), "{bytes:02x?}");
            assert_eq!(judge(&bytes[..bytes.len() - 1]), Ok(()), "{bytes:02x?} without its last byte");
        }
    }

    #[test]
    fn it_is_small_and_knows_no_overflow() {
        assert!(size_of::<FrameHeaders>() <= 24);
        let mut headers = FrameHeaders::default();
        assert_eq!(headers.feed(&[0x81, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255]), Ok(()));
        assert_eq!(headers.feed(&[0xff; 1_000]), Ok(()), "a payload of nearly 2^63 bytes is still coming");
    }
}
