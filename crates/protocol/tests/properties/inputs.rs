//! Strategies: inputs that are nearly right are worth more than noise.

use proptest::prelude::*;

use super::checks::CUT;

/// Anything at all.
pub(crate) fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..120)
}

/// Any text.
pub(crate) fn any_text() -> impl Strategy<Value = Vec<u8>> {
    ".{0,60}".prop_map(String::into_bytes)
}

/// A byte, then so many texts with the byte between them.
pub(crate) fn texts(count: usize) -> impl Strategy<Value = Vec<u8>> {
    let text = prop_oneof!["[ -~]{0,80}", ".{0,20}", "(%[0-9a-f]{2}|[a-z/]){0,10}"];
    let texts = prop::collection::vec(text.prop_map(String::into_bytes), count);
    (any::<u8>(), texts).prop_map(|(first, texts)| [vec![first], texts.join(&CUT)].concat())
}

/// The size of the pieces and a stream of frames, most of them right.
pub(crate) fn stream() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![8 => prop::sample::select(&[0x81, 0x01, 0x00, 0x80, 0x82, 0x88, 0x89, 0x8a][..]), 1 => any::<u8>()];
    let length = prop_oneof![
        4 => (0_u8..126).prop_map(|length| (vec![0x80 | length], length.into())),
        2 => prop_oneof![124_u16..129, 0_u16..300].prop_map(|length| ([&[0xfe][..], &length.to_be_bytes()].concat(), length.into())),
        1 => (65_534_u64..65_538).prop_map(|length| ([&[0xff][..], &length.to_be_bytes()].concat(), length)),
        1 => any::<[u8; 9]>().prop_map(|bytes| (bytes.to_vec(), 0)),
    ];
    let frame = (first, length).prop_map(|(first, (second, length))| {
        let payload = usize::try_from(length).unwrap_or(0) + 4;
        [&[first][..], &second, &vec![0x7b; payload]].concat()
    });
    (any::<u8>(), prop::collection::vec(frame, 0..5))
        .prop_map(|(size, frames)| [vec![size], frames.concat()].concat())
}

/// One of the samples after a few changes: a byte replaced, put in, taken out, or a stretch doubled.
pub(crate) fn mutated(samples: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![prop::sample::select(&b"{}[]:,\"\\ 0-1.eu&=%+\xff\n"[..]), any::<u8>()];
    let change = (any::<prop::sample::Index>(), byte, 0_u8..4);
    let changes = prop::collection::vec(change, 0..4);
    (prop::sample::select(samples), changes).prop_map(|(sample, changes)| {
        let mut bytes = sample.as_bytes().to_vec();
        for (at, byte, kind) in changes {
            let at = at.index(bytes.len() + 1).min(bytes.len() - 1);
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 if bytes.len() > 1 => drop(bytes.remove(at)),
                _ => bytes.extend_from_within(at..),
            }
        }
        bytes
    })
}

/// The words of the samples in any order: wrong types, missing and doubled fields, and now and then something valid.
pub(crate) fn json_soup(samples: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let mut words: Vec<String> = samples.iter().flat_map(|sample| words(sample)).collect();
    words.sort();
    words.dedup();
    let value = prop_oneof![
        prop::sample::select(words.clone()),
        prop::sample::select(&["1", "null", "[]", "{}", "\"\"", "\"a\"", "1e400", "\"\\ud800\""][..])
            .prop_map(str::to_owned),
    ];
    let field =
        (prop::sample::select(words), value.clone()).prop_map(|(name, value)| format!("{name}:{value}"));
    let object =
        prop::collection::vec(field.clone(), 0..5).prop_map(|fields| format!("{{{}}}", fields.join(",")));
    let nested = (prop::collection::vec(field, 0..4), object.clone()).prop_map(|(mut fields, object)| {
        fields.push(format!("\"data\":{object}"));
        format!(" {{{}}}", fields.join(","))
    });
    prop_oneof![object, nested].prop_map(String::into_bytes)
}

/// The strings of a JSON text with their quotes.
fn words(json: &str) -> Vec<String> {
    let unescaped = json.replace("\\\"", "'");
    let inside = unescaped.split('"').skip(1).step_by(2);
    inside.map(|word| format!("\"{}\"", word.replace('\'', "\\\""))).collect()
}
