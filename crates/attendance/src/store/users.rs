//! SQL of `users`.

use sqlx::sqlite::SqliteRow;
use sqlx::{FromRow, Row};

use super::{Store, unexpected, violates};
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
        let row =
            sqlx::query("SELECT * FROM users WHERE email = ?").bind(email).fetch_optional(&self.read).await?;
        row.map(|row| Ok((User::from_row(&row)?, row.try_get("password_hash")?))).transpose()
    }

    /// Stores a new account; `None` when the address is taken.
    pub(crate) async fn create_user(&self, new: &NewUser) -> Result<Option<User>, sqlx::Error> {
        let now = Stamp::now();
        let result = sqlx::query(
            "INSERT INTO users (name, email, password_hash, role, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(&new.name)
        .bind(&new.email)
        .bind(&new.password_hash)
        .bind(new.role.as_str())
        .bind(now.as_str())
        .bind(now.as_str())
        .execute(&self.write)
        .await;
        let id = match result {
            Err(error) if violates(&error, "email") => return Ok(None),
            other => other?.last_insert_rowid(),
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
        sqlx::query_as("SELECT * FROM users WHERE id < ? ORDER BY id DESC LIMIT ?")
            .bind(before)
            .bind(limit)
            .fetch_all(&self.read)
            .await
    }
}

impl FromRow<'_, SqliteRow> for User {
    fn from_row(row: &SqliteRow) -> Result<Self, sqlx::Error> {
        let role: String = row.try_get("role")?;
        Ok(Self {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            email: row.try_get("email")?,
            role: Role::parse(&role).ok_or_else(|| unexpected("role", &role))?,
            created_at: Stamp::from_stored(row.try_get("created_at")?),
            updated_at: Stamp::from_stored(row.try_get("updated_at")?),
        })
    }
}
