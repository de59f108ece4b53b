//! Which webhooks there are, what is in them, and who gets them. How they are delivered is in `webhooks_delivery`.

use gema_protocol::signature::{sign_channel, sign_user};
use gema_tests::{Client, Gema, Receiver, Setup};
use serde_json::{Value, json};

/// A server whose only endpoint is this, for all events.
async fn told(hooks: &Receiver) -> Gema {
    Setup::broadcast().env("REVERB_APP_WEBHOOK_URL", &hooks.url()).start().await
}

async fn join_as(gema: &Gema, client: &mut Client, channel: &str, user: &str) {
    let data = json!({"user_id": user}).to_string();
    let auth = sign_channel(&gema.app, &client.socket_id, channel, Some(&data));
    let request = json!({"channel": channel, "auth": auth, "channel_data": data});
    client.send("pusher:subscribe", request, None).await;
    client.expect("pusher_internal:subscription_succeeded").await;
}

async fn leave(client: &mut Client, channel: &str) {
    client.send("pusher:unsubscribe", json!({"channel": channel}), None).await;
    client.send("pusher:ping", json!({}), None).await;
    while client.frame().await.event != "pusher:pong" {}
}

/// `name channel` of events, with the user if there is one; without the counts, which come with each step.
fn short(events: &[Value]) -> Vec<String> {
    let events = events.iter().filter(|event| event["name"] != "subscription_count");
    let short = events.map(|event| {
        let user = event["user_id"].as_str().map(|user| format!(" {user}")).unwrap_or_default();
        let text = |field: &str| event[field].as_str().expect("a text").to_owned();
        format!("{} {}{user}", text("name"), text("channel"))
    });
    short.collect()
}

fn is_vacated(channel: &'static str) -> impl Fn(&Value) -> bool {
    move |event| event["name"] == "channel_vacated" && event["channel"] == channel
}

#[tokio::test]
async fn a_channel_is_told_of_from_the_first_subscriber_to_the_last() {
    let mut hooks = Receiver::start().await;
    let gema = Setup::broadcast().env("REVERB_APP_WEBHOOK_URL", &hooks.url()).start().await;
    let mut first = gema.subscriber("room").await;
    let mut second = gema.subscriber("room").await;
    leave(&mut first, "room").await;
    leave(&mut second, "room").await;
    let events = hooks.events_until(&gema.app, is_vacated("room")).await;
    let count = |count| json!({"name": "subscription_count", "channel": "room", "subscription_count": count});
    let event = |name| json!({"name": name, "channel": "room"});
    let expected =
        [event("channel_occupied"), count(1), count(2), count(1), count(0), event("channel_vacated")];
    assert_eq!(events, expected);
}

#[tokio::test]
async fn r_soketi_830_a_return_within_the_grace_is_not_told() {
    let mut hooks = Receiver::start().await;
    let gema = told(&hooks).await;
    let mut client = gema.subscriber("room").await;
    leave(&mut client, "room").await;
    client.subscribe("room", "").await;
    drop(client);
    let events = hooks.events_until(&gema.app, is_vacated("room")).await;
    assert_eq!(short(&events), ["channel_occupied room", "channel_vacated room"]);
    let _again = gema.subscriber("room").await;
    let event = hooks.event(&gema.app).await;
    assert_eq!(event, json!({"name": "channel_occupied", "channel": "room"}), "the grace was over");
}

#[tokio::test]
async fn members_are_told_of_once_per_user() {
    let mut hooks = Receiver::start().await;
    let gema = told(&hooks).await;
    let (mut tab, mut second_tab, mut other) =
        (gema.client().await, gema.client().await, gema.client().await);
    join_as(&gema, &mut tab, "presence-a", "1").await;
    join_as(&gema, &mut second_tab, "presence-a", "1").await;
    join_as(&gema, &mut other, "presence-a", "2").await;
    leave(&mut tab, "presence-a").await;
    leave(&mut second_tab, "presence-a").await;
    join_as(&gema, &mut tab, "presence-a", "1").await;
    drop((tab, second_tab, other));
    let events = hooks.events_until(&gema.app, is_vacated("presence-a")).await;
    let mut last_two = short(&events);
    let first = last_two.drain(..3).collect::<Vec<_>>();
    assert_eq!(
        first,
        ["channel_occupied presence-a", "member_added presence-a 1", "member_added presence-a 2"]
    );
    assert_eq!(last_two.pop().unwrap(), "channel_vacated presence-a");
    last_two.sort();
    assert_eq!(last_two, ["member_removed presence-a 1", "member_removed presence-a 2"]);
    assert!(!events.iter().any(|event| event["name"] == "subscription_count"), "{events:?}");
}

