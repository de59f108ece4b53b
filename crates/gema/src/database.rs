//! From the `DB_*` settings to the database. Their names are Laravel's.

use std::path::PathBuf;

use gema_attendance::{Database, MySqlServer};
use gema_protocol::app::Secret;
use percent_encoding::percent_decode_str;

use crate::failure::Failure;
use crate::settings::{DatabaseKind, Process};

/// Where the records are.
///
/// # Errors
/// A `DB_URL` that is none.
pub(crate) fn database(process: &Process) -> Result<Database, Failure> {
    if process.db_connection == DatabaseKind::Sqlite {
        let file = process.db_database.clone().unwrap_or_else(|| PathBuf::from("gema.sqlite"));
        return Ok(Database::Sqlite(file));
    }
    let mut server = match &process.db_url {
        Some(url) => from_url(url.expose())
            .ok_or("DB_URL is something else than mysql://user:password@host:port/database".to_owned())?,
        None => from_parts(process),
    };
    server.tls_ca.clone_from(&process.db_ssl_ca);
    Ok(Database::MySql(Box::new(server)))
}

fn from_parts(process: &Process) -> MySqlServer {
    let name = process.db_database.as_ref().map_or("laravel".to_owned(), |name| name.display().to_string());
    let mut server = MySqlServer::new(name);
    server.host.clone_from(&process.db_host);
    server.port = process.db_port.get();
    server.socket.clone_from(&process.db_socket);
    server.username.clone_from(&process.db_username);
    let password = process.db_password.as_ref().map_or("", |password| password.expose());
    server.password = Secret::new(password.to_owned());
    server
}

/// What is missing in the address keeps its default; what has a meaning in an address is written as `%40`.
fn from_url(url: &str) -> Option<MySqlServer> {
    let (scheme, rest) = url.split_once("://")?;
    let (place, name) = rest.split_once('/')?;
    let name = name.split('?').next().filter(|name| !name.is_empty())?;
    if !matches!(scheme, "mysql" | "mariadb") {
        return None;
    }
    let mut server = MySqlServer::new(decoded(name)?);
    let (login, address) = place.rsplit_once('@').unwrap_or(("", place));
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    if !user.is_empty() {
        server.username = decoded(user)?;
    }
    server.password = Secret::new(decoded(password)?);
    let (host, port) = match address.rsplit_once(':') {
        // The last colon of a bare IPv6 address belongs to it.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (address, None),
    };
    if !host.is_empty() {
        server.host = host.trim_matches(['[', ']']).to_owned();
    }
    server.port = port.map_or(Some(server.port), |port| port.parse().ok())?;
    Some(server)
}

fn decoded(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(|text| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Inputs, Roles, load};

    /// What these lines of `NAME=value` mean.
    fn of(lines: &[&str]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let pair =
            |line: &&str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        let environment = lines.iter().filter_map(pair).collect();
        let inputs = Inputs { environment, directory: folder.path().to_owned(), ..Inputs::default() };
        let settings = load(inputs, Roles::MIGRATE).ok().and_then(|outcome| outcome.settings.ok()).unwrap();
        match database(&settings.process) {
            Ok(database) => database.to_string(),
            Err(failure) => failure.to_string(),
        }
    }

    #[test]
    fn the_settings_are_those_of_laravel() {
        let server =
            ["DB_CONNECTION=mariadb", "DB_HOST=db", "DB_PORT=3307", "DB_DATABASE=gema", "DB_USERNAME=u"];
        let with = |line| [&server[..], &[line]].concat();
        assert_eq!(of(&[]), "gema.sqlite");
        assert_eq!(of(&["DB_DATABASE=x.sqlite", "DB_HOST=db"]), "x.sqlite");
        assert_eq!(of(&["DB_CONNECTION=mysql"]), "laravel of root at 127.0.0.1:3306");
        assert_eq!(of(&server), "gema of u at db:3307");
        assert_eq!(of(&with("DB_PASSWORD=db-secret")), "gema of u at db:3307");
        assert_eq!(of(&with("DB_SOCKET=/run/mysqld/mysqld.sock")), "gema of u at /run/mysqld/mysqld.sock");
        assert_eq!(of(&with("DB_URL=mysql://a:b@c/d")), "d of a at c:3306");
        let wrong = of(&with("DB_URL=db-secret"));
        assert!(wrong.contains("DB_URL") && !wrong.contains("db-secret"), "{wrong}");
    }

    fn shown(url: &str) -> Option<(String, String)> {
        let server = from_url(url)?;
        Some((server.to_string(), server.password.expose().to_owned()))
    }

    #[test]
    fn addresses_are_read_as_laravel_reads_them() {
        let table = [
            ("mysql://gema:s%40cret@db.example:3307/gema", "gema of gema at db.example:3307", "s@cret"),
            ("mariadb://gema@db.example/gema?charset=utf8mb4", "gema of gema at db.example:3306", ""),
            ("mysql://127.0.0.1/gema", "gema of root at 127.0.0.1:3306", ""),
            ("mysql://a:b@[::1]:3306/gema", "gema of a at ::1:3306", "b"),
            ("mysql://a:b@[::1]/gema", "gema of a at ::1:3306", "b"),
        ];
        for (url, server, password) in table {
            assert_eq!(shown(url), Some((server.to_owned(), password.to_owned())), "{url}");
        }
    }

    #[test]
    fn what_is_no_address_is_none() {
        for url in ["", "gema", "mysql://host", "mysql://host/", "pgsql://host/gema", "mysql://host:x/gema"] {
            assert_eq!(shown(url), None, "{url}");
        }
    }
}
