//! Accounts that an operator makes, with the store alone.

use gema_attendance::{Database, NewAccount, add_account};
use gema_protocol::app::Secret;
use serde_json::json;

use crate::kit::Stage;

#[tokio::test]
async fn issue_6_an_operator_makes_accounts_that_can_sign_in() {
    let stage = Stage::empty().await;
    if let Database::Sqlite(path) = &stage.database {
        std::fs::write(path, "").unwrap();
    }
    let account = |email: &str, is_admin| NewAccount {
        email: email.into(),
        name: None,
        password: Secret::new("correct horse".into()),
        is_admin,
    };
    // The database is brought up to date by the way.
    assert_eq!(
        add_account(&stage.database, account("Ani@Example.com", true)).await.unwrap(),
        "ani@example.com"
    );
    add_account(&stage.database, account("budi@example.com", false)).await.unwrap();
    let taken =
        add_account(&stage.database, account("ANI@example.com", false)).await.unwrap_err().to_string();
    assert!(taken.contains("ani@example.com already"), "{taken}");

    let node = stage.node(stage.config()).await;
    for (email, name, role) in [("ani@example.com", "Ani", "admin"), ("budi@example.com", "budi", "employee")]
    {
        let token = node.token(email, "correct horse").await;
        let user = node.get("/api/user").bearer(&token).send().await.json();
        assert_eq!((&user["name"], &user["role"]), (&json!(name), &json!(role)));
    }
    let hashes = "SELECT COUNT(*) FROM users WHERE password_hash LIKE '$argon2id$%'";
    assert_eq!(stage.count(hashes).await, 2);
}
