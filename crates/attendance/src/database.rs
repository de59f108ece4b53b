//! Which database the records are in.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use gema_protocol::app::Secret;

/// The database of an installation: a file for one machine, a server for many.
#[derive(Debug, Clone)]
pub enum Database {
    /// The path of a SQLite file.
    Sqlite(PathBuf),
    /// A server of MySQL or MariaDB.
    MySql(Box<MySqlServer>),
}

/// Where a server of MySQL (8.0.16 and later) or MariaDB (10.6 and later) is, and who signs in there.
#[derive(Debug, Clone)]
pub struct MySqlServer {
    /// Name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Unix socket; used in place of `host` and `port`.
    pub socket: Option<PathBuf>,
    /// Name of the database.
    pub database: String,
    /// User at the server; `docs/database.md` says which rights it needs.
    pub username: String,
    /// Password of the user; may be empty.
    pub password: Secret,
    /// PEM file with who signs the server's certificate. With it the server must speak TLS and have a certificate of its
    /// name; without it TLS is used if the server offers it, and whoever answers is believed.
    pub tls_ca: Option<PathBuf>,
    /// How many connections a process opens at most.
    pub connections: u32,
    /// How long a start waits for a server that cannot be reached yet.
    pub patience: Duration,
}

impl MySqlServer {
    /// A server at Laravel's defaults: port 3306 of this machine, user `root` without a password.
    pub fn new(database: impl Into<String>) -> Self {
        Self {
            host: "127.0.0.1".into(),
            port: 3306,
            socket: None,
            database: database.into(),
            username: "root".into(),
            password: Secret::new(String::new()),
            tls_ca: None,
            connections: 10,
            patience: Duration::from_secs(30),
        }
    }
}

/// As people should see it: without the password.
impl fmt::Display for Database {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(formatter, "{}", path.display()),
            Self::MySql(server) => write!(formatter, "{server}"),
        }
    }
}

impl fmt::Display for MySqlServer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, database, username, .. } = self;
        match &self.socket {
            Some(socket) => write!(formatter, "{database} of {username} at {}", socket.display()),
            None => write!(formatter, "{database} of {username} at {host}:{port}"),
        }
    }
}
