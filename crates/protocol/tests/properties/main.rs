//! Properties: what holds for any input, with inputs made up by proptest. What holds for any *bytes* is in [`checks`],
//! which the fuzz targets share.

#![expect(clippy::expect_used, reason = "a property that cannot be evaluated shall fail its test")]

mod checks;
mod frame_headers;
mod inputs;
mod origins;
mod time;

use proptest::prelude::*;

use checks::CUT;
use inputs::{any_bytes, any_text, json_soup, mutated, stream, texts};

/// Real inputs of each kind, from which small changes lead to the interesting ones.
const MESSAGES: &[&str] = &[
    r#"{"event":"pusher:ping","data":{}}"#,
    r#"{"event":"pusher:subscribe","data":{"auth":"k:0f","channel_data":"{\"user_id\":1}","channel":"presence-a"}}"#,
    r#"{"event":"pusher:subscribe","data":"{\"channel\":\"a\",\"auth\":null}"}"#,
    r#"{"event":"pusher:unsubscribe","data":{"channel":"a"}}"#,
    r#"{"event":"pusher:signin","data":{"auth":"k:0f","user_data":"{\"id\":\"7\"}"}}"#,
    r#"{"event":"client-typing","channel":"private-a","data":{"a":[1.50,"\u00e9\ud83d\ude00",null,true]}}"#,
    r#"{"event":"client-x","channel":"private-a"}"#,
    r#"["pusher:subscribe",null,{"channel":"a"}]"#,
    r#"{"event":"pusher:subscribe","data":["a"]}"#,
];
const IDENTITIES: &[&str] = &[
    r#"{"user_id":"10","user_info":{"name":"A"}}"#,
    r#"{"user_id":-10}"#,
    r#"["10",null]"#,
    r#"{"user_id":12345678901234567890,"user_info":[1e400,"\ud800"]}"#,
    r#"{"id":"7","user_info":{"a": 1},"watchlist":["8","\u0039"]}"#,
];
const PUBLISHED: &[&str] = &[
    r#" {"name":"e","data":"1","channel":"a","x":"skipped"}"#,
    r#" {"name":"App\\Events\\X","data":"{\"a\":1}","channels":["a","private-b","a"],"socket_id":"1.2","info":"cache"}"#,
    r#" {"name":"e","data":"","channel":"a"}"#,
    r#" ["e","1",["a"]]"#,
    " name=e&data=x+y&channels[]=a&channels[]=b&socket_id=1.2&info=cache",
    r#" {"batch":[{"name":"e","data":"1","channel":"a","info":"user_count"},{"name":"e","data":"2","channel":"b"}]}"#,
];
const QUERIES: &[&str] = &[
    "auth_key=k&auth_timestamp=1&auth_version=1.0&info=a,b&auth_signature=0f",
    "info[]=a&info[]=b&Info%5B2%5D=c&k[x]=1&[0]=2&k[1][2]=3",
    "a=%20+%2B%zz&b&=c&&filter_by_prefix=private-%c3%a9",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn messages(input in prop_oneof![mutated(MESSAGES), json_soup(MESSAGES), any_text(), any_bytes()]) {
        checks::message::check(&input);
    }

    #[test]
    fn frames(input in prop_oneof![stream(), any_bytes()]) {
        checks::frames::check(&input);
    }

    #[test]
    fn identities(input in prop_oneof![mutated(IDENTITIES), json_soup(IDENTITIES), any_bytes()]) {
        checks::identity::check(&input);
    }

    #[test]
    fn published_bodies(input in prop_oneof![mutated(PUBLISHED), json_soup(PUBLISHED), any_text(), any_bytes()]) {
        checks::publish::check(&input);
    }

    #[test]
    fn channel_names(
        limit in any::<u8>(),
        prefix in prop::sample::select(gema_protocol::channel::ChannelKind::ALL),
        rest in prop_oneof!["[a-z=@,.;_-]{0,60}", ".{0,20}"],
        cut in 0_usize..5
    ) {
        let prefix = prefix.prefix();
        let prefix = &prefix[..prefix.len().saturating_sub(cut)];
        checks::channel_name::check(&[&[limit], prefix.as_bytes(), rest.as_bytes()].concat());
        checks::channel_name::check(&[&[limit], rest.as_bytes()].concat());
    }

    #[test]
    fn queries(input in prop_oneof![mutated(QUERIES), any_text(), any_bytes(), "([a-cA-C\\[\\]0-1=&%+]|%5[bBdD]){0,40}".prop_map(String::into_bytes)]) {
        checks::query::check(&input);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(384))]

    #[test]
    fn signatures(input in prop_oneof![texts(6), any_bytes()]) {
        checks::signature::check(&input);
    }
}

/// The judge of all the others is judged by hand.
#[test]
fn the_strict_reader_knows_json() {
    for good in [
        "0",
        "-0",
        "10.5e-3",
        "1E+2",
        " [ ] ",
        "{}",
        r#"{"a":{"b":[1,{"c":null}]},"a":true}"#,
        r#""\"\\\/\b\f\n\r\t\u00e9\ud800""#,
        "\t\r\n\"é\u{7f}\"",
    ] {
        assert!(checks::json::is_json(good), "{good}");
    }
    for bad in [
        "",
        " ",
        "01",
        "1.",
        ".5",
        "+1",
        "-",
        "1e",
        "1 2",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[",
        "]",
        "[}",
        "{]",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{"a":1,}"#,
        "{1:2}",
        "{a:1}",
        "'a'",
        "\"",
        "\"\n\"",
        r#""\x""#,
        r#""\u00g0""#,
        "nul",
        "True",
        "NaN",
        "[1]]",
        "\u{feff}1",
        "\u{a0}1",
        "1\0",
        "/**/1",
    ] {
        assert!(!checks::json::is_json(bad), "{bad}");
    }
    assert!(checks::json::is_object(" {} ") && !checks::json::is_object("[]"));
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    assert!(checks::json::is_json(&deep) && !checks::json::is_json(&deep[1..]));
}

/// Inputs are cut into texts as they were put together.
#[test]
fn texts_are_cut_at_their_byte() {
    let input = [&b"a"[..], &[CUT], "é".as_bytes(), &[CUT, CUT]].concat();
    assert_eq!(checks::texts(&input), ["a", "é", "", "", ""]);
}
