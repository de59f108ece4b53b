//! Brings a database up to date, and makes the demo account where that is asked for.

use std::pin::Pin;
use std::time::{Duration, Instant};

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{Executor as _, MySqlPool, Row as _, SqlSafeStr as _};
use tokio::time::sleep;

use super::engine::Pool;
use super::{NewUser, Store, may_pass, query};
use crate::database::Database;
use crate::domain::Role;
use crate::error::StartError;
use crate::{DEMO_EMAIL, DEMO_PASSWORD, password};

/// Processes that start at the same time race for the same file of SQLite: the loser's attempt fails, and finds the
/// work done when it looks again. Longer than a slow disk takes for all migrations.
const RACE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(100);

/// One migrates, the others wait here, for as long as a large table may take; the lock ends with its session. The name
/// is one of the whole server, so it holds that of the database.
const LOCK: &str = "SELECT GET_LOCK(CONCAT('gema:', MD5(DATABASE())), 600) AS got";
/// A migration that a crash cut off is begun anew: MySQL commits each change of a table at once, so every statement of
/// `migrations/mysql/` can be repeated.
const FORGET_BROKEN: &str = "DELETE FROM _sqlx_migrations WHERE success = FALSE";

const SQLITE: [(&str, &str); 3] = [
    ("initial", include_str!("../../../../migrations/sqlite/0001_initial.sql")),
    ("corrections", include_str!("../../../../migrations/sqlite/0002_corrections.sql")),
    ("login tries", include_str!("../../../../migrations/sqlite/0003_login_tries.sql")),
];
const MYSQL: [(&str, &str); 3] = [
    ("initial", include_str!("../../../../migrations/mysql/0001_initial.sql")),
    ("corrections", include_str!("../../../../migrations/mysql/0002_corrections.sql")),
    ("login tries", include_str!("../../../../migrations/mysql/0003_login_tries.sql")),
];

/// What [`migrate`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// How many migrations were applied by this call.
    pub applied: usize,
    /// True when this call made the demo account; the caller should warn about its public password.
    pub seeded: bool,
}

/// Creates a SQLite file if it does not exist, applies what is missing, and with `seed` makes the demo account unless an
/// account of that address exists. Safe to repeat, and safe for several processes at once.
///
/// # Errors
/// [`StartError`], one sentence that names cause and fix.
pub async fn migrate(database: &Database, seed: bool) -> Result<Migrated, StartError> {
    let (store, applied) = open(database, true).await?;
    let seeded = if seed { make_demo_account(&store).await } else { Ok(false) };
    store.close().await;
    Ok(Migrated { applied, seeded: seeded? })
}

/// Opens a database and applies what is missing; also says how many migrations that were.
pub(super) async fn open(database: &Database, create: bool) -> Result<(Store, usize), StartError> {
    let store = Store::connect(database, create).await?;
    match bring_up_to_date(&store).await {
        Ok(applied) => Ok((store, applied)),
        Err(error) => {
            store.close().await;
            let fix = fix(&error);
            Err(StartError::Database(format!(
                "the database {database} cannot be brought up to date ({error}): {fix}"
            )))
        }
    }
}

async fn bring_up_to_date(store: &Store) -> Result<usize, MigrateError> {
    let (before, known) = (applied(store).await, migrations(&store.write).len());
    if before >= known {
        return Ok(0);
    }
    match &store.write {
        // The lock of sqlx for SQLite is none, so losers try again.
        Pool::Sqlite(pool) => {
            let until = Instant::now() + RACE;
            let migrator = migrator(&store.write);
            while let Err(error) = boxed(migrator.run(pool)).await {
                if !lost_a_race(&error) || Instant::now() >= until {
                    return Err(error);
                }
                sleep(PAUSE).await;
            }
        }
        Pool::MySql(pool) => on_mysql(pool, &migrator(&store.write)).await?,
    }
    Ok(applied(store).await.saturating_sub(before))
}

/// Whether somebody else may have done it at the same time: the file was locked, or the table or row is there already.
fn lost_a_race(error: &MigrateError) -> bool {
    let (MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) = error else {
        return false;
    };
    let code = error.as_database_error().and_then(|error| error.code());
    may_pass(error) || matches!(code.as_deref(), Some("1" | "1555" | "2067"))
}

async fn on_mysql(pool: &MySqlPool, migrator: &Migrator) -> Result<(), MigrateError> {
    let mut holder = pool.acquire().await?;
    let got: Option<i64> = holder.fetch_one(LOCK).await?.try_get("got")?;
    if got != Some(1) {
        let why = "another process has been at it for ten minutes";
        return Err(MigrateError::Source(why.into()));
    }
    // On the first start there is no such table.
    holder.execute(FORGET_BROKEN).await.ok();
    let result = boxed(migrator.run(pool)).await;
    // Gives the lock back, whatever happened.
    holder.close().await.ok();
    result
}

/// The compiler does not see by itself that the future of [`Migrator::run`] can move between threads.
fn boxed<'a, T>(run: impl Future<Output = T> + Send + 'a) -> Pin<Box<dyn Future<Output = T> + Send + 'a>> {
    Box::pin(run)
}

fn migrator(pool: &Pool) -> Migrator {
    let mut migrator = Migrator::with_migrations(migrations(pool));
    // Ours is the better lock: it has a limit.
    migrator.set_locking(false);
    migrator
}

fn migrations(pool: &Pool) -> Vec<Migration> {
    let files = match pool {
        Pool::Sqlite(_) => SQLITE,
        Pool::MySql(_) => MYSQL,
    };
    (1..)
        .zip(files)
        .map(|(version, (name, sql))| {
            Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
        })
        .collect()
}

/// How many migrations the database has; none when it has not even the table for that.
async fn applied(store: &Store) -> usize {
    let Ok(mut connection) = store.writer().await else { return 0 };
    let counted = query("SELECT COUNT(*) AS applied FROM _sqlx_migrations WHERE success");
    let row = counted.one(&mut connection).await;
    row.and_then(|row| row.integer("applied")).map_or(0, |count| usize::try_from(count).unwrap_or(0))
}

fn fix(error: &MigrateError) -> &'static str {
    let cause = match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
            super::failure::number(error)
        }
        _ => None,
    };
    match cause {
        Some(1044 | 1142 | 1227) => {
            "run `gema migrate` as a user with the rights that docs/database.md lists for it"
        }
        _ => "use the program that last migrated it, or restore a backup",
    }
}

async fn make_demo_account(store: &Store) -> Result<bool, StartError> {
    let failed = |error: &dyn std::fmt::Display| {
        StartError::Database(format!("the demo account could not be made: {error}"))
    };
    // Who has removed it does not want it back.
    if store.knows_email(DEMO_EMAIL).await.map_err(|error| failed(&error))? {
        return Ok(false);
    }
    let password_hash = password::compute(DEMO_PASSWORD).map_err(|error| failed(&error))?;
    let admin = NewUser { name: "Admin".into(), email: DEMO_EMAIL.into(), password_hash, role: Role::Admin };
    let made = store.create_user(&admin).await.map_err(|error| failed(&error))?;
    Ok(made.is_some())
}
