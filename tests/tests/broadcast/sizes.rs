//! How large events and requests may be: on both sides of each limit, in every way a body can come. Refusals name the
//! size and the limit, and reach the publisher although it is still sending.

use gema_tests::{Answer, Api, Client, Gema, Raw, Setup};
use serde_json::{Value, json};

/// What one event's data and one request may hold by default, in bytes.
const DATA: usize = 10_240;
const REQUEST: usize = 1_572_864;

fn single(data: &str) -> Value {
    json!({"name": "e", "channel": "a", "data": data})
}

fn batch(data: &str) -> Value {
    json!({"batch": [single("first"), single(data)]})
}

fn sizes(limit: usize) -> [(usize, u16); 3] {
    [(limit - 1, 200), (limit, 200), (limit + 1, 413)]
}

fn names_both(answer: &Answer, size: usize, limit: usize) {
    let (size, limit) = (size.to_string(), limit.to_string());
    assert!(answer.body.contains(&size) && answer.body.contains(&limit), "{size} {limit}: {}", answer.body);
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(answer.header("retry-after"), "", "the same request will never fit");
}

async fn data_limit(gema: &Gema, limit: usize) {
    let mut client = gema.subscriber("a").await;
    let api = gema.api();
    for (size, status) in sizes(limit) {
        // Bytes count, not letters or the bytes of their JSON.
        let data = "é".repeat(size / 2) + &"\n".repeat(size % 2);
        assert_eq!(data.len(), size);
        let answer = api.post("/events", &single(&data)).await;
        assert_eq!(answer.status, status, "{size}: {}", answer.body);
        let batched = api.post("/batch_events", &batch(&data)).await;
        assert_eq!(batched.status, status, "{size}: {}", batched.body);
        if status == 200 {
            assert_eq!(client.expect("e").await.data, json!(data));
            assert_eq!(client.expect("e").await.data, json!("first"));
            assert_eq!(client.expect("e").await.data, json!(data));
        } else {
            names_both(&answer, size, limit);
            names_both(&batched, size, limit);
            assert!(batched.body.contains("event 1 of the batch"), "{}", batched.body);
        }
    }
    client.nothing_came().await;
}

#[tokio::test]
async fn the_data_of_an_event_alone_or_in_a_batch() {
    data_limit(&Setup::broadcast().start().await, DATA).await;
}

#[tokio::test]
async fn r_reverb_83_96_211_218_a_larger_request_size_counts_for_events_and_requests() {
    // Above the default of a request: both limits move with it. Below: that of an event alone.
    let gema = Setup::broadcast().env("REVERB_MAX_REQUEST_SIZE", "50000").start().await;
    data_limit(&gema, 50_000).await;
    let gema = Setup::broadcast().env("REVERB_MAX_REQUEST_SIZE", "2000000").start().await;
    let mut raw = Raw::connect(gema.broadcast).await;
    for (size, status) in sizes(2_000_000) {
        let answer = send(&mut raw, &gema.api(), &padded(size), Coding::Length, size).await;
        assert_eq!(answer.status, status, "{size}: {}", answer.body);
    }
    let data = "x".repeat(1_900_000);
    let mut client = gema.subscriber("a").await;
    gema.api().publish("a", "e", &data).await;
    assert_eq!(client.expect("e").await.data, json!(data));
}

#[tokio::test]
async fn r_reverb_218_the_default_of_reverb_lowers_nothing() {
    let gema = Setup::broadcast().env("REVERB_MAX_REQUEST_SIZE", "10000").start().await;
    data_limit(&gema, DATA).await;
}

/// An event padded with white space to a whole request of this size.
fn padded(size: usize) -> String {
    let event = single("x").to_string();
    event.clone() + &" ".repeat(size - event.len())
}

#[derive(Clone, Copy, Debug)]
enum Coding {
    Length,
    Chunks,
}

