//! Three rules of reading JSON that serde does not enforce by itself. Used by every module that parses.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A `T` that must be written as a JSON object: a derived `Deserialize` would also take an array, by position.
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OnlyMap<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for OnlyMap<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }

        deserializer.deserialize_map(OnlyMap(PhantomData)).map(Object)
    }
}

/// A JSON string, borrowed from the input unless it holds escapes. Inside an `Option`, serde would copy a bare `Cow`.
#[derive(serde::Deserialize)]
#[serde(transparent)]
pub(crate) struct Text<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

/// Keeps a present `null` apart from an absent field, so that it can be passed on as it came.
pub(crate) fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// What serde dislikes, in a text that may be shown: it quotes the input, which may be huge.
pub(crate) fn complaint(error: &serde_json::Error) -> String {
    const LONGEST: usize = 300;
    let text = error.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}… at line {} column {}", &text[..end], error.line(), error.column()),
        None => text,
    }
}

/// How deep arrays and objects nest in `json`, which must be valid JSON.
///
/// serde limits the depth of what it builds, but a `RawValue` is only skipped over: its depth is the sender's choice,
/// and would be the problem of every recursive parser among the receivers.
pub(crate) fn depth(json: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let (mut quoted, mut escaped) = (false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_brackets_outside_strings() {
        for (json, expected) in [
            ("1", 0),
            ("{}", 1),
            (r#"{"a":[1,{"b":2}],"c":[]}"#, 3),
            (r#"["[[[","\"[[[",{}]"#, 2),
            (r#""\\""#, 0),
        ] {
            assert_eq!(depth(json), expected, "{json}");
        }
    }

    #[test]
    fn a_complaint_about_a_huge_input_is_short() {
        let input = format!("\"{}\"", "é".repeat(100_000));
        let text = complaint(&serde_json::from_str::<u8>(&input).unwrap_err());
        assert!(text.chars().count() < 400 && text.ends_with("at line 1 column 200002"), "{text}");
        let text = complaint(&serde_json::from_str::<u8>("null").unwrap_err());
        assert_eq!(text, "invalid type: null, expected u8 at line 1 column 4");
    }

    #[test]
    fn an_object_is_not_an_array() {
        #[derive(serde::Deserialize)]
        struct One {
            a: u8,
        }
        let parse = |json| serde_json::from_str::<Object<One>>(json).map(|o| o.0.a);
        assert_eq!(parse(r#" {"a":1} "#).unwrap(), 1);
        assert!(parse("[1]").is_err() && parse("1").is_err() && parse("null").is_err());
    }
}
