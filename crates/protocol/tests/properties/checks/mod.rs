//! What holds for any input whatever. One function `check(bytes)` per subject: the property tests beside this folder call
//! it with inputs they make up, and the fuzz targets in `tests/fuzz` with what libFuzzer finds.
//!
//! An input of several texts is cut at the byte 0xFF, which stands in no UTF-8 text.

pub(crate) mod channel_name;
pub(crate) mod frames;
pub(crate) mod identity;
pub(crate) mod json;
pub(crate) mod message;
pub(crate) mod publish;
pub(crate) mod query;
pub(crate) mod signature;

/// The byte between two texts of an input.
pub(crate) const CUT: u8 = 0xff;

/// The texts of an input; those that are missing are empty, and what is no UTF-8 is replaced.
pub(crate) fn texts<const N: usize>(bytes: &[u8]) -> [String; N] {
    let mut parts = bytes.splitn(N, |byte| *byte == CUT);
    std::array::from_fn(|_| String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned())
}

/// The payload of one server frame.
pub(crate) fn payload(frame: &[u8]) -> serde_json::Value {
    let header = match frame[1] {
        126 => 4,
        127 => 10,
        _ => 2,
    };
    serde_json::from_slice(&frame[header..]).expect("a frame of the server holds JSON")
}