async fn send(raw: &mut Raw, api: &Api, body: &str, coding: Coding, piece: usize) -> Answer {
    let target = api.target("POST", "/events", &[], body.as_bytes());
    match coding {
        Coding::Length => {
            raw.send_head("POST", &target, &[&format!("Content-Length: {}", body.len())]).await;
            raw.send_in_pieces(body.as_bytes(), piece).await;
        }
        Coding::Chunks => {
            raw.send_head("POST", &target, &["Transfer-Encoding: chunked"]).await;
            for chunk in body.as_bytes().chunks(piece) {
                let chunk = [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat();
                raw.send(&chunk).await;
            }
            raw.send(b"0\r\n\r\n").await;
        }
    }
    raw.answer().await
}

#[tokio::test]
async fn a_whole_request_in_every_coding_and_in_pieces() {
    let gema = Setup::broadcast().start().await;
    let (mut client, api) = (gema.subscriber("a").await, gema.api());
    for coding in [Coding::Length, Coding::Chunks] {
        // One connection for all of them: a refusal does not end it.
        let mut raw = Raw::connect(gema.broadcast).await;
        for (size, status) in sizes(REQUEST) {
            let answer = send(&mut raw, &api, &padded(size), coding, 50_021).await;
            assert_eq!(answer.status, status, "{coding:?} {size}: {}", answer.body);
            if status == 200 {
                client.expect("e").await;
            } else {
                names_both(&answer, size, REQUEST);
            }
        }
        let answer = send(&mut raw, &api, &padded(300), coding, 1).await;
        assert_eq!(answer.status, 200, "{coding:?} byte by byte: {}", answer.body);
        client.expect("e").await;
    }
    client.nothing_came().await;
}

#[tokio::test]
async fn r_reverb_211_a_refusal_reaches_who_is_still_sending() {
    let gema = Setup::broadcast().start().await;
    for coding in [Coding::Length, Coding::Chunks] {
        let mut raw = Raw::connect(gema.broadcast).await;
        let answer = send(&mut raw, &gema.api(), &padded(6_000_000), coding, 100_000).await;
        assert_eq!(answer.status, 413);
        names_both(&answer, 6_000_000, REQUEST);
    }
}

#[tokio::test]
async fn r_reverb_118_full_batches_and_a_hundred_channels_fit() {
    let gema = Setup::broadcast().start().await;
    let mut client = gema.subscriber("c99").await;
    let data = "x".repeat(DATA);
    let channels: Vec<String> = (0..100).map(|i| format!("c{i}")).collect();
    gema.api().post("/events", &json!({"name": "one", "channels": channels, "data": data})).await.ok();
    let items: Vec<Value> =
        channels.iter().map(|channel| json!({"name": "many", "channel": channel, "data": data})).collect();
    gema.api().post("/batch_events", &json!({"batch": items})).await.ok();
    client.expect("one").await;
    client.expect("many").await;
    client.nothing_came().await;
}

#[tokio::test]
async fn r_centrifugo_117_an_event_larger_than_a_queue_arrives_once() {
    let gema = Setup::broadcast()
        .env("REVERB_MAX_REQUEST_SIZE", "8000000")
        .env("GEMA_QUEUE_BYTES", "65536")
        .start()
        .await;
    let mut client = gema.subscriber("a").await;
    let mut cached = gema.client().await;
    let data = "x".repeat(3_000_000);
    for channel in ["a", "a", "cache-a"] {
        // The answer waits for no reader: what the socket does not take is queued, although it is above the bound.
        gema.api().publish(channel, "large", &data).await;
        if channel == "a" {
            assert_eq!(client.expect("large").await.data, json!(data));
        }
    }
    gema.api().publish("a", "small", "x").await;
    client.expect("small").await;
    client.nothing_came().await;
    subscribe_to_cache(&mut cached, &data).await;
}

async fn subscribe_to_cache(client: &mut Client, data: &str) {
    client.subscribe("cache-a", "").await;
    assert_eq!(client.expect("large").await.data, json!(data));
    client.nothing_came().await;
}
