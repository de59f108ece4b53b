//! `POST /broadcasting/auth` and `POST /broadcasting/user-auth`.

use gema_protocol::signature::{verify_channel, verify_user};
use serde_json::{Value, json};

use crate::kit::{Kit, credentials};

const SOCKET: &str = "123.456";

fn question(channel: &str) -> Value {
    json!({ "socket_id": SOCKET, "channel_name": channel })
}

#[tokio::test]
async fn signs_ones_own_channel_from_form_and_json() {
    let node = Kit::start().await.node;
    let (id, token) = node.employee("Sari").await;
    let channel = format!("private-user.{id}");
    let call = || node.post("/broadcasting/auth").bearer(&token);
    let json = call().json(&question(&channel)).send().await;
    let form = call().form(&format!("socket_id={SOCKET}&channel_name=private-user.{id}")).send().await;
    assert_eq!((json.status, form.status), (200, 200));
    assert_eq!(json.text, form.text);
    let body = json.json();
    assert_eq!(body.as_object().unwrap().len(), 1);
    verify_channel(&credentials(), SOCKET, &channel, None, body["auth"].as_str().unwrap()).unwrap();
}

#[tokio::test]
async fn refuses_the_channels_of_others_but_not_to_admins() {
    let node = Kit::start().await.node;
    let (sari, _) = node.employee("Sari").await;
    let (budi, token) = node.employee("Budi").await;
    let foreign = format!("private-user.{sari}");
    let forged = [
        foreign.clone(),
        format!("private-user.+{budi}"),
        format!("private-user.0{budi}"),
        format!("private-user.{budi}x"),
        format!("presence-user.{budi}"),
        "private-user.".into(),
        "private-admin".into(),
        "presence-other".into(),
        "attendances".into(),
        String::new(),
    ];
    for channel in &forged {
        let reply = node.post("/broadcasting/auth").bearer(&token).json(&question(channel)).send().await;
        assert_eq!(reply.status, 403, "{channel}");
        assert!(!reply.text.contains("auth\""), "{channel}: {}", reply.text);
    }
    let admin = node.admin().await;
    let reply = node.post("/broadcasting/auth").bearer(&admin).json(&question(&foreign)).send().await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn the_office_tells_who_is_there() {
    let node = Kit::start().await.node;
    let (id, token) = node.employee("Sari").await;
    let reply =
        node.post("/broadcasting/auth").bearer(&token).json(&question("presence-office")).send().await;
    assert_eq!(reply.status, 200);
    let body = reply.json();
    let data = body["channel_data"].as_str().unwrap();
    let member: Value = serde_json::from_str(data).unwrap();
    assert_eq!(member, json!({ "user_id": id.to_string(), "user_info": { "id": id, "name": "Sari" } }));
    let auth = body["auth"].as_str().unwrap();
    verify_channel(&credentials(), SOCKET, "presence-office", Some(data), auth).unwrap();
}

#[tokio::test]
async fn strangers_get_403() {
    let node = Kit::start().await.node;
    for channel in ["private-user.1", "presence-office", "attendances"] {
        let reply = node.post("/broadcasting/auth").json(&question(channel)).send().await;
        assert_eq!(reply.status, 403, "{channel}");
    }
}

#[tokio::test]
async fn a_socket_id_that_could_sign_something_else_is_refused() {
    let node = Kit::start().await.node;
    let (id, token) = node.employee("Sari").await;
    let channel = format!("private-user.{id}");
    for socket in ["", "1", "1.2.3", "1.2:private-user.9", "1.x", " 1.2", "1.2\n", "99999999999.1"] {
        let body = json!({ "socket_id": socket, "channel_name": channel });
        let reply = node.post("/broadcasting/auth").bearer(&token).json(&body).send().await;
        assert_eq!(reply.status, 403, "{socket:?}");
    }
    let body = json!({ "socket_id": 1.5, "channel_name": ["private-user.1"] });
    assert_eq!(node.post("/broadcasting/auth").bearer(&token).json(&body).send().await.status, 403);
}

#[tokio::test]
async fn a_connection_is_signed_in_as_the_caller_by_token_and_by_session() {
    let node = Kit::start().await.node;
    let (id, token) = node.employee("Sari").await;
    let call = || node.post("/broadcasting/user-auth");
    let by_token = call().bearer(&token).json(&json!({ "socket_id": SOCKET })).send().await;
    assert_eq!(by_token.status, 200, "{}", by_token.text);
    let body = by_token.json();
    let data = body["user_data"].as_str().unwrap();
    let user: Value = serde_json::from_str(data).unwrap();
    assert_eq!(user, json!({ "id": id.to_string(), "user_info": { "name": "Sari" } }));
    assert_eq!(body.as_object().unwrap().len(), 2);
    verify_user(&credentials(), SOCKET, data, body["auth"].as_str().unwrap()).unwrap();

    // A form, a session, and no CSRF token, as Echo sends it.
    let cookie = node.session("sari@example.com", "password-1").await;
    let by_session = call().header("cookie", &cookie).form(&format!("socket_id={SOCKET}")).send().await;
    assert_eq!((by_session.status, by_session.json()), (200, body));
    let office = node.post("/broadcasting/auth").header("cookie", &cookie);
    let office = office.form(&format!("socket_id={SOCKET}&channel_name=presence-office")).send().await;
    assert_eq!(office.status, 200);
}

#[tokio::test]
async fn nobody_else_is_signed_in() {
    let node = Kit::start().await.node;
    let (_, token) = node.employee("Sari").await;
    let call = || node.post("/broadcasting/user-auth");
    assert_eq!(call().json(&json!({ "socket_id": SOCKET })).send().await.status, 403);
    assert_eq!(call().bearer("wrong").json(&json!({ "socket_id": SOCKET })).send().await.status, 403);
    for socket in [json!(""), json!("1.2::user::x"), json!("1.2:private-user.9"), json!(1.5), Value::Null] {
        let reply = call().bearer(&token).json(&json!({ "socket_id": socket })).send().await;
        assert_eq!(reply.status, 403, "{socket}");
    }
}
