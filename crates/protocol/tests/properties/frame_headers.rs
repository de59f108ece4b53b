//! Client frames, cut anywhere: where they were cut changes nothing, and a fault is found at its own byte.

use gema_protocol::frame_headers::{Broken, FrameHeaders, HeaderFault};
use proptest::prelude::*;

/// A correct frame of a client: text, binary, a fragment or a control frame.
fn frame() -> impl Strategy<Value = Vec<u8>> {
    let data = (
        prop_oneof![Just(0_u8), Just(1), Just(2)],
        any::<bool>(),
        prop_oneof![0..130_usize, 65_530..65_540_usize],
    );
    let control = (8..11_u8, Just(true), 0..126_usize);
    prop_oneof![4 => data, 1 => control].prop_map(|(opcode, last, length)| {
        let mut frame = vec![opcode | if last { 0x80 } else { 0 }];
        match u16::try_from(length) {
            Ok(short @ 0..126) => frame.push(0x80 | u8::try_from(short).expect("below 126")),
            Ok(medium) => frame.extend([&[0x80 | 126][..], &medium.to_be_bytes()].concat()),
            Err(_) => frame.extend([&[0x80 | 127][..], &(length as u64).to_be_bytes()].concat()),
        }
        frame.extend(std::iter::repeat_n(0xc1, 4 + length));
        frame
    })
}

/// The stream in pieces of these sizes, the rest in one; how many bytes were good, and the fault.
fn feed(stream: &[u8], sizes: &[usize]) -> (usize, Option<HeaderFault>) {
    let mut headers = FrameHeaders::default();
    let (mut at, mut sizes) = (0, sizes.iter());
    while at < stream.len() {
        let size = sizes.next().map_or(stream.len(), |size| *size).min(stream.len() - at);
        if let Err(Broken { good, fault }) = headers.feed(&stream[at..at + size]) {
            return (at + good, Some(fault));
        }
        at += size;
    }
    (at, None)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn correct_frames_pass_and_the_first_fault_is_found_at_its_byte(
        frames in prop::collection::vec(frame(), 0..5),
        sizes in prop::collection::vec(1..200_usize, 0..40),
        (bad, at, fault) in prop::sample::select(vec![
            (&[0xc1, 0x80][..], 0, HeaderFault::ReservedBit),
            (&[0x83, 0x80], 0, HeaderFault::ReservedOpcode),
            (&[0x0a, 0x80], 0, HeaderFault::Control),
            (&[0x89, 0xfe, 0, 126], 1, HeaderFault::Control),
            (&[0x81, 0x05], 1, HeaderFault::Unmasked),
            (&[0x81, 0xfe, 0, 125], 3, HeaderFault::Length),
            (&[0x82, 0xff, 0, 0, 0, 0, 0, 0, 255, 255], 9, HeaderFault::Length),
        ]),
    ) {
        let good = frames.concat();
        prop_assert_eq!(feed(&good, &sizes), (good.len(), None));
        let stream = [&good[..], bad, &[0; 50]].concat();
        prop_assert_eq!(feed(&stream, &sizes), (good.len() + at, Some(fault)));
    }

    #[test]
    fn where_any_bytes_are_cut_changes_nothing(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        sizes in prop::collection::vec(1..20_usize, 0..60),
    ) {
        prop_assert_eq!(feed(&bytes, &sizes), feed(&bytes, &[]));
    }
}
