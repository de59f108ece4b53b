//! Tests of the search for what a client signed instead.

use std::collections::BTreeSet;

use md5::{Digest, Md5};

use super::super::hex;
use super::super::request::{RequestAuthError, sign_request, verify_head};
use super::*;

const NOW: u64 = 1_700_000_000;
const PATH: &str = "/apps/1/channels/a";

fn app() -> Credentials {
    Credentials { id: "1".into(), key: "key".into(), secret: Secret::new("hush-hush".into()) }
}

/// Signs any text with any secret.
fn signed_with(secret: &str, text: &str) -> String {
    super::super::hmac_hex(&Secret::new(secret.into()), [text.as_bytes()])
}

/// What is said of `GET PATH?query` with the signature of another text.
fn difference(query: &str, text: &str) -> Option<Difference> {
    difference_of(&format!("{query}&auth_signature={}", signed_with("hush-hush", text)))
}

fn difference_of(query: &str) -> Option<Difference> {
    let head = RequestHead { method: "GET", prefix: "/ws", path: PATH, query, has_body: false };
    match verify_head(&app(), &head, &Query::parse(query), NOW, 600) {
        Err(RequestAuthError::Mismatch(mismatch)) => {
            let said = mismatch.to_string();
            assert!(!said.contains("hush") && !said.contains("v4l"), "neither a secret nor a value: {said}");
            mismatch.difference
        }
        other => panic!("{query}: {other:?}"),
    }
}

const AUTH: &str = "auth_key=key&auth_timestamp=1700000000&auth_version=1.0";

#[test]
fn another_method_or_path_is_named() {
    let method = |signed: &str| Difference::Method { signed: signed.into(), arrived: "GET".into() };
    let path = |signed: &str| Difference::Path { signed: signed.into(), arrived: PATH.into() };
    for (lines, expected) in [
        (format!("POST\n{PATH}"), method("POST")),
        (format!("get\n{PATH}"), method("get")),
        ("GET\n/apps/1/channels/a/".into(), path("/apps/1/channels/a/")),
        ("GET\n//apps/1/channels/a".into(), path("//apps/1/channels/a")),
        ("GET\napps/1/channels/a".into(), path("apps/1/channels/a")),
        ("GET\n/channels/a".into(), path("/channels/a")),
        ("GET\n/ws/apps/1/channels/a/".into(), path("/ws/apps/1/channels/a/")),
        ("GET\nws/apps/1/channels/a".into(), path("ws/apps/1/channels/a")),
    ] {
        assert_eq!(difference(AUTH, &format!("{lines}\n{AUTH}")), Some(expected), "{lines}");
    }
}

#[test]
fn a_path_that_was_decoded_on_the_way_is_named() {
    let path = "/apps/1/channels/a@b,c";
    let text = format!("GET\n/apps/1/channels/a%40b%2Cc\n{AUTH}");
    let query = format!("{AUTH}&auth_signature={}", signed_with("hush-hush", &text));
    let head = RequestHead { method: "GET", prefix: "", path, query: &query, has_body: false };
    let error = verify_head(&app(), &head, &Query::parse(&query), NOW, 600).unwrap_err().to_string();
    let expected =
        "the client signed the path /apps/1/channels/a%40b%2Cc, but /apps/1/channels/a@b,c arrived";
    assert!(error.ends_with(expected), "{error}");
}

#[test]
fn the_servers_own_prefix_may_be_signed() {
    let query = sign_request(&app(), "GET", "/ws/apps/1/channels/a", &[], b"", NOW);
    let verify = |prefix| {
        let head = RequestHead { method: "GET", prefix, path: PATH, query: &query, has_body: false };
        verify_head(&app(), &head, &Query::parse(&query), NOW, 600)
    };
    assert_eq!(verify("/ws"), Ok(()), "as clients of soketi do");
    assert!(verify("").is_err() && verify("/other").is_err());
}

#[test]
fn another_spelling_of_the_parameters_is_named() {
    let first = format!("{PATH}\nauth_key=key&auth_timestamp=1700000000&auth_version=1.0");
    for (query, text, expected) in [
        (
            "info=v4l&auth_version=1.0&auth_timestamp=1700000000&auth_key=key".to_owned(),
            format!("{PATH}\ninfo=v4l&auth_version=1.0&auth_timestamp=1700000000&auth_key=key"),
            Difference::Unsorted,
        ),
        (format!("Info=v4l&{AUTH}"), format!("{PATH}\nInfo=v4l&{AUTH}"), Difference::NameCase),
        (
            format!("{AUTH}&info[0]=v4l&info[1]=b"),
            format!("{first}&info[0]=v4l&info[1]=b"),
            Difference::Items,
        ),
        (format!("{AUTH}&info=v4l%2Cb"), format!("{first}&info=v4l%2Cb"), Difference::Escaped),
        (format!("{AUTH}&info=v4l,b"), format!("{first}&info=v4l%2Cb"), Difference::Escaped),
        (format!("info=v4l%2Cb&{AUTH}"), format!("{PATH}\ninfo=v4l%2Cb&{AUTH}"), Difference::AsSent),
        (
            format!("{AUTH}&filter_by_prefix=v4l%20b+c&d"),
            format!("{first}&filter_by_prefix=v4l b+c&d"),
            Difference::NotEscaped,
        ),
    ] {
        assert_eq!(difference(&query, &format!("GET\n{text}")), Some(expected), "{query}");
    }
}

