//! Tests of [`super::parse_event`] and [`super::parse_batch`].

use proptest::prelude::*;

use super::*;
use crate::limits::Profile;

fn limits() -> Limits {
    Limits::of(Profile::Reverb)
}

fn event(body: &str) -> Result<Publish<'_>, PublishError> {
    let limits = limits();
    parse_event(body.as_bytes(), &limits)
}

fn channels<'a>(publish: &'a Publish<'_>) -> Vec<&'a str> {
    publish.channels.iter().map(AsRef::as_ref).collect()
}

#[test]
fn an_event_is_read_as_it_was_sent() {
    let publish = event(
        r#"{ "data": "{\"a\":1}", "channels": ["a", "private-b", "a"], "name": "App\\Events\\X",
             "socket_id": "12.34", "info": "user_count,cache,connection_count", "extra": [{}] }"#,
    )
    .unwrap();
    assert_eq!((publish.name.as_ref(), publish.data.as_ref()), (r"App\Events\X", r#"{"a":1}"#));
    assert_eq!(channels(&publish), ["a", "private-b"], "each once, in order");
    assert_eq!(publish.socket_id, "12.34".parse().ok());
    assert_eq!(publish.info, Info { given: true, user_count: true, subscription_count: false, cache: true });
}

#[test]
fn channels_wins_over_channel() {
    let of = |body| channels(&event(body).unwrap()).join(" ");
    assert_eq!(of(r#"{"name":"e","data":"","channel":"a"}"#), "a");
    assert_eq!(of(r#"{"name":"e","data":"","channel":"a","channels":["b"]}"#), "b");
    assert_eq!(of(r#"{"name":"e","data":"","channel":"a","channels":null}"#), "a");
    assert_eq!(of(r##"{"name":"e","data":"","channel":"#server-to-user-1"}"##), "#server-to-user-1");
}

#[test]
fn what_need_not_be_copied_is_borrowed() {
    let publish = event(r#"{"name":"e","data":"plain","channel":"a"}"#).unwrap();
    assert!(matches!((publish.name, publish.data), (Cow::Borrowed("e"), Cow::Borrowed("plain"))));
    assert_eq!((publish.socket_id, publish.info), (None, Info::default()));
}

#[test]
fn a_socket_id_that_is_text_is_never_an_error() {
    for id in ["\"invalid-socket-id\"", "\"\"", "\"1.2:x\"", "\"9999999999.1\"", "null"] {
        let body = format!(r#"{{"name":"e","data":"","channel":"a","socket_id":{id}}}"#);
        assert_eq!(event(&body).unwrap().socket_id, None, "{id}");
    }
}

#[test]
fn what_is_wrong_is_400_and_named() {
    for (body, names) in [
        ("", "EOF"),
        ("{", "EOF"),
        ("null", "an object"),
        (r#"["e","","a"]"#, "an object"),
        ("{}", "name"),
        (r#"{"name":"e"}"#, "data"),
        (r#"{"name":"e","data":null,"channel":"a"}"#, "data"),
        (r#"{"name":"","data":"","channel":"a"}"#, "name"),
        (r#"{"name":"e","data":""}"#, "channels"),
        (r#"{"name":"e","data":"","channels":[]}"#, "channels"),
        (r#"{"name":"e","data":"","channels":"a"}"#, "channels: "),
        (r#"{"name":"e","data":"","channels":[5]}"#, "channels: "),
        (r#"{"name":"e","data":{"a":1},"channel":"a"}"#, "data: invalid type: map"),
        (r#"{"name":5,"data":"","channel":"a"}"#, "name: "),
        (r#"{"name":"e","data":"","channel":5}"#, "channel: "),
        (r#"{"name":"e","data":"","channel":"a","socket_id":5}"#, "socket_id: "),
        (r#"{"name":"e","data":"","channel":"a","info":["user_count"]}"#, "info: "),
        (r#"{"name":"pusher:e","data":"","channel":"a"}"#, "reserved"),
        (r#"{"name":"pusher_internal:e","data":"","channel":"a"}"#, "reserved"),
        (r#"{"name":"e","data":"","channel":"a b"}"#, "a b"),
        (r#"{"name":"e","data":"","channel":"a:b"}"#, "a:b"),
        (r##"{"name":"e","data":"","channel":"#a"}"##, "#a"),
        (r#"{"name":"e","data":"","channel":""}"#, "must not be empty"),
        (r#"{"name":"e","data":"\ud800","channel":"a"}"#, "data: "),
    ] {
        let error = event(body).unwrap_err();
        assert_eq!(error.status(), 400, "{body}");
        assert!(error.to_string().contains(names), "{body}: {error}");
    }
    for no_utf8 in [
        &b"{\"name\":\"\xff\"}"[..],
        b"{\"name\":\"e\",\"data\":\"\",\"channel\":\"a\",\"x\":\"\xff\"}",
        b"{\"batch\":[],\"\xff\":1}",
    ] {
        let error = parse_event(no_utf8, &limits()).unwrap_err();
        assert!(error.status() == 400 && error.to_string().contains("utf-8"), "{error}");
        assert_eq!(parse_batch(no_utf8, &limits()).unwrap_err(), error);
    }
    assert!(event(r#"{"name":"client-e","data":"","channel":"a"}"#).is_ok(), "client- is allowed here");
}

#[test]
fn each_limit_holds_on_both_sides_of_its_border() {
    let body = |name: usize, data: &str, count: usize, channel: usize| {
        let names: Vec<String> = (0..count).map(|i| format!("{i:0>channel$}")).collect();
        serde_json::json!({"name": "é".repeat(name), "data": data, "channels": names}).to_string()
    };
    let status = |body: &str| event(body).map_or_else(|e| e.status(), |_| 200);
    assert_eq!(status(&body(200, &"\"".repeat(10_240), 100, 200)), 200);
    assert_eq!(status(&body(201, "", 1, 1)), 400);
    assert_eq!(status(&body(1, "", 101, 3)), 400);
    assert_eq!(status(&body(1, "", 1, 201)), 400);
    let error = event(&body(1, &format!("{}x", "é".repeat(5_120)), 1, 1)).map(|_| ()).unwrap_err();
    assert_eq!(
        (error.status(), error.to_string().as_str()),
        (413, "the data has a size of 10241, 10240 are allowed")
    );

    let small = Limits { request_body: 50, ..limits() };
    let error = parse_event(&[b' '; 51], &small).unwrap_err();
    assert_eq!(error, PublishError::TooLarge { what: "request body", actual: 51, allowed: 50 });
}

#[test]
fn a_batch_is_whole_or_nothing() {
    let reverb = limits();
    let good = r#"{"name":"e","data":"1","channel":"a"}"#;
    let batch = |items: &[&str]| format!(r#"{{"batch":[{}]}}"#, items.join(","));
    let parsed =
        |body: &str, limits: &Limits| parse_batch(body.as_bytes(), limits).map(|events| events.len());

    assert_eq!(parsed(&batch(&[good; 11]), &reverb), Ok(11));
    assert_eq!(parsed(&batch(&[good; 10]), &Limits::of(Profile::Pusher)), Ok(10));
    let many = parsed(&batch(&[good; 11]), &Limits::of(Profile::Pusher)).unwrap_err();
    assert_eq!((many.status(), many.to_string().as_str()), (400, "11 events in a batch, 10 are allowed"));

    let bad = parsed(&batch(&[good, r#"{"name":"e","data":"1"}"#]), &reverb).unwrap_err();
    assert_eq!(
        (bad.status(), bad.to_string().as_str()),
        (400, "event 1 of the batch: the field channels is missing")
    );
    let huge = format!(r#"{{"name":"e","data":"{}","channel":"a"}}"#, "x".repeat(10_241));
    assert_eq!(parsed(&batch(&[good, &huge]), &reverb).unwrap_err().status(), 413);
    assert_eq!(parsed(r#"{"batch":[["e","1"]]}"#, &reverb).unwrap_err().status(), 400);
    assert_eq!(parsed("{}", &reverb), Err(PublishError::Missing("batch")));
    assert_eq!(parsed(r#"{"batch":{}}"#, &reverb).unwrap_err().status(), 400);
}

#[test]
fn an_event_may_stand_in_the_query() {
    let limits = limits();
    let of = |raw: &str| {
        let query = Query::parse(raw);
        event_in_query(&query, &limits)
            .map(|p| format!("{} {} {:?} {}", p.name, p.data, channels(&p), p.info.given))
    };
    assert_eq!(of("name=e&data=x+y&channels[]=a&channels[]=b").unwrap(), r#"e x y ["a", "b"] false"#);
    assert_eq!(of("name=e&data=&channels=a,b,a&info=cache").unwrap(), r#"e  ["a", "b"] true"#);
    assert_eq!(of("name=e&data=&channel=a,b").unwrap(), r#"e  ["a,b"] false"#);
    for (raw, error) in [
        ("", "the field name is missing"),
        ("name=e&channel=a", "the field data is missing"),
        ("name=e&data=", "the field channels is missing"),
        ("name=e&data=&channels=", "channel \"\": a channel name must not be empty"),
        (
            "name=pusher:e&data=&channel=a",
            "event names that begin with pusher: or pusher_internal: are reserved",
        ),
    ] {
        assert_eq!(of(raw).unwrap_err().to_string(), error, "{raw}");
    }
}

#[test]
fn a_deprecated_request_has_its_data_as_body() {
    let limits = limits();
    let query = Query::parse("name=e&socket_id=1.2&info=cache&channel=other&data=other");
    let publish = event_for_channel("a", &query, b"{\"x\":1}", &limits).unwrap();
    assert_eq!((publish.name.as_ref(), publish.data.as_ref()), ("e", r#"{"x":1}"#));
    assert_eq!(
        (channels(&publish), publish.socket_id, publish.info.given),
        (vec!["a"], "1.2".parse().ok(), false)
    );
    assert_eq!(event_for_channel("a", &query, b"\xff", &limits).unwrap_err().status(), 400);
    assert_eq!(event_for_channel("a b", &query, b"", &limits).unwrap_err().status(), 400);
    assert_eq!(event_for_channel("a", &query, &[b'x'; 10_241], &limits).unwrap_err().status(), 413);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn any_data_arrives_unchanged(data in ".{0,100}") {
        let body = serde_json::json!({"name": "e", "data": data, "channel": "a"}).to_string();
        let publish = event(&body).unwrap();
        prop_assert_eq!(publish.data.as_ref(), data.as_str());
    }
}
