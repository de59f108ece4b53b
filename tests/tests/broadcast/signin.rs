//! Signing in, a user's own channel, and ending a user's connections.

use gema_protocol::signature::{sign_channel, sign_user};
use gema_tests::{Client, Gema, Setup};
use serde_json::json;

const OWN: &str = "#server-to-user-7";

async fn terminate(gema: &Gema, user: &str) {
    let answer = gema.api().post(&format!("/users/{user}/terminate_connections"), &json!({})).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "{}"));
}

async fn ask(client: &mut Client, auth: &str, user_data: &str) {
    client.send("pusher:signin", json!({"auth": auth, "user_data": user_data}), None).await;
}

#[tokio::test]
async fn a_sign_in_is_confirmed_with_the_data_as_it_was_signed() {
    let gema = Setup::broadcast().start().await;
    let mut client = gema.client().await;
    let data = r#"{ "id" : "7", "user_info":{"name":"é \u00e9"}, "more":[1.0] }"#;
    client.sign_in(&gema.app, data).await;
    client.nothing_came().await;
    let auth = sign_user(&gema.app, &client.socket_id, data);
    let inner = json!({"auth": auth, "user_data": data}).to_string();
    client.send("pusher:signin", inner.into(), None).await;
    client.expect("pusher:signin_success").await;
}

