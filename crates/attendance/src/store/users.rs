//! SQL of `users`. A removed account stays as a row that nobody finds here: records and corrections name it.

use super::{Attempts, Row, Store, Tx, query, violates};
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

/// What shall be different in an account; what is `None` stays.
#[derive(Debug)]
pub(crate) struct UserChange {
    pub name: Option<String>,
    /// In lower case.
    pub email: Option<String>,
    pub password_hash: Option<String>,
    pub role: Option<Role>,
}

/// Why an account was not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unchanged {
    Missing,
    EmailTaken,
    /// Who asked for it is no admin any more.
    NotAllowed,
}

impl Store {
    /// The account and its password hash.
    pub(crate) async fn user_by_email(&self, email: &str) -> Result<Option<(User, String)>, sqlx::Error> {
        let by_email = query("SELECT * FROM users WHERE email_key = ?").bind(email);
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

    /// Newest first, ids below `before`; with `q` those whose name or address contains it.
    pub(crate) async fn users(
        &self,
        q: Option<&str>,
        before: i64,
        limit: i64,
    ) -> Result<Vec<User>, sqlx::Error> {
        let mut list = query("SELECT * FROM users WHERE deleted_at IS NULL AND id < ?").bind(before);
        if let Some(q) = q {
            list = list.push_contains(&self.read, &["name", "email"], q);
        }
        let list = list.push(" ORDER BY id DESC LIMIT ?").bind(limit);
        let rows = list.all(&mut self.reader().await?).await?;
        rows.iter().map(User::from_row).collect()
    }

    /// Whether an account has or had this address.
    pub(crate) async fn knows_email(&self, email: &str) -> Result<bool, sqlx::Error> {
        let found = query("SELECT id FROM users WHERE email = ? LIMIT 1").bind(email);
        Ok(found.first(&mut self.reader().await?).await?.is_some())
    }

    /// Changes an account in the name of the admin `by`. A new password ends its sessions and tokens.
    pub(crate) async fn update_user(
        &self,
        id: i64,
        change: &UserChange,
        by: i64,
    ) -> Result<Result<User, Unchanged>, sqlx::Error> {
        let mut attempts = Attempts::new();
        loop {
            match self.try_update_user(id, change, by).await {
                Err(error) if attempts.again(&error).await => {}
                other => return other,
            }
        }
    }

    async fn try_update_user(
        &self,
        id: i64,
        change: &UserChange,
        by: i64,
    ) -> Result<Result<User, Unchanged>, sqlx::Error> {
        let mut tx = self.begin().await?;
        if let Err(why) = lock(&mut tx, id, by).await? {
            return Ok(Err(why));
        }
        let done = query(
            "UPDATE users SET name = COALESCE(?, name), email = COALESCE(?, email), role = COALESCE(?, role),
                              password_hash = COALESCE(?, password_hash), updated_at = ? WHERE id = ?",
        )
        .bind(&change.name)
        .bind(&change.email)
        .bind(&change.role.map(|role| role.as_str().to_owned()))
        .bind(&change.password_hash)
        .bind(&Stamp::now())
        .bind(id)
        .execute(&mut tx)
        .await;
        match done {
            Err(error) if violates(&error, "email") => return Ok(Err(Unchanged::EmailTaken)),
            other => other?,
        };
        if change.password_hash.is_some() {
            sign_out(&mut tx, id).await?;
        }
        let row = query("SELECT * FROM users WHERE id = ?").bind(id).one(&mut tx).await?;
        tx.commit().await?;
        User::from_row(&row).map(Ok)
    }

    /// Removes an account in the name of the admin `by`, with its sessions and tokens.
    pub(crate) async fn delete_user(&self, id: i64, by: i64) -> Result<Result<(), Unchanged>, sqlx::Error> {
        let mut attempts = Attempts::new();
        loop {
            match self.try_delete_user(id, by).await {
                Err(error) if attempts.again(&error).await => {}
                other => return other,
            }
        }
    }

    async fn try_delete_user(&self, id: i64, by: i64) -> Result<Result<(), Unchanged>, sqlx::Error> {
        let mut tx = self.begin().await?;
        if let Err(why) = lock(&mut tx, id, by).await? {
            return Ok(Err(why));
        }
        let now = Stamp::now();
        query("UPDATE users SET deleted_at = ?, updated_at = ? WHERE id = ?")
            .bind(&now)
            .bind(&now)
            .bind(id)
            .execute(&mut tx)
            .await?;
        sign_out(&mut tx, id).await?;
        tx.commit().await.map(Ok)
    }
}

/// Locks all admins and the account. Since `by` is an admin still and stays one, the last admin is never lost, also when
/// two remove each other at once.
async fn lock(tx: &mut Tx<'_>, id: i64, by: i64) -> Result<Result<(), Unchanged>, sqlx::Error> {
    let wanted = query(
        "SELECT id, role FROM users WHERE deleted_at IS NULL AND (role = 'admin' OR id = ?) ORDER BY id",
    );
    let rows = wanted.push(tx.for_update()).bind(id).all(tx).await?;
    let (mut is_admin, mut is_there) = (false, false);
    for row in &rows {
        let found = row.integer("id")?;
        is_admin |= found == by && row.choice("role", Role::parse)? == Role::Admin;
        is_there |= found == id;
    }
    Ok(match (is_admin, is_there) {
        (false, _) => Err(Unchanged::NotAllowed),
        (true, false) => Err(Unchanged::Missing),
        (true, true) => Ok(()),
    })
}

/// Ends all sessions and tokens of an account.
async fn sign_out(tx: &mut Tx<'_>, id: i64) -> Result<(), sqlx::Error> {
    for statement in ["DELETE FROM tokens WHERE user_id = ?", "DELETE FROM sessions WHERE user_id = ?"] {
        query(statement).bind(id).execute(&mut *tx).await?;
    }
    Ok(())
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
