//! Why `body_md5` is not the digest of the body that arrived: the tries of [`super::difference`] for bodies. They run only
//! after the signature was found right, so no stranger can ask for them.

use md5::{Digest, Md5};

use super::hex;

/// JSON above this size is not spelled anew.
const RESPELLED_BYTES: usize = 64 * 1024;

/// What a client seems to have hashed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyDifference {
    /// No MD5 at all, by its form; how many characters it has.
    #[error("it must be 32 hexadecimal digits in lower case; it has {0} characters, or others than these")]
    Form(usize),
    /// Right but for its case.
    #[error("its digits are right, but in upper case")]
    UpperCase,
    /// A digest of nothing, with a body.
    #[error("the client hashed an empty body, but {0} bytes arrived")]
    OfNothing(usize),
    /// A digest of something, without a body.
    #[error("the client hashed a body, but none arrived")]
    Lost,
    /// White space around the body, put on or taken off after hashing.
    #[error("the client hashed the body without the white space at its end")]
    Trimmed,
    /// A line feed that did not arrive.
    #[error("the client hashed the body with a line feed at its end that did not arrive")]
    LineFeed,
    /// The same JSON with other spaces or escapes.
    #[error("the client hashed the same JSON, but written otherwise; it must hash the very bytes it sends")]
    Respelled,
    /// gzip.
    #[error("the body arrived compressed; it must be sent as it is")]
    Compressed,
    /// Something else.
    #[error("the client hashed other bytes than the {0} that arrived")]
    Other(usize),
}

impl BodyDifference {
    pub(super) fn explain(digest: &str, body: &[u8]) -> Self {
        let lower = digest.to_ascii_lowercase();
        let is_of = |bytes: &[u8]| hex(&Md5::digest(bytes)) == lower;
        let is_hex = lower.len() == 32 && lower.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_hex {
            return Self::Form(digest.chars().count());
        }
        match body {
            _ if is_of(body) => Self::UpperCase,
            [] => Self::Lost,
            _ if is_of(b"") => Self::OfNothing(body.len()),
            [0x1f, 0x8b, ..] => Self::Compressed,
            _ if is_of(body.trim_ascii_end()) => Self::Trimmed,
            _ if is_of(&[body, b"\n"].concat()) => Self::LineFeed,
            _ if respellings(body).any(|text| is_of(text.as_bytes())) => Self::Respelled,
            _ => Self::Other(body.len()),
        }
    }
}

/// The same JSON as the encoders of the field write it: with and without spaces, slashes escaped (PHP) or not, letters
/// beyond ASCII escaped (PHP, Python) or not.
fn respellings(body: &[u8]) -> impl Iterator<Item = String> {
    let text = std::str::from_utf8(body).ok().filter(|text| text.len() <= RESPELLED_BYTES);
    let styles =
        (0..8).map(|bits: u8| Style { spaces: bits & 1 != 0, slashes: bits & 2 != 0, ascii: bits & 4 != 0 });
    text.into_iter().flat_map(move |text| styles.clone().map(|style| respelled(text, style)))
}

/// A way to write JSON.
#[derive(Clone, Copy)]
struct Style {
    /// A space after each comma and colon.
    spaces: bool,
    /// `/` as `\/`.
    slashes: bool,
    /// Letters beyond ASCII as `\uXXXX`.
    ascii: bool,
}

fn respelled(json: &str, style: Style) -> String {
    let mut text = String::with_capacity(json.len() * 2);
    let (mut quoted, mut letters) = (false, json.chars());
    while let Some(letter) = letters.next() {
        match letter {
            '"' => {
                quoted = !quoted;
                text.push('"');
            }
            '\\' if quoted => match letters.next() {
                Some('/') => slash(&mut text, style),
                Some(escaped) => text.extend(['\\', escaped]),
                None => text.push('\\'),
            },
            '/' if quoted => slash(&mut text, style),
            _ if quoted && style.ascii && !letter.is_ascii() => {
                let units = letter
                    .encode_utf16(&mut [0; 2])
                    .iter()
                    .map(|unit| format!("\\u{unit:04x}"))
                    .collect::<String>();
                text.push_str(&units);
            }
            _ if quoted || !letter.is_ascii_whitespace() => {
                text.push(letter);
                if !quoted && style.spaces && matches!(letter, ',' | ':') {
                    text.push(' ');
                }
            }
            _ => {}
        }
    }
    text
}

fn slash(text: &mut String, style: Style) {
    text.push_str(if style.slashes { "\\/" } else { "/" });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashed(signed: &[u8], arrived: &[u8]) -> BodyDifference {
        BodyDifference::explain(&hex(&Md5::digest(signed)), arrived)
    }

    #[test]
    fn what_was_hashed_instead_is_found() {
        use BodyDifference as D;
        let json = r#"{"name":"a\/b é 😀","data":"{\"x\": 1}","channels":["a","b"]}"#;
        let arrived = br#"{"name": "a/b \u00e9", "data": "1"}"#;
        for (signed, arrived, expected) in [
            ("", "{}", D::OfNothing(2)),
            ("{}", "", D::Lost),
            ("{}", "{}\r\n", D::Trimmed),
            ("{}\n", "{}", D::LineFeed),
            ("{}", "{ }", D::Respelled),
            (json, r#"{"name": "a/b é 😀", "data": "{\"x\": 1}", "channels": ["a", "b"]}"#, D::Respelled),
            (
                r#"{"name":"a\/b \u00e9 \ud83d\ude00","data":"{\"x\": 1}","channels":["a","b"]}"#,
                r#"{"name":"a/b é 😀","data":"{\"x\": 1}","channels":["a","b"]}"#,
                D::Respelled,
            ),
            (r#"{"a": [1, 2], "b": "x, y:z"}"#, "{\"a\":[1,2],\n\"b\":\"x, y:z\"}", D::Respelled),
            ("{\"a\":1}", "{\"a\":2}", D::Other(7)),
            ("{\"a\":\"b c\"}", "{\"a\":\"bc\"}", D::Other(10)),
        ] {
            assert_eq!(hashed(signed.as_bytes(), arrived.as_bytes()), expected, "{signed} {arrived}");
        }
        assert_eq!(hashed(b"plain", &[0x1f, 0x8b, 8, 0]), D::Compressed);
        assert_eq!(hashed(b"x", &arrived[..]), D::Other(arrived.len()));
        assert_eq!(hashed(b"x", &[0xff, b'"', b'\\']), D::Other(3));
        let upper = hex(&Md5::digest(b"{}")).to_ascii_uppercase();
        assert_eq!(BodyDifference::explain(&upper, b"{}"), D::UpperCase);
        assert_eq!(BodyDifference::explain("mZFLkyvTelC1g8XnrJDnOw==", b"{}"), D::Form(24));
    }

    #[test]
    fn a_text_that_ends_within_an_escape_is_no_problem() {
        for text in ["\"\\", "\"", "\\", "\"\\u", "\"é"] {
            let _ = hashed(b"x", text.as_bytes());
        }
    }
}
