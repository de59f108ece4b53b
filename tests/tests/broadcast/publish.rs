//! `POST /events` and `POST /batch_events`.

use gema_tests::{Api, Setup};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

fn event(channels: &[&str], data: &str) -> Value {
    json!({"name": "e", "channels": channels, "data": data})
}

async fn status(api: &Api, path: &str, body: &Value) -> u16 {
    api.post(path, body).await.status
}

#[tokio::test]
async fn an_event_to_several_channels_arrives_once_in_each() {
    let gema = Setup::broadcast().start().await;
    let api = gema.api();
    let (mut a, mut b) = (gema.subscriber("a").await, gema.subscriber("private-b").await);
    let answer = api.post("/events", &event(&["a", "private-b", "a", "nobody"], "text")).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "{}"));
    assert!(answer.header("content-type").starts_with("application/json"), "{answer:?}");
    assert_eq!(a.frame().await.text, r#"{"event":"e","channel":"a","data":"text"}"#);
    assert_eq!(b.frame().await.text, r#"{"event":"e","channel":"private-b","data":"text"}"#);
    a.nothing_came().await;
    b.nothing_came().await;
}

#[tokio::test]
async fn the_single_channel_field_works_and_the_list_wins() {
    let gema = Setup::broadcast().start().await;
    let (mut a, mut b) = (gema.subscriber("a").await, gema.subscriber("b").await);
    let api = gema.api();
    api.post("/events", &json!({"name": "one", "channel": "a", "data": ""})).await.ok();
    api.post("/events", &json!({"channel": "a", "channels": ["b"], "name": "two", "data": "x"})).await.ok();
    assert_eq!(a.frame().await.text, r#"{"event":"one","channel":"a","data":""}"#);
    b.expect("two").await;
    a.nothing_came().await;
}

#[tokio::test]
async fn data_is_text_and_stays_text() {
    let gema = Setup::broadcast().start().await;
    let mut client = gema.subscriber("a").await;
    for data in
        ["", "123", "not json", r#"{"b":1,"a":"\u00e9 é 😀"}"#, "line\nbreak\ttab \u{1} \" \\ / \u{2028}"]
    {
        gema.api().publish("a", "e", data).await;
        assert_eq!(client.frame().await.data, json!(data));
    }
}

#[tokio::test]
async fn the_named_socket_is_left_out() {
    let gema = Setup::broadcast().start().await;
    let (mut own, mut other) = (gema.subscriber("a").await, gema.subscriber("a").await);
    own.subscribe("b", "").await;
    let mut body = event(&["a", "b"], "x");
    body["socket_id"] = own.socket_id.clone().into();
    gema.api().post("/events", &body).await.ok();
    other.expect("e").await;
    own.nothing_came().await;
    let batch = json!({"batch": [
        {"name": "mine", "channel": "a", "data": "x", "socket_id": own.socket_id},
        {"name": "all", "channel": "a", "data": "x"},
    ]});
    gema.api().post("/batch_events", &batch).await.ok();
    own.expect("all").await;
    other.expect("mine").await;
    other.expect("all").await;
}

#[tokio::test]
async fn a_socket_id_that_nobody_has_leaves_nobody_out() {
    let gema = Setup::broadcast().start().await;
    let mut client = gema.subscriber("a").await;
    for id in ["1.1", "invalid-socket-id", "", "1.2\n"] {
        let mut body = event(&["a"], "x");
        body["socket_id"] = id.into();
        assert_eq!(status(&gema.api(), "/events", &body).await, 200, "{id:?}");
        client.expect("e").await;
    }
}

#[tokio::test]
async fn info_answers_for_each_channel() {
    let gema = Setup::broadcast().start().await;
    let (_one, _two) = (gema.subscriber("a").await, gema.subscriber("a").await);
    let mut body = event(&["a", "empty", "a"], "x");
    body["info"] = "subscription_count,user_count,unheard_of".into();
    assert_eq!(
        gema.api().post("/events", &body).await.ok(),
        json!({"channels": {"a": {"subscription_count": 2}, "empty": {"subscription_count": 0}}})
    );
}

#[tokio::test]
async fn a_batch_arrives_in_its_order() {
    let gema = Setup::broadcast().start().await;
    let mut client = gema.subscriber("a").await;
    let items: Vec<Value> =
        (0..200).map(|i| json!({"name": "n", "channel": "a", "data": i.to_string()})).collect();
    let answer = gema.api().post("/batch_events", &json!({"batch": items})).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "{}"));
    for i in 0..200 {
        assert_eq!(client.frame().await.data, json!(i.to_string()));
    }
}

#[tokio::test]
async fn a_batch_with_info_answers_in_the_same_order_and_length() {
    let gema = Setup::broadcast().start().await;
    let _client = gema.subscriber("a").await;
    let batch = json!({"batch": [
        {"name": "n", "channel": "b", "data": "x"},
        {"name": "n", "channel": "a", "data": "x", "info": "subscription_count"},
    ]});
    let answer = gema.api().post("/batch_events", &batch).await.ok();
    assert_eq!(answer, json!({"batch": [{}, {"subscription_count": 1}]}));
}

#[tokio::test]
async fn one_bad_item_stops_the_whole_batch() {
    let gema = Setup::broadcast().start().await;
    let mut client = gema.subscriber("a").await;
    let good = json!({"name": "n", "channel": "a", "data": "x"});
    for bad in
        [json!({"name": "n", "channel": "a b", "data": "x"}), json!({"channel": "a", "data": "x"}), json!(7)]
    {
        assert_eq!(status(&gema.api(), "/batch_events", &json!({"batch": [good, bad]})).await, 400, "{bad}");
    }
    client.nothing_came().await;
}

#[tokio::test]
async fn what_is_not_an_event_is_a_400_that_says_why() {
    let gema = Setup::broadcast().start().await;
    let api = gema.api();
    let too_many: Vec<String> = (0..101).map(|i| format!("c{i}")).collect();
    let bodies = [
        json!({"channels": ["a"], "data": "x"}),
        json!({"name": "e", "channels": ["a"]}),
        json!({"name": "e", "data": "x"}),
        json!({"name": "e", "data": "x", "channels": []}),
        json!({"name": "e", "data": "x", "channels": "a"}),
        json!({"name": "e", "data": "x", "channels": [1]}),
        json!({"name": 1, "data": "x", "channels": ["a"]}),
        json!({"name": "", "data": "x", "channels": ["a"]}),
        json!({"name": "e", "data": {"a": 1}, "channels": ["a"]}),
        json!({"name": "e", "data": null, "channels": ["a"]}),
        json!({"name": "e", "data": "x", "channels": ["a"], "socket_id": 7}),
        json!({"name": "e", "data": "x", "channels": ["a"], "info": ["user_count"]}),
        json!({"name": "e", "data": "x", "channels": too_many}),
        json!({"name": "x".repeat(201), "data": "x", "channels": ["a"]}),
        json!({"name": "pusher:error", "data": "x", "channels": ["a"]}),
        json!({"name": "pusher_internal:member_added", "data": "x", "channels": ["a"]}),
        json!([]),
        json!("text"),
    ];
    for body in bodies {
        let answer = api.post("/events", &body).await;
        assert_eq!(answer.status, 400, "{body} -> {}", answer.body);
        assert!(!answer.body.is_empty(), "{body} is refused without a reason");
    }
    for body in [&b"{"[..], b"not json", b"\xff\xfe", &b"[".repeat(100_000)] {
        assert_eq!(api.call("POST", "/events", &[], body).await.status, 400);
        assert_eq!(api.call("POST", "/batch_events", &[], body).await.status, 400);
    }
}

#[tokio::test]
async fn limits_are_inclusive_and_named() {
    let gema = Setup::broadcast().start().await;
    let api = gema.api();
    let mut client = gema.subscriber("a").await;
    let most: Vec<String> = (0..100).map(|i| format!("c{i}")).collect();
    assert_eq!(
        status(&api, "/events", &json!({"name": "x".repeat(200), "data": "x", "channels": most})).await,
        200
    );
    let long = "c".repeat(200);
    assert_eq!(status(&api, "/events", &event(&[&long], "x")).await, 200);
    assert_eq!(status(&api, "/events", &event(&[&format!("{long}c")], "x")).await, 400);
    for (size, expected) in [(10_239, 200), (10_240, 200), (10_241, 413)] {
        let data = "é".repeat(size / 2) + &"x".repeat(size % 2);
        assert_eq!(data.len(), size);
        let single = api.post("/events", &event(&["a"], &data)).await;
        let batch =
            api.post("/batch_events", &json!({"batch": [{"name": "e", "channel": "a", "data": data}]})).await;
        assert_eq!((single.status, batch.status), (expected, expected), "{size} bytes");
        if expected == 200 {
            assert_eq!(client.frame().await.data, json!(data));
            assert_eq!(client.frame().await.data, json!(data));
        } else {
            for answer in [single, batch] {
                assert!(answer.body.contains("10241") && answer.body.contains("10240"), "{}", answer.body);
            }
        }
    }
    client.nothing_came().await;
}

#[tokio::test]
async fn r_reverb_83_a_full_batch_fits_although_it_is_larger_than_one_event() {
    let gema = Setup::broadcast().start().await;
    let item = json!({"name": "e", "channel": "a", "data": "x".repeat(10_240)});
    assert_eq!(status(&gema.api(), "/batch_events", &json!({"batch": vec![item; 10]})).await, 200);
}

#[tokio::test]
async fn r_reverb_96_a_larger_request_size_raises_the_limit_of_an_event() {
    let gema = Setup::broadcast().env("REVERB_MAX_REQUEST_SIZE", "50000").start().await;
    let mut client = gema.subscriber("a").await;
    let data = "x".repeat(40_000);
    gema.api().publish("a", "e", &data).await;
    assert_eq!(client.frame().await.data, json!(data));
    assert_eq!(status(&gema.api(), "/events", &event(&["a"], &"x".repeat(50_001))).await, 413);
}

/// Writes each piece as a TCP segment of its own.
async fn in_pieces(stream: &mut TcpStream, pieces: &[&[u8]]) {
    for piece in pieces {
        stream.write_all(piece).await.expect("the server reads");
        stream.flush().await.expect("the server reads");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_body_in_pieces_is_the_same_body_and_the_connection_serves_again() {
    let gema = Setup::broadcast().start().await;
    let mut client = gema.subscriber("a").await;
    let body = event(&["a"], "x").to_string();
    let target = gema.api().target("POST", "/events", &[], body.as_bytes());
    let head = format!("POST {target} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n");
    let mut stream = TcpStream::connect(gema.broadcast).await.expect("the server listens");
    stream.set_nodelay(true).expect("a TCP socket");

    let length = format!("Content-Length: {}\r\n\r\n", body.len());
    let bytes: Vec<&[u8]> = body.as_bytes().chunks(1).collect();
    in_pieces(&mut stream, &[head.as_bytes(), length.as_bytes()]).await;
    in_pieces(&mut stream, &bytes).await;
    client.expect("e").await;

    let chunks: Vec<String> = body
        .as_bytes()
        .chunks(7)
        .map(|chunk| format!("{:x}\r\n{}\r\n", chunk.len(), String::from_utf8_lossy(chunk)))
        .collect();
    in_pieces(&mut stream, &[head.as_bytes(), b"Transfer-Encoding: chunked\r\n\r\n"]).await;
    in_pieces(&mut stream, &chunks.iter().map(String::as_bytes).collect::<Vec<_>>()).await;
    in_pieces(&mut stream, &[b"0\r\n\r\n"]).await;
    client.expect("e").await;
    client.nothing_came().await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_a_413() {
    let gema = Setup::broadcast().start().await;
    let body = vec![b' '; 2 * 1024 * 1024];
    let answer = gema.api().call("POST", "/events", &[], &body).await;
    assert_eq!(answer.status, 413, "{}", answer.body);
    assert!(answer.body.contains("1572864"), "the answer names what is allowed: {}", answer.body);
}

#[tokio::test]
async fn r_sockudo_405_every_legal_character_of_a_channel_name() {
    let gema = Setup::broadcast().start().await;
    let name = "aZ09_-=@,.;";
    let mut client = gema.subscriber(name).await;
    let mut private = gema.subscriber(&format!("private-{name}")).await;
    gema.api().publish(name, "e", "x").await;
    gema.api().publish(&format!("private-{name}"), "e", "x").await;
    assert_eq!(client.expect("e").await.channel, name);
    private.expect("e").await;
    assert_eq!(gema.api().get(&format!("/channels/{name}"), &[]).await.ok()["occupied"], json!(true));
}

#[tokio::test]
async fn r_sockudo_115_the_channel_of_a_user_may_be_published_to() {
    let gema = Setup::broadcast().start().await;
    assert_eq!(status(&gema.api(), "/events", &event(&["#server-to-user-1"], "x")).await, 200);
    for name in ["#a", "a#b", "#server-to-users-1"] {
        assert_eq!(status(&gema.api(), "/events", &event(&[name], "x")).await, 400, "{name}");
    }
    assert_eq!(gema.api().get("/channels", &[]).await.ok(), json!({"channels": {}}));
}
