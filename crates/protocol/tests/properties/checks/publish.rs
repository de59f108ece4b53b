//! The bodies that publish events.

use gema_protocol::limits::{Limits, Profile};
use gema_protocol::publish::{
    Publish, PublishError, event_for_channel, event_in_query, parse_batch, parse_event,
};
use gema_protocol::signature::Query;
use serde_json::json;

use super::json::is_object;

/// The first byte chooses the profile, the rest is the body, once as an event and once as a batch.
pub(crate) fn check(bytes: &[u8]) {
    let (profile, body) = bytes.split_first().map_or((0, &b""[..]), |(first, rest)| (*first, rest));
    let limits = Limits::of(if profile % 2 == 0 { Profile::Reverb } else { Profile::Pusher });
    let event = parse_event(body, &limits);
    let batch = parse_batch(body, &limits);
    if event.is_ok() || batch.is_ok() {
        assert!(std::str::from_utf8(body).is_ok_and(is_object), "no strict reader takes {body:?}");
    }
    is_right(event.as_ref(), &limits);
    match &batch {
        Ok(events) => {
            assert!(limits.batch.is_none_or(|most| events.len() <= most));
            events.iter().for_each(|event| is_right(Ok(event), &limits));
        }
        Err(error) => is_right(Err(error), &limits),
    }
    older_forms(body, &limits);
    if let Ok(text) = std::str::from_utf8(body)
        && is_object(text)
    {
        let batch = format!(r#"{{"batch":[{text},{text}]}}"#);
        match (parse_batch(batch.as_bytes(), &limits), &event) {
            (Ok(both), Ok(event)) => assert_eq!(both, [event.clone(), event.clone()]),
            (Err(_), Err(_)) => {}
            (batch, event) => panic!("{event:?} alone and {batch:?} in a batch: {text}"),
        }
    }
}

/// The event in a query string, and the data as a whole body.
fn older_forms(body: &[u8], limits: &Limits) {
    let text = String::from_utf8_lossy(body);
    let query = Query::parse(&text);
    is_right(event_in_query(&query, limits).as_ref(), limits);
    let alone = event_for_channel(query.get("channel").unwrap_or("a"), &query, body, limits);
    is_right(alone.as_ref(), limits);
    assert!(alone.is_err() || alone.is_ok_and(|event| event.data.as_bytes() == body));
}

fn is_right(event: Result<&Publish<'_>, &PublishError>, limits: &Limits) {
    match event {
        Ok(event) => is_sound(event, limits),
        Err(error) => is_clear(error),
    }
}

/// What is accepted is within every limit, and the same when it is said again.
fn is_sound(event: &Publish<'_>, limits: &Limits) {
    assert!((1..=limits.event_name).contains(&event.name.chars().count()));
    assert!(!event.name.starts_with("pusher:") && !event.name.starts_with("pusher_internal:"));
    assert!(event.data.len() <= limits.event_data);
    assert!((1..=limits.channels_per_event).contains(&event.channels.len()));
    for (at, channel) in event.channels.iter().enumerate() {
        assert!(channel.len() <= limits.channel_name && !event.channels[..at].contains(channel));
    }
    let names: Vec<&str> = event.channels.iter().map(AsRef::as_ref).collect();
    let mut again = json!({"name": event.name, "data": event.data, "channels": names});
    if let Some(socket_id) = event.socket_id {
        again["socket_id"] = socket_id.to_string().into();
    }
    if event.info.given {
        let asked = [
            ("user_count", event.info.user_count),
            ("subscription_count", event.info.subscription_count),
            ("cache", event.info.cache),
        ];
        let asked: Vec<&str> = asked.into_iter().filter_map(|(name, is)| is.then_some(name)).collect();
        again["info"] = asked.join(",").into();
    }
    let again = again.to_string();
    assert_eq!(parse_event(again.as_bytes(), limits).as_ref(), Ok(event));
}

/// A refusal has a status, and a text that fits on a screen whatever was sent.
fn is_clear(error: &PublishError) {
    assert!(matches!(error.status(), 400 | 413));
    let length = error.to_string().chars().count();
    assert!((1..2_000).contains(&length), "a text of {length} characters");
}