#[tokio::test]
async fn only_the_apps_own_signature_for_this_socket_and_these_bytes_signs_in() {
    let gema = Setup::broadcast().start().await;
    let elsewhere = gema.client().await;
    let mut client = gema.client().await;
    let data = r#"{"id":"7"}"#;
    let right = sign_user(&gema.app, &client.socket_id, data);
    let channel = format!(":user::{data}");
    for (auth, data) in [
        ("nonsense".to_owned(), data),
        (right.to_uppercase(), data),
        (right.replace(&gema.app.key, "anotherkey"), data),
        (sign_user(&gema.app, &elsewhere.socket_id, data), data),
        (right.clone(), r#"{"id":"8"}"#),
        (right.clone(), r#"{ "id":"7"}"#),
        (sign_channel(&gema.app, &client.socket_id, "presence-a", Some(data)), data),
    ] {
        ask(&mut client, &auth, data).await;
        assert_eq!(client.expect_error().await.0, 4009, "{auth} for {data}");
    }
    client.ask_subscribe(OWN, "").await;
    assert_eq!(client.expect_error().await.0, 4009, "nobody is signed in");
    client.ask_subscribe(&channel, &right).await;
    assert_eq!(client.expect_error().await.0, 4009, "no channel's name imitates a sign-in");
    ask(&mut client, &right, data).await;
    client.expect("pusher:signin_success").await;
}

#[tokio::test]
async fn a_user_without_an_id_of_text_is_nobody() {
    let gema = Setup::broadcast().start().await;
    let mut client = gema.client().await;
    let long = json!({"id": "x".repeat(129)}).to_string();
    for data in [
        "{}",
        "[]",
        "null",
        "nonsense",
        r#"{"id":7}"#,
        r#"{"id":""}"#,
        r#"{"id":null}"#,
        r#"{"id":["7"]}"#,
        r#"{"id":"7","watchlist":"8"}"#,
        r#"{"id":"7","watchlist":[8]}"#,
        &long,
    ] {
        client.ask_sign_in(&gema.app, data).await;
        assert_eq!(client.expect_error().await.0, 4009, "{data:.60}");
    }
    client.sign_in(&gema.app, &json!({"id": "é".repeat(128)}).to_string()).await;
}

#[tokio::test]
async fn signing_in_again_is_confirmed_and_as_another_is_refused() {
    let gema = Setup::broadcast().start().await;
    let mut client = gema.user(r#"{"id":"7"}"#).await;
    client.sign_in(&gema.app, r#"{"id":"7","user_info":{}}"#).await;
    client.ask_sign_in(&gema.app, r#"{"id":"8"}"#).await;
    assert_eq!(client.expect_error().await.0, 4009);
    client.ask_subscribe("#server-to-user-8", "").await;
    assert_eq!(client.expect_error().await.0, 4009);
    client.subscribe(OWN, "").await;
    drop(client);
    let mut next = gema.client().await;
    next.sign_in(&gema.app, r#"{"id":"8"}"#).await;
}

#[tokio::test]
async fn r_sockudo_115_an_event_to_a_user_reaches_all_of_the_users_sockets_and_no_other() {
    let gema = Setup::broadcast().start().await;
    let (mut one, mut two) = (gema.user(r#"{"id":"7"}"#).await, gema.user(r#"{"id":"7"}"#).await);
    let (mut other, mut nobody) = (gema.user(r#"{"id":"77"}"#).await, gema.client().await);
    one.subscribe(OWN, "").await;
    two.subscribe(OWN, "KEY:nonsense").await;
    for stranger in [&mut other, &mut nobody] {
        let auth = sign_channel(&gema.app, &stranger.socket_id, OWN, None);
        stranger.ask_subscribe(OWN, &auth).await;
        assert_eq!(stranger.expect_error().await.0, 4009, "a signature opens no user's channel");
    }
    other.subscribe("#server-to-user-77", "").await;
    gema.api().publish(OWN, "hello", r#"{"a":1}"#).await;
    for client in [&mut one, &mut two] {
        let expected = r##"{"event":"hello","channel":"#server-to-user-7","data":"{\"a\":1}"}"##;
        assert_eq!(client.frame().await.text, expected);
        client.nothing_came().await;
    }
    other.nothing_came().await;
    nobody.nothing_came().await;
    let listed = gema.api().get("/channels", &[]).await.ok();
    assert_eq!(listed, json!({"channels": {}}), "whose user channels are open is nobody's business");
}

#[tokio::test]
async fn ids_of_any_form_have_their_channel() {
    let gema = Setup::broadcast().start().await;
    for id in ["auth0|5", "a b", "é", "1:2::user::x", "#7"] {
        let mut client = gema.user(&json!({"id": id}).to_string()).await;
        let channel = format!("#server-to-user-{id}");
        client.subscribe(&channel, "").await;
        gema.api().publish(&channel, "hello", id).await;
        assert_eq!(client.expect("hello").await.data, id);
    }
}

#[tokio::test]
async fn terminating_a_user_ends_every_connection_of_that_user_and_no_other() {
    let gema = Setup::broadcast().start().await;
    let mut one = gema.user(r#"{"id":"7"}"#).await;
    let mut two = gema.user(r#"{"id":"7"}"#).await;
    let mut member = gema.member("presence-a", r#"{"user_id":7}"#).await;
    let mut both = gema.user(r#"{"id":"7"}"#).await;
    both.join(&gema.app, "presence-a", r#"{"user_id":"7"}"#).await;
    let mut other = gema.user(r#"{"id":"8"}"#).await;
    other.join(&gema.app, "presence-a", r#"{"user_id":"8"}"#).await;
    member.expect("pusher_internal:member_added").await;
    both.expect("pusher_internal:member_added").await;
    let mut left = gema.member("presence-b", r#"{"user_id":"7"}"#).await;
    left.leave("presence-b").await;

    terminate(&gema, "nobody").await;
    other.nothing_came().await;
    terminate(&gema, "7").await;
    for client in [&mut one, &mut two, &mut member, &mut both] {
        assert_eq!(client.closed().await, (4009, "You got disconnected by the app.".to_owned()));
    }
    other.expect("pusher_internal:member_removed").await;
    other.nothing_came().await;
    left.nothing_came().await;
    let mut back = gema.user(r#"{"id":"7"}"#).await;
    back.nothing_came().await;
}

#[tokio::test]
async fn the_id_in_the_path_is_decoded() {
    let gema = Setup::broadcast().start().await;
    let mut client = gema.user(r#"{"id":"auth0|5 é/x"}"#).await;
    terminate(&gema, "auth0%7C5%20%C3%A9%2Fx").await;
    assert_eq!(client.closed().await.0, 4009);
}

#[tokio::test]
async fn terminating_needs_no_user_and_no_body() {
    let gema = Setup::broadcast().start().await;
    let mut client = gema.user(r#"{"id":"1"}"#).await;
    for body in [&b"{}"[..], b"", b"not json"] {
        let answer = gema.api().call("POST", "/users/2/terminate_connections", &[], body).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "{}"));
    }
    client.nothing_came().await;
}

#[tokio::test]
async fn whoever_has_read_the_confirmation_can_be_terminated() {
    let gema = Setup::broadcast().start().await;
    for round in 0..40 {
        let id = format!("user-{round}");
        let mut client = if round % 2 == 0 {
            gema.user(&json!({"id": id}).to_string()).await
        } else {
            gema.member("presence-a", &json!({"user_id": id}).to_string()).await
        };
        terminate(&gema, &id).await;
        assert_eq!(client.closed().await.0, 4009, "{id}");
    }
}