#[test]
fn a_parameter_more_or_less_is_named() {
    let text = format!("GET\n{PATH}\n{AUTH}");
    let added = |query: &str| difference(query, &text);
    assert_eq!(added(&format!("{AUTH}&fbclid=v4l")), Some(Difference::Unsigned("fbclid".into())));
    assert_eq!(added(&format!("a=v4l&{AUTH}&z=v4l")), Some(Difference::AllUnsigned("a, z".into())));
    assert_eq!(
        added(&format!("{AUTH}&body_md5=d41d8cd98f00b204e9800998ecf8427e")),
        Some(Difference::DigestUnsigned)
    );
    let empty = format!("{text}&body_md5=d41d8cd98f00b204e9800998ecf8427e");
    assert_eq!(difference(AUTH, &empty), Some(Difference::DigestLost));
    let kept = format!("GET\n{PATH}\n{AUTH}&filter_by_prefix=v4l");
    let query = format!("{AUTH}&filter_by_prefix=v4l&utm%0Asource=v4l");
    assert_eq!(difference(&query, &kept), Some(Difference::Unsigned(r"utm\nsource".into())));
}

#[test]
fn another_secret_line_end_or_form_is_named() {
    let text = format!("GET\n{PATH}\n{AUTH}");
    for other in [text.replace('\n', "\r\n"), text.replace('\n', "\\n"), format!("{text}\n")] {
        assert_eq!(difference(AUTH, &other), Some(Difference::LineEnds), "{other}");
    }
    let with = |signature: &str| difference_of(&format!("{AUTH}&auth_signature={signature}"));
    assert_eq!(with(&signed_with("key", &text)), Some(Difference::KeyAsSecret));
    for secret in ["hush-hush\n", " hush-hush", "hush-hush ", "\"hush-hush\"", "'hush-hush'", "hush-hush\r"] {
        assert_eq!(with(&signed_with(secret, &text)), Some(Difference::PaddedSecret), "{secret:?}");
    }
    assert_eq!(with(&signed_with("hush-hush", &text).to_ascii_uppercase()), Some(Difference::UpperCase));
    assert_eq!(with(&signed_with("other", &text).to_ascii_uppercase()), Some(Difference::Form(64)));
    assert_eq!(with(&hex(&Md5::digest("x"))), Some(Difference::Form(32)));
    assert_eq!(with(&signed_with("other", &text)), None);
}

#[test]
fn each_difference_has_its_own_sentence() {
    let text = || "x".to_owned();
    let all = [
        Difference::Form(1),
        Difference::UpperCase,
        Difference::Method { signed: text(), arrived: text() },
        Difference::Path { signed: text(), arrived: text() },
        Difference::Unsigned(text()),
        Difference::AllUnsigned(text()),
        Difference::DigestUnsigned,
        Difference::DigestLost,
        Difference::Unsorted,
        Difference::NameCase,
        Difference::Items,
        Difference::Escaped,
        Difference::AsSent,
        Difference::NotEscaped,
        Difference::LineEnds,
        Difference::KeyAsSecret,
        Difference::PaddedSecret,
    ];
    let sentences: BTreeSet<_> = all.iter().map(ToString::to_string).collect();
    assert_eq!(sentences.len(), all.len());
}

#[test]
fn a_search_is_bounded_whatever_a_stranger_sends() {
    let (app, zeros) = (app(), "0".repeat(64));
    let left = |count: usize, length: usize| {
        let value = "v".repeat(length);
        let query = (0..count).map(|i| format!("p{i}={value}&")).collect::<String>() + AUTH;
        let head = RequestHead { method: "GET", prefix: "", path: PATH, query: &query, has_body: false };
        let parsed = Query::parse(&query);
        let search = Search::new(&app, &head, &parsed, &zeros);
        assert_eq!(search.difference(&zeros), None);
        search.left.get()
    };
    assert!(left(2, 5) > 0, "an honest request is searched to the end");
    assert_eq!(left(10, 2_000), 0, "a long one until the bytes are used up");
    assert_eq!(left(2_000, 1), SEARCH_BYTES, "one with very many parameters not at all");
}
