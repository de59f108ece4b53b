//! `/api/users`.

use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::{Kit, Node, Reply};

async fn change(node: &Node, token: &str, id: i64, change: &Value) -> Reply {
    node.call(Method::PATCH, &format!("/api/users/{id}")).bearer(token).json(change).send().await
}

async fn remove(node: &Node, token: &str, id: i64) -> Reply {
    node.call(Method::DELETE, &format!("/api/users/{id}")).bearer(token).send().await
}

async fn names(node: &Node, token: &str, query: &str) -> Vec<Value> {
    let list = node.get(&format!("/api/users{query}")).bearer(token).send().await.json();
    list["data"].as_array().unwrap().iter().map(|user| user["name"].clone()).collect()
}

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

#[tokio::test]
async fn accounts_are_found_by_name_and_address() {
    let node = Kit::start().await.node;
    let admin = node.admin().await;
    for name in ["Sari", "Budi", "Sarah"] {
        node.employee(name).await;
    }
    assert_eq!(names(&node, &admin, "?q=sar").await, ["Sarah", "Sari"]);
    assert_eq!(names(&node, &admin, "?q=BUDI@").await, ["Budi"]);
    assert_eq!(names(&node, &admin, "?q=example.com&limit=2").await, ["Sarah", "Budi"]);
    assert_eq!(names(&node, &admin, "?q=%25").await, [Value::Null; 0]);
}

#[tokio::test]
async fn an_admin_changes_what_is_named_and_nothing_else() {
    let node = Kit::start().await.node;
    let admin = node.admin().await;
    let (id, token) = node.employee("Sari").await;
    let before = node.get("/api/user").bearer(&token).send().await.json();
    let reply = change(&node, &admin, id, &json!({ "name": " Sari Dewi " })).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let mut expected = before.clone();
    (expected["name"], expected["updated_at"]) = (json!("Sari Dewi"), reply.json()["updated_at"].clone());
    assert_eq!(reply.json(), expected);
    assert!(reply.json()["updated_at"].as_str() > before["updated_at"].as_str());
    assert_eq!(node.check_in(&token).await["user"]["name"], "Sari Dewi");

    let reply = change(&node, &admin, id, &json!({ "email": "Dewi@Example.com", "role": "admin" })).await;
    assert_eq!(
        (&reply.json()["email"], &reply.json()["role"]),
        (&json!("dewi@example.com"), &json!("admin"))
    );
    assert_eq!(names(&node, &token, "").await.len(), 2, "an admin at once, with the same token");
    node.token("dewi@example.com", "password-1").await;
}

#[tokio::test]
async fn a_change_must_make_sense() {
    let node = Kit::start().await.node;
    let admin = node.admin().await;
    let (id, token) = node.employee("Sari").await;
    let fine = json!({ "name": "X" });
    assert_eq!(change(&node, &token, id, &fine).await.status, 403);
    assert_eq!(change(&node, &admin, 99, &fine).await.status, 404);
    assert_eq!(node.call(Method::PATCH, "/api/users/2").json(&fine).send().await.status, 401);
    for (body, field) in [
        (json!({}), "name"),
        (json!({ "name": null }), "name"),
        (json!({ "name": "X", "id": 5 }), "id"),
        (json!({ "email": "admin@example.com" }), "email"),
        (json!({ "password": "short" }), "password"),
        (json!({ "role": "boss" }), "role"),
    ] {
        let reply = change(&node, &admin, id, &body).await;
        assert_eq!(reply.status, 422, "{body}: {}", reply.text);
        assert!(reply.json()["errors"][field].is_array(), "{body}: {}", reply.text);
    }
    assert_eq!(node.get("/api/user").bearer(&token).send().await.json()["name"], "Sari");
}