#[tokio::test]
async fn client_events_are_told_with_their_data_as_text() {
    let mut hooks = Receiver::start().await;
    let gema = Setup::broadcast()
        .env("REVERB_APP_WEBHOOK_URL", &hooks.url())
        .env("REVERB_APP_WEBHOOK_EVENTS", "client_event")
        .start()
        .await;
    let mut client = gema.subscriber("private-a").await;
    join_as(&gema, &mut client, "presence-a", "7").await;
    for (data, text) in [
        (json!({"x": 1}), r#"{"x":1}"#),
        (json!("{\"x\":1}"), r#"{"x":1}"#),
        (json!("plain"), "plain"),
        (json!([1, null]), "[1,null]"),
    ] {
        client.send("client-x", data, Some("private-a")).await;
        let expected = json!({"name": "client_event", "channel": "private-a", "event": "client-x", "data": text,
            "socket_id": client.socket_id});
        assert_eq!(hooks.event(&gema.app).await, expected);
    }
    client.send("client-y", json!("hi"), Some("presence-a")).await;
    let expected = json!({"name": "client_event", "channel": "presence-a", "event": "client-y", "data": "hi",
        "socket_id": client.socket_id, "user_id": "7"});
    assert_eq!(hooks.event(&gema.app).await, expected);
}

#[tokio::test]
async fn a_client_event_that_is_refused_is_not_told() {
    let mut hooks = Receiver::start().await;
    let gema = told(&hooks).await;
    let mut client = gema.subscriber("private-a").await;
    client.send("client-x", json!("stranger"), Some("private-b")).await;
    client.expect_error().await;
    client.send("client-x", json!("member"), Some("private-a")).await;
    let events = hooks.events_until(&gema.app, |event| event["name"] == "client_event").await;
    assert_eq!(events.last().unwrap()["data"], "member");
}

#[tokio::test]
async fn misses_of_one_cache_channel_are_one_until_an_event_is_cached() {
    let mut hooks = Receiver::start().await;
    let gema = Setup::broadcast()
        .env("REVERB_APP_WEBHOOK_URL", &hooks.url())
        .env("REVERB_APP_WEBHOOK_EVENTS", "cache_miss,channel_vacated")
        .start()
        .await;
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = gema.subscriber("cache-a").await;
        client.expect("pusher:cache_miss").await;
        clients.push(client);
    }
    gema.api().publish("cache-a", "e", "1").await;
    clients[0].expect("e").await;
    let mut hit = gema.subscriber("cache-a").await;
    hit.expect("e").await;
    drop((clients, hit));
    let events = hooks.events_until(&gema.app, is_vacated("cache-a")).await;
    assert_eq!(short(&events), ["cache_miss cache-a", "channel_vacated cache-a"]);
}

#[tokio::test]
async fn the_channel_of_a_user_is_never_named() {
    let mut hooks = Receiver::start().await;
    let gema = told(&hooks).await;
    let mut client = gema.client().await;
    let user = r#"{"id":"hidden"}"#;
    let auth = sign_user(&gema.app, &client.socket_id, user);
    client.send("pusher:signin", json!({"auth": auth, "user_data": user}), None).await;
    client.expect("pusher:signin_success").await;
    client.subscribe("#server-to-user-hidden", "").await;
    client.subscribe("room", "").await;
    drop(client);
    let events = hooks.events_until(&gema.app, is_vacated("room")).await;
    assert_eq!(short(&events), ["channel_occupied room", "channel_vacated room"]);
    assert!(!format!("{events:?} {:?}", hooks.rest()).contains("hidden"));
}

#[tokio::test]
async fn counts_of_more_than_a_hundred_are_summed_up() {
    let mut hooks = Receiver::start().await;
    let gema = Setup::broadcast()
        .env("REVERB_APP_WEBHOOK_URL", &hooks.url())
        .env("REVERB_APP_WEBHOOK_EVENTS", "subscription_count")
        .start()
        .await;
    let mut clients = Vec::new();
    for _ in 0..104 {
        clients.push(gema.subscriber("room").await);
    }
    let mut counts = Vec::new();
    while counts.last() != Some(&104) {
        counts.push(hooks.event(&gema.app).await["subscription_count"].as_u64().unwrap());
    }
    assert_eq!(counts[..100], (1..=100).collect::<Vec<_>>());
    assert!(counts.len() <= 103, "a change above a hundred waits for others: {:?}", &counts[100..]);
}

#[tokio::test]
async fn r_soketi_836_each_endpoint_and_each_app_gets_its_own() {
    let mut all = Receiver::start().await;
    let mut rooms = Receiver::start().await;
    let mut other_app = Receiver::start().await;
    let toml = format!(
        "[[app.webhooks]]\nurl = \"{}\"\nevents = [\"channel_occupied\", \"client_event\"]\n\
         [[app.webhooks]]\nurl = \"{}\"\nevents = \"channel_occupied\"\nchannel_prefix = \"private-room\"\nbatching = false\n\
         [[apps]]\nid = \"2\"\nkey = \"second\"\nsecret = \"secondsecret\"\n\
         [[apps.webhooks]]\nurl = \"{}\"\n",
        all.url(),
        rooms.url(),
        other_app.url()
    );
    let mut gema = Setup::broadcast().file("gema.toml", &toml).start().await;
    let mut client = gema.subscriber("private-hall").await;
    for room in ["private-room1", "private-room2"] {
        let auth = gema.auth(&client, room);
        client.subscribe(room, &auth).await;
    }
    client.send("client-x", json!(1), Some("private-room1")).await;
    let events = all.events_until(&gema.app, |event| event["name"] == "client_event").await;
    let occupied =
        ["channel_occupied private-hall", "channel_occupied private-room1", "channel_occupied private-room2"];
    assert_eq!(short(&events)[..3], occupied);
    assert_eq!(events.len(), 4);
    for _ in 0..2 {
        let delivery = rooms.delivery().await;
        let events = delivery.events(&gema.app);
        assert_eq!(events.len(), 1, "no batches here");
        assert!(events[0]["channel"].as_str().unwrap().starts_with("private-room"), "{events:?}");
    }
    gema.app.key = "second".to_owned();
    gema.app.secret = gema_protocol::app::Secret::new("secondsecret".to_owned());
    let _second = gema.subscriber("elsewhere").await;
    assert_eq!(other_app.event(&gema.app).await, json!({"name": "channel_occupied", "channel": "elsewhere"}));
    assert!(all.rest().is_empty() && rooms.rest().is_empty());
}
