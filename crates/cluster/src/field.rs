//! Fields of messages between nodes: four bytes of length, then the bytes.

use bytes::{Buf, BufMut, Bytes};

/// Appends a field.
pub(crate) fn put(out: &mut Vec<u8>, field: &[u8]) {
    out.put_u32(
        u32::try_from(field.len()).expect("a field is smaller than a request, which is smaller than 4 GiB"),
    );
    out.put_slice(field);
}

/// Takes a field off the front; `None` when it is cut off.
pub(crate) fn take(bytes: &mut Bytes) -> Option<Bytes> {
    let length = usize::try_from(bytes.try_get_u32().ok()?).ok()?;
    (length <= bytes.len()).then(|| bytes.split_to(length))
}
