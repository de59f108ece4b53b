//! Brings a database up to date, and makes the demo account where that is asked for.

use std::time::Duration;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{Row, SqlSafeStr};

use super::{NewUser, Store};
use crate::domain::Role;
use crate::error::StartError;
use crate::{DEMO_EMAIL, DEMO_PASSWORD, password};

/// Processes that start at the same time race for the same migration: the loser's attempt fails, and finds the work
/// done when it looks again.
const ATTEMPTS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(100);

/// What [`migrate`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// How many migrations were applied by this call.
    pub applied: usize,
    /// True when this call made the demo account; the caller should warn about its public password.
    pub seeded: bool,
}

/// Creates the database at `database_url` if it does not exist, applies what is missing, and with `seed` makes the
/// demo account unless an account of that address exists. Safe to repeat, and safe for several processes at once.
///
/// # Errors
/// [`StartError`], one sentence that names cause and fix.
pub async fn migrate(database_url: &str, seed: bool) -> Result<Migrated, StartError> {
    let mut attempt = 1;
    let (store, applied) = loop {
        match bring_up_to_date(database_url).await {
            Ok(done) => break done,
            Err(error) if attempt == ATTEMPTS => return Err(error),
            Err(_) => attempt += 1,
        }
        tokio::time::sleep(PAUSE).await;
    };
    let seeded = if seed { make_demo_account(&store).await? } else { false };
    store.close().await;
    Ok(Migrated { applied, seeded })
}

/// Refuses a database that lacks migrations of this program.
pub(super) async fn check(store: &Store, url: &str) -> Result<(), StartError> {
    let applied = applied(store).await;
    let known = migrations().len();
    if applied >= known {
        return Ok(());
    }
    Err(StartError::Database(format!(
        "the database `{url}` has {applied} of {known} migrations: run `gema migrate`"
    )))
}

fn migrations() -> Vec<Migration> {
    let files = [("initial", include_str!("../../../../migrations/sqlite/0001_initial.sql"))];
    (1..)
        .zip(files)
        .map(|(version, (name, sql))| {
            Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
        })
        .collect()
}

async fn bring_up_to_date(url: &str) -> Result<(Store, usize), StartError> {
    let store = Store::connect(url, true).await?;
    let before = applied(&store).await;
    let result = Migrator::with_migrations(migrations()).run(&store.write).await;
    if let Err(error) = result {
        store.close().await;
        return Err(StartError::Database(format!(
            "the database `{url}` cannot be brought up to date ({error}): use the program that last migrated it, or \
             restore a backup"
        )));
    }
    let after = applied(&store).await;
    Ok((store, after.saturating_sub(before)))
}

/// How many migrations the database has; none when it has not even the table for that.
async fn applied(store: &Store) -> usize {
    sqlx::query("SELECT COUNT(*) FROM _sqlx_migrations WHERE success")
        .fetch_one(&store.write)
        .await
        .and_then(|row| row.try_get::<i64, _>(0))
        .map_or(0, |count| usize::try_from(count).unwrap_or(0))
}

async fn make_demo_account(store: &Store) -> Result<bool, StartError> {
    let failed = |error: &dyn std::fmt::Display| {
        StartError::Database(format!("the demo account could not be made: {error}"))
    };
    if store.user_by_email(DEMO_EMAIL).await.map_err(|error| failed(&error))?.is_some() {
        return Ok(false);
    }
    let password_hash = password::compute(DEMO_PASSWORD).map_err(|error| failed(&error))?;
    let admin = NewUser { name: "Admin".into(), email: DEMO_EMAIL.into(), password_hash, role: Role::Admin };
    let made = store.create_user(&admin).await.map_err(|error| failed(&error))?;
    Ok(made.is_some())
}
