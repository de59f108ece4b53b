//! RFC 6455 to the letter, byte by byte: the cases of the usual fuzzing suites that need neither compression nor an echo.
//!
//! A text that is no message of the protocol is answered by a `pusher:error`, so that "accepted" can be seen. Each case
//! is sent twice: in one piece, and octet by octet.

use gema_tests::wire::{
    BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, Seen, TEXT, Wire, frame, frame_of_length,
};
use gema_tests::{Gema, Setup};

/// The answer to a text that was accepted as such.
const REFUSED: &str =
    r#"{"event":"pusher:error","data":"{\"code\":4200,\"message\":\"Invalid message format\"}"}"#;
const PROTOCOL_PING: &[u8] = br#"{"event":"pusher:ping","data":{}}"#;
const PROTOCOL_PONG: &str = r#"{"event":"pusher:pong","data":"{}"}"#;
/// A limit that frames with a length of 64 bits fit in.
const LARGE: usize = 100_000;

/// What must come of some bytes.
#[derive(Clone, Debug)]
enum Then {
    /// These frames, and the connection stays.
    Stays(Vec<Seen>),
    /// These frames, then a close frame with this code, then the end.
    Closes(Vec<Seen>, Option<u16>),
}

fn stays(frames: &[Seen]) -> Then {
    Then::Stays(frames.to_vec())
}

fn closes(code: u16) -> Then {
    Then::Closes(Vec::new(), Some(code))
}

fn refused() -> Seen {
    Seen::Text(REFUSED.to_owned())
}

fn pong(payload: &[u8]) -> Seen {
    Seen::Pong(payload.to_vec())
}