#[tokio::test]
async fn a_new_password_ends_what_the_old_one_began() {
    let node = Kit::start().await.node;
    let admin = node.admin().await;
    let (id, token) = node.employee("Sari").await;
    let cookie = node.session("sari@example.com", "password-1").await;
    let signed_in = || node.get("/api/user").header("cookie", &cookie).send();
    assert_eq!(signed_in().await.status, 200);
    assert_eq!(change(&node, &admin, id, &json!({ "name": "Dewi" })).await.status, 200);
    assert_eq!(signed_in().await.status, 200);
    assert_eq!(change(&node, &admin, id, &json!({ "password": "password-2" })).await.status, 200);
    assert_eq!(node.get("/api/user").bearer(&token).send().await.status, 401);
    assert_eq!(signed_in().await.status, 401);
    let old = json!({ "email": "sari@example.com", "password": "password-1" });
    assert_eq!(node.post("/api/login").json(&old).send().await.status, 422);
    node.token("sari@example.com", "password-2").await;
    assert_eq!(node.get("/api/user").bearer(&admin).send().await.status, 200, "others stay signed in");
}

#[tokio::test]
async fn a_removed_account_keeps_its_records_and_nothing_else() {
    let Kit { stage, node } = Kit::start().await;
    let admin = node.admin().await;
    let (id, token) = node.employee("Sari").await;
    let cookie = node.session("sari@example.com", "password-1").await;
    let record = node.check_in(&token).await;
    assert_eq!(remove(&node, &token, id).await.status, 403);
    let reply = remove(&node, &admin, id).await;
    assert_eq!((reply.status, reply.text.as_str()), (204, ""));
    assert_eq!(remove(&node, &admin, id).await.status, 404);
    assert_eq!(change(&node, &admin, id, &json!({ "name": "X" })).await.status, 404);
    assert_eq!(node.get("/api/user").bearer(&token).send().await.status, 401);
    assert_eq!(node.get("/api/user").header("cookie", &cookie).send().await.status, 401);
    let old = json!({ "email": "sari@example.com", "password": "password-1" });
    assert_eq!(node.post("/api/login").json(&old).send().await.status, 422);
    assert_eq!(names(&node, &admin, "").await, ["Admin"]);
    assert_eq!(node.get("/api/attendances/1").bearer(&admin).send().await.json(), record);

    // The address is free, also several times; the records stay with whom they belong to.
    for _ in 0..2 {
        let (next, token) = node.employee("Sari").await;
        assert_eq!(node.get("/api/attendances").bearer(&token).send().await.json()["data"], json!([]));
        assert_eq!(remove(&node, &admin, next).await.status, 204);
    }
    assert_eq!(stage.count("SELECT COUNT(*) FROM users WHERE email = 'sari@example.com'").await, 3);
}

#[tokio::test]
async fn there_is_always_an_admin() {
    let Kit { stage, node } = Kit::start().await;
    let second_node = stage.node(stage.config()).await;
    let admin = node.admin().await;
    let reply = remove(&node, &admin, 1).await;
    assert_eq!((reply.status, reply.json()["message"].is_string()), (409, true));
    assert_eq!(change(&node, &admin, 1, &json!({ "role": "employee" })).await.status, 409);
    assert_eq!(change(&node, &admin, 1, &json!({ "role": "admin", "name": "Chief" })).await.status, 200);

    for round in 0..8 {
        let (id, token) = node.employee(&format!("Rival{round}")).await;
        assert_eq!(change(&node, &admin, id, &json!({ "role": "admin" })).await.status, 200);
        // Both at once, on two nodes: whoever is first is the one who stays.
        let demote = json!({ "role": "employee" });
        let (first, second) =
            tokio::join!(change(&node, &admin, id, &demote), change(&second_node, &token, 1, &demote));
        let mut statuses = [first.status, second.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 403]);
        assert_eq!(stage.count("SELECT COUNT(*) FROM users WHERE role = 'admin'").await, 1);
        stage.sql("UPDATE users SET role = CASE WHEN id = 1 THEN 'admin' ELSE 'employee' END").await;
    }
}

#[tokio::test]
async fn the_demo_account_does_not_come_back_when_it_was_removed() {
    let Kit { stage, node } = Kit::start().await;
    let admin = node.admin().await;
    let (id, token) = node.employee("Sari").await;
    assert_eq!(change(&node, &admin, id, &json!({ "role": "admin" })).await.status, 200);
    assert_eq!(remove(&node, &token, 1).await.status, 204);
    let again = gema_attendance::migrate(&stage.database, true).await.unwrap();
    assert!(!again.seeded);
}
