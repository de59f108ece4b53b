//! Opens a database on a server of MySQL or MariaDB: how its sessions are set up, which servers will do, and why one
//! cannot be reached.

use std::time::{Duration, Instant};

use sqlx::mysql::{MySqlConnectOptions, MySqlPoolOptions, MySqlSslMode};
use sqlx::pool::PoolConnectionMetadata;
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, MySqlConnection, MySqlPool, Row as _};
use tokio::time::{sleep, timeout};

use super::failure::number;
use crate::database::MySqlServer;
use crate::error::StartError;

/// How long a request waits for a connection. While the server is away each one waits that long for its 503.
const ACQUIRE: Duration = Duration::from_secs(4);
/// How long a single attempt to connect may take at the start.
const CONNECT: Duration = Duration::from_secs(5);
/// Pause between two attempts at the start.
const PAUSE: Duration = Duration::from_millis(500);
/// A connection that comes back must answer within this time, or it is closed.
const ANSWER: Duration = Duration::from_secs(2);
/// A connection that was unused for longer is asked for a sign of life before it is used.
const IDLE: Duration = Duration::from_secs(1);

/// What every session says first. READ COMMITTED: each statement sees what was committed before it, which the claims
/// of the outbox rely on, and no gaps are locked. Strict: a value that does not fit is an error.
const SESSION: [&str; 2] = [
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "SET SESSION innodb_lock_wait_timeout = 5, sql_mode = 'STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,\
     ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'",
];

/// Waits for the server, up to its patience, and opens a pool.
pub(super) async fn open(server: &MySqlServer) -> Result<MySqlPool, StartError> {
    let options = options(server);
    let until = Instant::now() + server.patience;
    let mut connection = loop {
        match timeout(CONNECT, options.connect()).await {
            Ok(Ok(connection)) => break connection,
            Ok(Err(error)) if !is_unreachable(&error) || Instant::now() >= until => {
                return Err(cannot_open(server, &error));
            }
            Err(_) if Instant::now() >= until => return Err(silent(server)),
            Ok(Err(error)) => tracing::warn!(%error, database = %server, "Waiting for the database"),
            Err(_) => tracing::warn!(database = %server, "Waiting for the database, which does not answer"),
        }
        sleep(PAUSE).await;
    };
    let checked = check_version(&mut connection).await;
    connection.close().await.ok();
    checked.map(|()| pool(server, options))
}

fn options(server: &MySqlServer) -> MySqlConnectOptions {
    let options = MySqlConnectOptions::new()
        .host(&server.host)
        .port(server.port)
        .database(&server.database)
        .username(&server.username)
        .collation("utf8mb4_bin")
        .timezone("+00:00".to_owned())
        .pipes_as_concat(false)
        .no_engine_substitution(false);
    let password = server.password.expose();
    let options = if password.is_empty() { options } else { options.password(password) };
    match (&server.socket, &server.tls_ca) {
        // Nobody listens in on a socket of this machine.
        (Some(socket), _) => options.socket(socket).ssl_mode(MySqlSslMode::Disabled),
        (None, Some(ca)) => options.ssl_ca(ca).ssl_mode(MySqlSslMode::VerifyIdentity),
        (None, None) => options.ssl_mode(MySqlSslMode::Preferred),
    }
}

fn pool(server: &MySqlServer, options: MySqlConnectOptions) -> MySqlPool {
    MySqlPoolOptions::new()
        .max_connections(server.connections.max(2))
        .acquire_timeout(ACQUIRE)
        .test_before_acquire(false)
        .before_acquire(|connection, meta| Box::pin(is_alive(connection, meta)))
        .after_connect(|connection, _| Box::pin(set_up(connection)))
        .after_release(|connection, _| Box::pin(answers(connection)))
        .connect_lazy_with(options)
}

async fn set_up(connection: &mut MySqlConnection) -> Result<(), sqlx::Error> {
    for statement in SESSION {
        connection.execute(statement).await?;
    }
    Ok(())
}

async fn is_alive(
    connection: &mut MySqlConnection,
    meta: PoolConnectionMetadata,
) -> Result<bool, sqlx::Error> {
    if meta.idle_for < IDLE { Ok(true) } else { answers(connection).await }
}

/// Whether a connection still works. One that hangs, as after a statement that was given up, would otherwise keep its
/// place in the pool for as long as the operating system believes in it.
async fn answers(connection: &mut MySqlConnection) -> Result<bool, sqlx::Error> {
    match timeout(ANSWER, connection.ping()).await {
        Ok(answer) => answer.map(|()| true),
        Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
    }
}