async fn greeted(gema: &Gema) -> Wire {
    let mut wire = Wire::open(gema.broadcast, &gema.target(), "", b"").await;
    assert!(wire.head.starts_with("HTTP/1.1 101 "), "{}", wire.head);
    let Seen::Text(text) = wire.next().await else { panic!("a greeting was due") };
    assert!(text.starts_with(r#"{"event":"pusher:connection_established""#), "{text}");
    wire
}

/// Sends the bytes and reads what they must lead to, to the last frame.
async fn check(gema: &Gema, name: &str, bytes: &[u8], then: &Then) {
    let longest_chopped = 1_000;
    for chopped in [false, true].into_iter().take(if bytes.len() > longest_chopped { 1 } else { 2 }) {
        let mut wire = greeted(gema).await;
        for piece in bytes.chunks(if chopped { 1 } else { bytes.len() }) {
            wire.send(piece).await;
        }
        let (frames, end) = match then {
            Then::Stays(frames) => (frames, None),
            Then::Closes(frames, code) => (frames, Some(code)),
        };
        for due in frames {
            assert_eq!(&wire.next().await, due, "{name}, octet by octet: {chopped}");
        }
        let Some(code) = end else {
            wire.send(&frame(FIN | TEXT, PROTOCOL_PING)).await;
            assert_eq!(wire.next().await, Seen::Text(PROTOCOL_PONG.to_owned()), "{name}: {chopped}");
            continue;
        };
        let last = wire.next().await;
        let Seen::Close(found, _) = &last else { panic!("{name}: a close was due, not {last:?}") };
        assert_eq!(found, code, "{name}, octet by octet: {chopped}");
        assert_eq!(wire.next().await, Seen::End, "{name}: nothing follows a close");
    }
}

async fn check_all(gema: &Gema, cases: &[(&str, Vec<u8>, Then)]) {
    for (name, bytes, then) in cases {
        check(gema, name, bytes, then).await;
    }
}

async fn server() -> Gema {
    Setup::broadcast().env("REVERB_APP_MAX_MESSAGE_SIZE", &LARGE.to_string()).start().await
}

#[tokio::test]
async fn lengths_are_read_in_each_of_their_forms_and_only_in_the_shortest() {
    let gema = server().await;
    for size in [0, 1, 125, 126, 127, 128, 65_535, 65_536] {
        let bytes = frame(FIN | TEXT, &vec![b'*'; size]);
        check(&gema, &format!("{size} bytes"), &bytes, &stays(&[refused()])).await;
        let bytes = frame(FIN | BINARY, &vec![0xfe; size]);
        check(&gema, &format!("{size} bytes, binary"), &bytes, &stays(&[refused()])).await;
    }
    let long = |length: u64| [&[127][..], &length.to_be_bytes()].concat();
    check_all(
        &gema,
        &[
            ("5 in two bytes", frame_of_length(FIN | TEXT, &[126, 0, 5], b"hello"), closes(1002)),
            ("125 in two bytes", frame_of_length(FIN | TEXT, &[126, 0, 125], &[b'x'; 125]), closes(1002)),
            ("5 in eight bytes", frame_of_length(FIN | TEXT, &long(5), b"hello"), closes(1002)),
            ("65,535 in eight bytes", frame_of_length(FIN | TEXT, &long(65_535), b""), closes(1002)),
            ("the highest bit", frame_of_length(FIN | TEXT, &long(1 << 63), b""), closes(1002)),
        ],
    )
    .await;
}

#[tokio::test]
async fn pings_are_answered_with_their_payload_also_between_fragments() {
    let gema = server().await;
    let ping = |payload: &[u8]| frame(FIN | PING, payload);
    let many: Vec<u8> = (0..10).flat_map(|n| ping(&[n])).collect();
    let between =
        [frame(TEXT, b"frag"), ping(b"x"), frame(CONTINUATION, b"me"), ping(b"y"), frame(FIN, b"nt")];
    check_all(
        &gema,
        &[
            ("an empty ping", ping(b""), stays(&[pong(b"")])),
            ("a ping with text", ping(b"hello"), stays(&[pong(b"hello")])),
            (
                "a ping that is not UTF-8",
                ping(&[0, 0xff, 0xfe, 0xfd]),
                stays(&[pong(&[0, 0xff, 0xfe, 0xfd])]),
            ),
            ("a ping of 125 bytes", ping(&[0xfe; 125]), stays(&[pong(&[0xfe; 125])])),
            ("a ping of 126 bytes", ping(&[0xfe; 126]), closes(1002)),
            ("ten pings", many, stays(&(0..10).map(|n| pong(&[n])).collect::<Vec<_>>())),
            ("an unasked pong", frame(FIN | PONG, b"hello"), stays(&[])),
            ("a pong of 125 bytes", frame(FIN | PONG, &[1; 125]), stays(&[])),
            ("a pong of 126 bytes", frame(FIN | PONG, &[1; 126]), closes(1002)),
            ("pings between fragments", between.concat(), stays(&[pong(b"x"), pong(b"y"), refused()])),
            ("a fragmented ping", [frame(PING, b"a"), frame(FIN, b"b")].concat(), closes(1002)),
            ("a fragmented pong", [frame(PONG, b"a"), frame(FIN, b"b")].concat(), closes(1002)),
            ("a fragmented close", frame(CLOSE, &[0x03, 0xe8]), closes(1002)),
        ],
    )
    .await;
}

#[tokio::test]
async fn fragments_make_one_message_and_are_in_order() {
    let gema = server().await;
    let whole: Vec<u8> = PROTOCOL_PING.to_vec();
    let octets: Vec<u8> = (0..whole.len())
        .flat_map(|at| {
            let first = if at == 0 { TEXT } else { CONTINUATION };
            frame(if at + 1 == whole.len() { first | FIN } else { first }, &whole[at..=at])
        })
        .collect();
    let ponged = Seen::Text(PROTOCOL_PONG.to_owned());
    let empty = [frame(TEXT, b""), frame(CONTINUATION, b""), frame(FIN, &whole), frame(FIN | TEXT, b"x")];
    let empty_message = [frame(TEXT, b""), frame(CONTINUATION, b""), frame(FIN, b"")];
    let binary = [frame(BINARY, &whole[..9]), frame(FIN, &whole[9..])];
    check_all(
        &gema,
        &[
            ("a fragment for each octet", octets, stays(std::slice::from_ref(&ponged))),
            ("empty fragments", empty.concat(), stays(&[ponged.clone(), refused()])),
            ("a message of empty fragments", empty_message.concat(), stays(&[refused()])),
            ("binary fragments", binary.concat(), stays(&[ponged])),
            ("a continuation of nothing", frame(FIN, b"x"), closes(1002)),
            ("a continuation of nothing that goes on", frame(CONTINUATION, b"x"), closes(1002)),
            (
                "a continuation of what is complete",
                [frame(TEXT, b"a"), frame(FIN, b"b"), frame(FIN, b"c")].concat(),
                Then::Closes(vec![refused()], Some(1002)),
            ),
            ("a text within a text", [frame(TEXT, b"a"), frame(FIN | TEXT, b"b")].concat(), closes(1002)),
            ("a text begun within a text", [frame(TEXT, b"a"), frame(TEXT, b"b")].concat(), closes(1002)),
            ("binary within a text", [frame(TEXT, b"a"), frame(FIN | BINARY, b"b")].concat(), closes(1002)),
            (
                "a close between fragments",
                [frame(TEXT, b"a"), frame(FIN | CLOSE, &[3, 232]), frame(FIN, b"b")].concat(),
                closes(1000),
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn reserved_bits_opcodes_and_missing_masks_are_refused() {
    let gema = server().await;
    for bits in 1..8 {
        for opcode in [TEXT, PING, CLOSE] {
            let name = format!("reserved bits {bits} on opcode {opcode}");
            check(&gema, &name, &frame(FIN | bits << 4 | opcode, b"x"), &closes(1002)).await;
        }
    }
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        for (first, payload) in [(FIN | opcode, &b""[..]), (FIN | opcode, b"x"), (opcode, b"x")] {
            check(&gema, &format!("opcode {opcode}"), &frame(first, payload), &closes(1002)).await;
        }
        let between = [frame(TEXT, b"a"), frame(FIN | opcode, b""), frame(FIN, b"b")].concat();
        check(&gema, &format!("opcode {opcode} between fragments"), &between, &closes(1002)).await;
    }
    for first in [TEXT, BINARY, PING, CLOSE] {
        check(&gema, &format!("opcode {first} without a mask"), &[FIN | first, 0], &closes(1002)).await;
    }
    let then_broken = [frame(FIN | TEXT, b"x"), frame(FIN | PING, b"y"), frame(0xc1, b"z")].concat();
    let then = Then::Closes(vec![refused(), pong(b"y")], Some(1002));
    check(&gema, "what came before a broken frame counts", &then_broken, &then).await;
}

#[tokio::test]
async fn a_close_is_answered_with_its_code_or_refused_and_nothing_follows_it() {
    let gema = server().await;
    let close = |payload: &[u8]| frame(FIN | CLOSE, payload);
    let with = |code: u16, reason: &[u8]| close(&[&code.to_be_bytes(), reason].concat());
    for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000, 3999, 4000, 4999] {
        check(&gema, &format!("code {code}"), &with(code, b""), &closes(code)).await;
        check(&gema, &format!("code {code} and a reason"), &with(code, b"because"), &closes(code)).await;
    }
    for code in [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
        check(&gema, &format!("code {code}"), &with(code, b""), &closes(1002)).await;
    }
    let after = [with(1000, b""), frame(FIN | TEXT, b"x"), frame(FIN | PING, b"y"), with(1001, b"")].concat();
    check_all(
        &gema,
        &[
            ("no code", close(b""), Then::Closes(Vec::new(), None)),
            ("half a code", close(&[3]), closes(1002)),
            ("the longest reason", with(1000, &[b'*'; 123]), closes(1000)),
            ("a reason too long", with(1000, &[b'*'; 124]), closes(1002)),
            ("a reason that is not UTF-8", with(1000, &[0xce, 0xba, 0xff]), closes(1007)),
            ("a reason cut within a letter", with(1000, &[0xce]), closes(1007)),
            ("a reason beyond ASCII", with(1000, "κόσμε".as_bytes()), closes(1000)),
            ("data after the close", after, closes(1000)),
            (
                "a text before the close",
                [frame(FIN | TEXT, b"x"), with(1000, b"")].concat(),
                Then::Closes(vec![refused()], Some(1000)),
            ),
        ],
    )
    .await;
}

/// Not UTF-8: what makes it so is in the bytes themselves, not in what might still come.
const NOT_UTF8: [(&str, &[u8]); 14] = [
    ("no such byte", &[0xff]),
    ("no such byte either", &[0xfe]),
    ("a continuation alone", &[0x80]),
    ("two continuations", &[0xbf, 0x80]),
    ("an overlong slash", &[0xc0, 0xaf]),
    ("an overlong slash of three", &[0xe0, 0x80, 0xaf]),
    ("an overlong slash of four", &[0xf0, 0x80, 0x80, 0xaf]),
    ("an overlong zero", &[0xc1, 0xbf]),
    ("the first surrogate", &[0xed, 0xa0, 0x80]),
    ("the last surrogate", &[0xed, 0xbf, 0xbf]),
    ("a pair of surrogates", &[0xed, 0xa0, 0x80, 0xed, 0xb0, 0x80]),
    ("above U+10FFFF", &[0xf4, 0x90, 0x80, 0x80]),
    ("five bytes", &[0xf8, 0x88, 0x80, 0x80, 0x80]),
    ("six bytes", &[0xfc, 0x84, 0x80, 0x80, 0x80, 0x80]),
];

/// Characters whose last byte is missing.
const TRUNCATED: [&[u8]; 4] = [&[0xce], &[0xe1, 0x88], &[0xf0, 0x9f], &[0xf0, 0x9f, 0x98]];

#[tokio::test]
async fn invalid_utf8_is_refused_wherever_it_is_cut() {
    let gema = server().await;
    for (name, bad) in NOT_UTF8 {
        check(&gema, name, &frame(FIN | TEXT, bad), &closes(1007)).await;
        let inside = [&b"a\xce\xba"[..], bad, b"z"].concat();
        check(&gema, name, &frame(FIN | TEXT, &inside), &closes(1007)).await;
        // The fragment is complete, the message is not: it is refused at once.
        check(&gema, name, &frame(TEXT, &inside), &closes(1007)).await;
        for cut in 0..=inside.len() {
            let parts = [frame(TEXT, &inside[..cut]), frame(FIN, &inside[cut..])].concat();
            check(&gema, &format!("{name}, cut at {cut}"), &parts, &closes(1007)).await;
        }
        let after_ping = [frame(TEXT, b"a"), frame(FIN | PING, b"x"), frame(FIN, bad)].concat();
        check(&gema, name, &after_ping, &Then::Closes(vec![pong(b"x")], Some(1007))).await;
    }
    for bad in TRUNCATED {
        let name = format!("{bad:02x?} and nothing more");
        check(&gema, &name, &frame(FIN | TEXT, bad), &closes(1007)).await;
        check(&gema, &name, &[frame(TEXT, bad), frame(FIN, b"")].concat(), &closes(1007)).await;
        check(&gema, &name, &[frame(TEXT, bad), frame(CONTINUATION, b"(")].concat(), &closes(1007)).await;
    }
}

#[tokio::test]
async fn valid_utf8_is_accepted_wherever_it_is_cut() {
    let gema = server().await;
    let edges = "\u{0}\u{7f}\u{80}\u{7ff}\u{800}\u{d7ff}\u{e000}\u{fffd}\u{ffff}\u{10000}\u{10ffff}κόσμε😀";
    let text = edges.as_bytes();
    check(&gema, "whole", &frame(FIN | TEXT, text), &stays(&[refused()])).await;
    for cut in 0..=text.len() {
        let parts = [frame(TEXT, &text[..cut]), frame(FIN, &text[cut..])].concat();
        check(&gema, &format!("cut at {cut}"), &parts, &stays(&[refused()])).await;
    }
    let octets: Vec<u8> = text.iter().flat_map(|byte| frame(CONTINUATION, &[*byte])).collect();
    let parts = [frame(TEXT, b""), octets, frame(FIN, b"")].concat();
    check(&gema, "a fragment for each octet", &parts, &stays(&[refused()])).await;
}

#[tokio::test]
async fn a_message_above_the_limit_is_refused_in_one_frame_and_in_many() {
    let gema = Setup::broadcast().env("REVERB_APP_MAX_MESSAGE_SIZE", "1024").start().await;
    let half = vec![b'x'; 512];
    let header_only =
        |size: u16| frame_of_length(FIN | TEXT, &[&[126][..], &size.to_be_bytes()].concat(), b"");
    let many: Vec<u8> = [frame(TEXT, b"")]
        .into_iter()
        .chain((0..64).map(|_| frame(CONTINUATION, &[b'x'; 16])))
        .chain([frame(FIN, b"x")])
        .flatten()
        .collect();
    check_all(
        &gema,
        &[
            ("at the limit", frame(FIN | TEXT, &[b'x'; 1024]), stays(&[refused()])),
            ("at the limit in two", [frame(TEXT, &half), frame(FIN, &half)].concat(), stays(&[refused()])),
            ("above it", frame(FIN | TEXT, &[b'x'; 1025]), closes(1009)),
            ("above it, by its header alone", header_only(1025), closes(1009)),
            ("far above it, by its header alone", header_only(65_535), closes(1009)),
            ("above it, binary", frame(FIN | BINARY, &[0; 1025]), closes(1009)),
            (
                "above it in three",
                [frame(TEXT, &half), frame(CONTINUATION, &half), frame(FIN, b"x")].concat(),
                closes(1009),
            ),
            (
                "above it before the end",
                [frame(TEXT, &half), frame(CONTINUATION, &[0; 513])].concat(),
                closes(1009),
            ),
            ("above it in many", many, closes(1009)),
            (
                "pings between do not count",
                [frame(TEXT, &half), frame(FIN | PING, &[7; 125]), frame(FIN, &half)].concat(),
                stays(&[pong(&[7; 125]), refused()]),
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn the_handshake_is_that_of_the_rfc() {
    let gema = server().await;
    let offers = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\
                  Sec-WebSocket-Protocol: chat, superchat\r\n";
    let wire = Wire::open(gema.broadcast, &gema.target(), offers, b"").await;
    let head = wire.head.to_lowercase();
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    // The accept value of a key of sixteen zeros.
    assert!(wire.head.contains("ICX+Yqv66kxgM0FcWaLWlFLwTAI="), "{}", wire.head);
    assert!(!head.contains("sec-websocket-extensions") && !head.contains("sec-websocket-protocol"), "{head}");
    let good = [
        "Host: x",
        "Upgrade: websocket",
        "Connection: keep-alive, Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    ];
    let ask = async |lines: &[&str]| {
        let request = format!("GET {} HTTP/1.1\r\n{}\r\n\r\n", gema.target(), lines.join("\r\n"));
        Wire::request(gema.broadcast, request.as_bytes()).await.head
    };
    assert!(ask(&good).await.starts_with("HTTP/1.1 101 "));
    for (at, line, status) in [
        (1, "X: y", "426"),
        (1, "Upgrade: h2c", "426"),
        (2, "Connection: keep-alive", "426"),
        (3, "X: y", "426"),
        (3, "Sec-WebSocket-Version: 8", "426"),
        (4, "X: y", "400"),
        (4, "Sec-WebSocket-Key: short", "400"),
    ] {
        let mut lines = good;
        lines[at] = line;
        let head = ask(&lines).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{line}: {head}");
    }
    let mut lines = good;
    lines[3] = "Sec-WebSocket-Version: 8";
    let head = ask(&lines).await;
    assert!(head.to_lowercase().contains("sec-websocket-version: 13"), "{head}");
}

#[tokio::test]
async fn frames_that_came_with_the_handshake_are_not_lost() {
    let gema = server().await;
    let early = [frame(FIN | TEXT, PROTOCOL_PING), frame(FIN | PING, b"x"), frame(0xc1, b"")].concat();
    let mut wire = Wire::open(gema.broadcast, &gema.target(), "", &early).await;
    assert!(matches!(wire.next().await, Seen::Text(text) if text.contains("connection_established")));
    assert_eq!(wire.next().await, Seen::Text(PROTOCOL_PONG.to_owned()));
    assert_eq!(wire.next().await, pong(b"x"));
    assert!(matches!(wire.next().await, Seen::Close(Some(1002), _)));
    assert_eq!(wire.next().await, Seen::End);
}
