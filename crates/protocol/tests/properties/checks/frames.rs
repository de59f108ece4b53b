//! The headers of WebSocket frames.

use gema_protocol::frame_headers::{Broken, FrameHeaders, HeaderFault};

/// The first byte is the size of the pieces, the rest the stream. However it is cut, the same fault is found at the same
/// byte as by a reader that sees the whole stream.
pub(crate) fn check(bytes: &[u8]) {
    let (size, stream) =
        bytes.split_first().map_or((1, &b""[..]), |(first, rest)| (usize::from(*first), rest));
    let expected = naive(stream);
    for size in [1, size.max(1), stream.len().max(1)] {
        assert_eq!(in_pieces(stream, size), expected, "in pieces of {size}");
    }
}

fn in_pieces(stream: &[u8], size: usize) -> Option<(usize, HeaderFault)> {
    let mut headers = FrameHeaders::default();
    let mut before = 0;
    for piece in stream.chunks(size) {
        if let Err(Broken { good, fault }) = headers.feed(piece) {
            return Some((before + good, fault));
        }
        before += piece.len();
    }
    None
}

/// The first faulty byte of a whole stream.
fn naive(stream: &[u8]) -> Option<(usize, HeaderFault)> {
    let mut at = 0;
    loop {
        let first = *stream.get(at)?;
        let is_control = matches!(first & 0x0f, 8..=10);
        if first & 0x70 != 0 {
            return Some((at, HeaderFault::ReservedBit));
        }
        if !is_control && first & 0x0f > 2 {
            return Some((at, HeaderFault::ReservedOpcode));
        }
        if is_control && first < 0x80 {
            return Some((at, HeaderFault::Control));
        }
        let second = *stream.get(at + 1)?;
        if second < 0x80 {
            return Some((at + 1, HeaderFault::Unmasked));
        }
        let wide = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        if is_control && wide > 0 {
            return Some((at + 1, HeaderFault::Control));
        }
        let extra = stream.get(at + 2..at + 2 + wide)?;
        let length = match wide {
            0 => u64::from(second & 0x7f),
            _ => extra.iter().fold(0, |sum, byte| sum * 256 + u64::from(*byte)),
        };
        let needs = [(0..126, 0), (126..65_536, 2), (65_536..1 << 63, 8)];
        if !needs.iter().any(|(lengths, needed)| lengths.contains(&length) && *needed == wide) {
            return Some((at + 1 + wide, HeaderFault::Length));
        }
        let after = u64::try_from(at + 2 + wide + 4).ok()?.checked_add(length)?;
        at = usize::try_from(after).ok()?;
    }
}
