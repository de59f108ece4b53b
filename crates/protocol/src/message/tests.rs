//! Tests of [`super::parse`].

use super::*;

/// A message in short: its kind and its fields, `-` for one that is absent, `4200` for a refusal.
fn shown(text: &str) -> String {
    let opt = |field: &Option<Cow<'_, str>>| field.as_deref().unwrap_or("-").to_owned();
    match parse(text) {
        Ok(ClientMessage::Ping) => "ping".into(),
        Ok(ClientMessage::Pong) => "pong".into(),
        Ok(ClientMessage::Ignored) => "ignored".into(),
        Ok(ClientMessage::Subscribe(s)) => {
            format!("subscribe {} {} {}", s.channel, opt(&s.auth), opt(&s.channel_data))
        }
        Ok(ClientMessage::Unsubscribe { channel }) => format!("unsubscribe {channel}"),
        Ok(ClientMessage::Signin { auth, user_data }) => format!("signin {auth} {user_data}"),
        Ok(ClientMessage::ClientEvent { event, channel, data }) => {
            format!("client {event} {channel} {}", data.map_or("-", RawValue::get))
        }
        Err(error) => {
            assert_eq!(error, ErrorEvent::invalid_message());
            "4200".into()
        }
    }
}

fn check(table: &[(&str, &str)]) {
    for (text, expected) in table {
        assert_eq!(shown(text), *expected, "{text}");
    }
}