async fn check_version(connection: &mut MySqlConnection) -> Result<(), StartError> {
    let row = connection.fetch_one("SELECT CAST(VERSION() AS CHAR) AS version").await;
    let version: Result<String, _> = row.and_then(|row| row.try_get("version"));
    match version {
        Ok(version) if is_recent(&version) => Ok(()),
        Ok(version) => Err(StartError::Database(format!(
            "the database server is too old ({version}): use MariaDB 10.6, MySQL 8.0.16 or a later version"
        ))),
        Err(error) => {
            Err(StartError::Database(format!("the database server does not say its version: {error}")))
        }
    }
}

/// SKIP LOCKED came with MariaDB 10.6 and MySQL 8.0.1, CHECK constraints with MySQL 8.0.16.
fn is_recent(version: &str) -> bool {
    let mut numbers = version.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let mut next = || numbers.next().unwrap_or(0);
    let found = (next(), next(), next());
    let least = if version.contains("MariaDB") { (10, 6, 0) } else { (8, 0, 16) };
    found >= least
}

fn is_unreachable(error: &sqlx::Error) -> bool {
    // Too many connections; the server is stopping.
    matches!(error, sqlx::Error::Io(_)) || matches!(number(error), Some(1040 | 1053))
}

fn silent(server: &MySqlServer) -> StartError {
    let silence = std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer");
    cannot_open(server, &silence.into())
}

fn cannot_open(server: &MySqlServer, error: &sqlx::Error) -> StartError {
    let fix = match (number(error), error) {
        (Some(1045 | 1698), _) => "check DB_USERNAME and DB_PASSWORD".to_owned(),
        (Some(1044), _) => "grant this user the rights that docs/database.md lists".to_owned(),
        (Some(1049), _) => {
            let name = &server.database;
            format!(
                "create it with `CREATE DATABASE {name} CHARACTER SET utf8mb4`, or set DB_DATABASE to another"
            )
        }
        (Some(1040), _) => "let the server take more (max_connections)".to_owned(),
        (_, sqlx::Error::Io(_)) if server.socket.is_some() => {
            "check that the server runs, and DB_SOCKET".to_owned()
        }
        (_, sqlx::Error::Io(_)) => "check that the server runs, and DB_HOST and DB_PORT".to_owned(),
        (_, sqlx::Error::Tls(_)) => {
            "check MYSQL_ATTR_SSL_CA, and that the server's certificate is for DB_HOST".to_owned()
        }
        _ => "see the cause for what to change".to_owned(),
    };
    StartError::Database(format!("the database {server} cannot be opened ({error}): {fix}"))
}

/// What MySQL sends for a DATE (`is_date`) or a DATETIME, as text of fixed width: a length, then as many of the parts,
/// without those at the end that are zero.
pub(super) fn written(sent: &[u8], is_date: bool) -> Option<String> {
    let mut bytes = [0; 11];
    let (length, parts) = sent.split_first()?;
    bytes.get_mut(..usize::from(*length))?.copy_from_slice(parts.get(..usize::from(*length))?);
    let [y1, y2, month, day, hour, minute, second, micros @ ..] = bytes;
    let (year, micros) = (u16::from_le_bytes([y1, y2]), u32::from_le_bytes(micros));
    let date = format!("{year:04}-{month:02}-{day:02}");
    if is_date {
        return Some(date);
    }
    Some(format!("{date} {hour:02}:{minute:02}:{second:02}.{micros:06}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_in_time_have_six_decimals() {
        let whole = [7, 0xEA, 7, 11, 22, 20, 45, 0];
        assert_eq!(written(&whole, false).unwrap(), "2026-11-22 20:45:00.000000");
        let micros = [11, 0xEA, 7, 11, 22, 20, 45, 0, 0x40, 0xE2, 1, 0];
        assert_eq!(written(&micros, false).unwrap(), "2026-11-22 20:45:00.123456");
        assert_eq!(written(&[4, 0xEA, 7, 1, 2], false).unwrap(), "2026-01-02 00:00:00.000000");
        assert_eq!(written(&[4, 0xEA, 7, 1, 2], true).unwrap(), "2026-01-02");
        assert_eq!(written(&[7, 0xEA, 7], false), None);
        assert_eq!(written(&[12; 13], false), None);
        assert_eq!(written(&[], false), None);
    }

    #[test]
    fn only_servers_with_skip_locked_and_check_will_do() {
        let recent = [
            "10.6.1-MariaDB",
            "10.11.14-MariaDB-0+deb12u2",
            "11.4.2-MariaDB",
            "8.0.16",
            "8.4.0-commercial",
            "9.0.1",
        ];
        assert!(recent.into_iter().all(is_recent));
        let old = ["10.5.9-MariaDB-log", "5.7.44", "8.0.15-log", ""];
        assert!(!old.into_iter().any(is_recent));
    }
}
