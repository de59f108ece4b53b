//! Query strings of the HTTP API.

use std::collections::BTreeMap;

use gema_protocol::signature::Query;

/// Read naively, a query is the same; its names are sorted, each once; and reading what was read changes nothing.
pub(crate) fn check(bytes: &[u8]) {
    let raw = String::from_utf8_lossy(bytes);
    let query = Query::parse(&raw);
    let pairs: Vec<(&str, &str)> = query.iter().collect();
    assert!(pairs.is_sorted_by(|(a, _), (b, _)| a < b), "sorted, each once: {raw}");
    assert!(pairs.iter().rev().take(20).all(|(name, value)| query.get(name) == Some(value)));
    assert!(pairs.iter().all(|(name, _)| !name.bytes().any(|byte| byte.is_ascii_uppercase())));

    let naive = naive(&raw);
    assert!(
        pairs.iter().copied().eq(naive.iter().map(|(name, value)| (name.as_str(), value.as_str()))),
        "{raw}: {naive:?}"
    );
    // The brackets of nested arrays are taken off one at a time; nobody sends such.
    if pairs.iter().all(|(name, _)| item_of(name).is_none()) {
        assert_eq!(Query::parse(&encoded(pairs.iter().copied())), query);
    }
}

/// The query string of these parameters, with every byte escaped.
pub(crate) fn encoded<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let escape = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    pairs.map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect::<Vec<_>>().join("&")
}

fn naive(raw: &str) -> BTreeMap<String, String> {
    let mut folded: BTreeMap<String, (String, bool)> = BTreeMap::new();
    for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decoded(name).to_ascii_lowercase(), decoded(value));
        let (name, is_item) = item_of(&name).map_or((name.clone(), false), |array| (array.to_owned(), true));
        match folded.get_mut(&name) {
            Some((all, true)) if is_item => all.extend([",", &value]),
            _ => drop(folded.insert(name, (value, is_item))),
        }
    }
    folded.into_iter().map(|(name, (value, _))| (name, value)).collect()
}

/// `k` of `k[]` and `k[7]`.
fn item_of(name: &str) -> Option<&str> {
    let open = name.rfind('[')?;
    let digits = name[open + 1..].strip_suffix(']')?;
    (open > 0 && digits.chars().all(|digit| digit.is_ascii_digit())).then(|| &name[..open])
}

fn decoded(text: &str) -> String {
    let (text, mut bytes, mut at) = (text.as_bytes(), Vec::new(), 0);
    while at < text.len() {
        let hex = text.get(at + 1..at + 3).filter(|hex| hex.iter().all(u8::is_ascii_hexdigit));
        let (byte, used) = match (text[at], hex) {
            (b'+', _) => (b' ', 1),
            (b'%', Some(hex)) => {
                let hex = std::str::from_utf8(hex).expect("two hexadecimal digits");
                (u8::from_str_radix(hex, 16).expect("two hexadecimal digits"), 3)
            }
            (byte, _) => (byte, 1),
        };
        bytes.push(byte);
        at += used;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
