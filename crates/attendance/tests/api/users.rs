//! `/api/users`.

use serde_json::json;

use crate::kit::Kit;

#[tokio::test]
async fn an_admin_creates_accounts_that_can_sign_in() {
    let node = Kit::start().await.node;
    let admin = node.admin().await;
    let new = json!({ "name": " Sari ", "email": "Sari@Example.com", "password": "password-1", "role": "employee" });
    let reply = node.post("/api/users").bearer(&admin).json(&new).send().await;
    assert_eq!(reply.status, 201);
    let user = reply.json();
    assert_eq!((&user["name"], &user["email"]), (&json!("Sari"), &json!("sari@example.com")));
    assert!(user["id"].is_i64() && user.get("password").is_none());
    node.token("sari@example.com", "password-1").await;

    let again = node.post("/api/users").bearer(&admin).json(&new).send().await;
    assert_eq!(again.status, 422);
    assert_eq!(again.json()["errors"]["email"], json!(["The email has already been taken."]));

    let list = node.get("/api/users").bearer(&admin).send().await.json();
    let names: Vec<_> = list["data"].as_array().unwrap().iter().map(|user| user["name"].clone()).collect();
    assert_eq!(names, ["Sari", "Admin"]);
}

#[tokio::test]
async fn texts_are_kept_and_told_apart_as_they_are() {
    let node = Kit::start().await.node;
    let admin = node.admin().await;
    for (name, email) in
        [("José 🏠", "josé@example.com"), ("Jose", "jose@example.com"), ("ÅSA", "ÅSA@example.com")]
    {
        let new = json!({ "name": name, "email": email, "password": "password-1", "role": "employee" });
        let reply = node.post("/api/users").bearer(&admin).json(&new).send().await;
        assert_eq!((reply.status, reply.json()["name"].clone()), (201, json!(name)), "{}", reply.text);
        assert_eq!(
            node.get("/api/users?limit=1").bearer(&admin).send().await.json()["data"][0],
            reply.json()
        );
    }
    node.token("åsa@example.com", "password-1").await;
    let other = json!({ "email": "asa@example.com", "password": "password-1" });
    assert_eq!(node.post("/api/login").json(&other).send().await.status, 422);
}

#[tokio::test]
async fn employees_and_strangers_do_not() {
    let node = Kit::start().await.node;
    let (_, token) = node.employee("Budi").await;
    let new = json!({ "name": "X", "email": "x@example.com", "password": "password-1", "role": "admin" });
    assert_eq!(node.post("/api/users").bearer(&token).json(&new).send().await.status, 403);
    assert_eq!(node.get("/api/users").bearer(&token).send().await.status, 403);
    assert_eq!(node.post("/api/users").json(&new).send().await.status, 401);
    assert_eq!(node.get("/api/users").send().await.status, 401);
}

#[tokio::test]
async fn every_wrong_field_is_named() {
    let node = Kit::start().await.node;
    let new = json!({ "name": 5, "email": "nowhere", "password": "short", "role": "boss" });
    let reply = node.post("/api/users").bearer(&node.admin().await).json(&new).send().await;
    assert_eq!(reply.status, 422);
    let expected = json!({
        "name": ["The name field must be a string."],
        "email": ["The email field must be a valid email address."],
        "password": ["The password field must be at least 8 characters."],
        "role": ["The selected role is invalid."],
    });
    assert_eq!(reply.json()["errors"], expected);
    assert_eq!(reply.json()["message"], "The name field must be a string. (and 3 more errors)");
}

#[tokio::test]
async fn a_name_that_nobody_could_read_is_refused() {
    let node = Kit::start().await.node;
    let new = json!({ "name": "Sa\u{0}ri", "email": "a@b.c", "password": "password-1", "role": "employee" });
    let reply = node.post("/api/users").bearer(&node.admin().await).json(&new).send().await;
    assert_eq!(reply.status, 422);
    let expected = json!({ "name": ["The name field must not contain control characters."] });
    assert_eq!(reply.json()["errors"], expected);
}