#[test]
fn subscribe_takes_an_object_or_a_string_that_holds_one() {
    check(&[
        (r#"{"event":"pusher:subscribe","data":{"channel":"a"}}"#, "subscribe a - -"),
        (r#"{"data":{"auth":"","channel":"a","x":[{}]},"y":1,"event":"pusher:subscribe"}"#, "subscribe a  -"),
        (
            r#" { "event" : "pusher:subscribe" , "data" : {"channel":"a","auth":"k:s","channel_data":"{}"} } "#,
            "subscribe a k:s {}",
        ),
        (
            r#"{"event":"pusher:subscribe","data":"{\"channel\":\"a\",\"auth\":\"k:s\",\"channel_data\":\"{\\\"user_id\\\":1}\"}"}"#,
            r#"subscribe a k:s {"user_id":1}"#,
        ),
        (r#"{"event":"pusher\u003asubscribe","data":{"chan\u006eel":"\u0061"}}"#, "subscribe a - -"),
        (r#"{"event":"pusher:unsubscribe","data":"{\"channel\":\"a\"}"}"#, "unsubscribe a"),
        (
            r#"{"event":"pusher:signin","data":{"auth":"k:s","user_data":"{\"id\":\"1\"}"}}"#,
            r#"signin k:s {"id":"1"}"#,
        ),
    ]);
}

#[test]
fn client_events_are_passed_on_byte_for_byte() {
    check(&[
        (
            r#"{"event":"client-t","data":{"a": 1.00, "b":"\u00e9"},"channel":"private-a"}"#,
            r#"client client-t private-a {"a": 1.00, "b":"\u00e9"}"#,
        ),
        (r#"{"event":"client-t","channel":"c","data":"text"}"#, r#"client client-t c "text""#),
        (r#"{"event":"client-t","channel":"c","data":null}"#, "client client-t c null"),
        (r#"{"event":"client-t","channel":"c"}"#, "client client-t c -"),
        (
            r#"{"event":"client-t","channel":"c","data":12345678901234567890123}"#,
            "client client-t c 12345678901234567890123",
        ),
        (r#"{"event":"client-t","data":{}}"#, "4200"),
        (r#"{"event":"client-t","data":{},"channel":null}"#, "4200"),
        (r#"{"event":"client-t","data":{},"channel":""}"#, "4200"),
    ]);
}

#[test]
fn what_is_malformed_is_refused_and_what_is_foreign_ignored() {
    check(&[
        ("", "4200"),
        ("null", "4200"),
        ("5", "4200"),
        (r#""pusher:ping""#, "4200"),
        (r#"["pusher:ping"]"#, "4200"),
        (r#"["pusher:subscribe",null,{"channel":"a"}]"#, "4200"),
        ("{", "4200"),
        ("{}", "4200"),
        (r#"{"event":null}"#, "4200"),
        (r#"{"event":["pusher:ping"]}"#, "4200"),
        (r#"{"event":5,"data":{}}"#, "4200"),
        (r#"{"event":"pusher:ping"} x"#, "4200"),
        (r#"{"event":"pusher:ping","data":{"#, "4200"),
        (r#"{"event":"pusher:ping","event":"pusher:ping"}"#, "4200"),
        (r#"{"event":"pusher:nonsense","data":{}}"#, "4200"),
        (r#"{"event":"pusher:","data":{}}"#, "4200"),
        (r#"{"event":"pusher:subscribe"}"#, "4200"),
        (r#"{"event":"pusher:subscribe","data":null}"#, "4200"),
        (r#"{"event":"pusher:subscribe","data":""}"#, "4200"),
        (r#"{"event":"pusher:subscribe","data":"a"}"#, "4200"),
        (r#"{"event":"pusher:subscribe","data":["a"]}"#, "4200"),
        (r#"{"event":"pusher:subscribe","data":"[\"a\"]"}"#, "4200"),
        (r#"{"event":"pusher:subscribe","data":{}}"#, "4200"),
        (r#"{"event":"pusher:subscribe","data":{"channel":5}}"#, "4200"),
        (r#"{"event":"pusher:subscribe","data":{"channel":null}}"#, "4200"),
        (r#"{"event":"pusher:subscribe","data":{"channel":"a","auth":5}}"#, "4200"),
        (r#"{"event":"pusher:subscribe","data":{"channel":"a","channel_data":{"user_id":"1"}}}"#, "4200"),
        (r#"{"event":"pusher:unsubscribe","data":{}}"#, "4200"),
        (r#"{"event":"pusher:signin","data":{"auth":"k:s"}}"#, "4200"),
        (r#"{"event":"pusher:signin","data":{"user_data":"{}"}}"#, "4200"),
        (r#"{"event":"hello","data":{}}"#, "ignored"),
        (r#"{"event":"hello","channel":"a"}"#, "ignored"),
        (r#"{"event":"hello","channel":5}"#, "4200"),
        (r#"{"event":"","data":{}}"#, "ignored"),
        (r#"{"event":"client","data":{}}"#, "ignored"),
    ]);
}

#[test]
fn r_reverb_237_empty_ping_data() {
    check(&[
        (r#"{"event":"pusher:ping","data":""}"#, "ping"),
        (r#"{"event":"pusher:ping","data":null}"#, "ping"),
        (r#"{"event":"pusher:ping","data":[]}"#, "ping"),
        (r#"{"event":"pusher:ping"}"#, "ping"),
        (r#"{"event":"pusher:ping","data":"{}","channel":null}"#, "ping"),
        (r#"{"event":"pusher:pong","data":""}"#, "pong"),
    ]);
}

#[test]
fn r_reverb_89_null_auth() {
    check(&[
        (
            r#"{"event":"pusher:subscribe","data":{"channel":"private-a","auth":null,"channel_data":null}}"#,
            "subscribe private-a - -",
        ),
        (r#"{"event":"pusher:signin","data":{"auth":null,"user_data":"{}"}}"#, "4200"),
    ]);
}

#[test]
fn r_reverb_291_empty_channel_name() {
    check(&[
        (r#"{"event":"pusher:subscribe","data":{"channel":"","auth":""}}"#, "4200"),
        (r#"{"event":"pusher:unsubscribe","data":{"channel":""}}"#, "4200"),
    ]);
}

#[test]
fn r_sockudo_80_internal_event_from_a_client() {
    check(&[
        (r#"{"event":"pusher_internal:subscription_succeeded","channel":"a","data":"{}"}"#, "4200"),
        (r#"{"event":"pusher_internal:member_added","channel":"presence-a","data":"{}"}"#, "4200"),
    ]);
}

#[test]
fn deep_json_neither_overflows_nor_passes() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    for (template, allowed) in [
        (r#"{"event":"client-t","channel":"c","data":@}"#, DEEPEST),
        (r#"{"event":"pusher:ping","data":@}"#, usize::MAX),
        (r#"{"event":"hello","x":@}"#, usize::MAX),
        (r#"{"event":@}"#, 0),
        (r#"{"event":"pusher:subscribe","data":@}"#, 0),
        (r#"{"event":"pusher:subscribe","data":{"channel":@}}"#, 0),
        ("@", 0),
    ] {
        for depth in [1, 100, DEEPEST, DEEPEST + 1, 200_000] {
            let accepted = shown(&template.replace('@', &nested(depth))) != "4200";
            assert_eq!(accepted, depth <= allowed, "{template} at depth {depth}");
        }
    }
    assert_eq!(shown(&"[".repeat(200_000)), "4200");
    assert_eq!(
        shown(&format!(r#"{{"event":"client-t","channel":"c","data":{}"#, r#"{"a":"#.repeat(200_000))),
        "4200"
    );
}

#[test]
fn a_plain_message_is_borrowed_not_copied() {
    let Ok(ClientMessage::Subscribe(s)) =
        parse(r#"{"event":"pusher:subscribe","data":{"auth":"k:s","channel":"private-a"}}"#)
    else {
        panic!("not understood");
    };
    assert!(matches!((s.channel, s.auth), (Cow::Borrowed(_), Some(Cow::Borrowed(_)))));
}
