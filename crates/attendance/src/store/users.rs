//! SQL of `users`.

use super::{Row, Store, query, violates};
use crate::domain::{Role, Stamp, User};

/// What a new account needs.
#[derive(Debug)]
pub(crate) struct NewUser {
    pub name: String,
    /// In lower case.
    pub email: String,
    pub password_hash: String,
    pub role: Role,
}

impl Store {
    /// The account and its password hash.
    pub(crate) async fn user_by_email(&self, email: &str) -> Result<Option<(User, String)>, sqlx::Error> {
        let by_email = query("SELECT * FROM users WHERE email = ?").bind(email);
        let row = by_email.first(&mut self.reader().await?).await?;
        row.map(|row| Ok((User::from_row(&row)?, row.text("password_hash")?))).transpose()
    }

    /// Stores a new account; `None` when the address is taken.
    pub(crate) async fn create_user(&self, new: &NewUser) -> Result<Option<User>, sqlx::Error> {
        let now = Stamp::now();
        let result = query(
            "INSERT INTO users (name, email, password_hash, role, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(&new.name)
        .bind(&new.email)
        .bind(&new.password_hash)
        .bind(new.role.as_str())
        .bind(&now)
        .bind(&now)
        .execute(&mut self.writer().await?)
        .await;
        let id = match result {
            Err(error) if violates(&error, "email") => return Ok(None),
            other => other?.id,
        };
        Ok(Some(User {
            id,
            name: new.name.clone(),
            email: new.email.clone(),
            role: new.role,
            created_at: now.clone(),
            updated_at: now,
        }))
    }

    /// Newest first, ids below `before`.
    pub(crate) async fn users(&self, before: i64, limit: i64) -> Result<Vec<User>, sqlx::Error> {
        let rows = query("SELECT * FROM users WHERE id < ? ORDER BY id DESC LIMIT ?")
            .bind(before)
            .bind(limit)
            .all(&mut self.reader().await?)
            .await?;
        rows.iter().map(User::from_row).collect()
    }
}

impl User {
    pub(super) fn from_row(row: &Row) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.integer("id")?,
            name: row.text("name")?,
            email: row.text("email")?,
            role: row.choice("role", Role::parse)?,
            created_at: row.stamp("created_at")?,
            updated_at: row.stamp("updated_at")?,
        })
    }
}
