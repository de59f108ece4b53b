//! Where a Redis is, and how to get in.

use std::fmt::Display;
use std::path::Path;
use std::time::Duration;

use fred::types::Builder;
use fred::types::config::{Config, TlsConfig, TlsConnector};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::time::timeout;

use super::link;
use crate::engine::EngineError;
use crate::lease::LEASE;

/// How long a start waits to learn what kind of Redis it has been given.
const LOOK_TIME: Duration = Duration::from_secs(2);

/// Where a Redis is and how to get in. `Debug` shows nothing of it: it may hold a password.
#[derive(Clone)]
pub struct Address {
    config: Config,
    database: u16,
    patience: u32,
    lease: Duration,
}

impl Address {
    /// A URL: `redis://`, `rediss://` (TLS), and either with `-cluster` or `-sentinel` behind the name, with user, password,
    /// port and database; further hosts as `node=host:port` in the query, and `sentinelServiceName=`. Laravel's `tcp://` and
    /// `tls://` and Valkey's `valkey://` mean the same.
    ///
    /// # Errors
    /// One sentence without the URL's secrets.
    pub fn parse(url: &str) -> Result<Self, String> {
        Self::read(url, None)
    }

    /// As [`Address::parse`], for a Redis whose certificate one of the authorities in this file (PEM) has signed; the
    /// system's are not asked then.
    ///
    /// # Errors
    /// As [`Address::parse`], and when the file cannot be read, has no certificate, or the URL asks for no TLS.
    pub fn parse_trusting(url: &str, authorities: &Path) -> Result<Self, String> {
        Self::read(url, Some(authorities))
    }

    fn read(url: &str, authorities: Option<&Path>) -> Result<Self, String> {
        let explain = |what: &str| format!("it is no address of a Redis: {what}");
        let (scheme, rest) = url.split_once("://").ok_or_else(|| explain("it has no scheme, as redis://"))?;
        let scheme = known(scheme).ok_or_else(|| explain("its scheme is none of those of Redis"))?;
        let (rest, database) = without_database(rest).map_err(|what| explain(&what))?;
        let (scheme, tls) = match authorities {
            Some(file) => {
                let plain =
                    scheme.strip_prefix("rediss").ok_or("an authority is of use with rediss:// only")?;
                (format!("redis{plain}"), Some(trust(file)?))
            }
            None => (scheme.to_owned(), None),
        };
        let mut config =
            Config::from_url(&format!("{scheme}://{rest}")).map_err(|error| explain(error.details()))?;
        config.tls = tls.or(config.tls);
        // A Cluster has no databases: there the number only keeps installations apart. Number 0 needs no command.
        if database > 0 && !config.server.is_clustered() {
            config.database = Some(u8::try_from(database).map_err(|_| explain("databases end at 255"))?);
        }
        Ok(Self { config, database, patience: 1, lease: LEASE })
    }

    /// The number of the database.
    #[must_use]
    pub fn database(&self) -> u16 {
        self.database
    }

    /// Lets everything take so many times as long before the link counts as broken: a machine that does much else at once
    /// is slower than any network.
    #[must_use]
    pub fn patient(self, times: u32) -> Self {
        Self { patience: times, ..self }
    }

    /// Lets leases end after another time than [`LEASE`], the same for all nodes: for tests, which have no time to wait.
    #[must_use]
    pub fn lease(self, lease: Duration) -> Self {
        Self { lease, ..self }
    }

    /// Is there a Redis that will never do? One that does not answer may come later.
    ///
    /// # Errors
    /// A sentence that says why it will not do, and what to use instead.
    pub async fn check(&self) -> Result<(), String> {
        let builder = Builder::from_config(self.config.clone());
        match timeout(LOOK_TIME * self.patience, link::look(&builder, self.patience)).await {
            Ok(Err(EngineError::Unfit(why))) => Err(why),
            _ => Ok(()),
        }
    }

    pub(super) fn into_parts(self) -> (Builder, u32, Duration) {
        (Builder::from_config(self.config), self.patience, self.lease)
    }
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Address(***)")
    }
}

/// Trust in the authorities of a file.
fn trust(file: &Path) -> Result<TlsConfig, String> {
    let cannot = |error: &dyn Display| format!("no authority can be read from {}: {error}", file.display());
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_file_iter(file).map_err(|error| cannot(&error))? {
        roots.add(root.map_err(|error| cannot(&error))?).map_err(|error| cannot(&error))?;
    }
    if roots.is_empty() {
        return Err(cannot(&"it has no certificate"));
    }
    let config = ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .map_err(|error| cannot(&error))?;
    Ok(TlsConnector::from(config.with_root_certificates(roots).with_no_client_auth()).into())
}

/// The scheme as fred names it.
fn known(scheme: &str) -> Option<&'static str> {
    Some(match scheme {
        "redis" | "tcp" | "valkey" => "redis",
        "rediss" | "tls" | "valkeys" => "rediss",
        "redis-cluster" | "valkey-cluster" => "redis-cluster",
        "rediss-cluster" | "valkeys-cluster" => "rediss-cluster",
        "redis-sentinel" | "valkey-sentinel" => "redis-sentinel",
        "rediss-sentinel" | "valkeys-sentinel" => "rediss-sentinel",
        _ => return None,
    })
}

/// What stands behind the scheme without the number of the database, and that number: `/1`, or Laravel's `?database=1`.
fn without_database(rest: &str) -> Result<(String, u16), String> {
    let (before, query) = rest.split_once('?').map_or((rest, None), |(before, query)| (before, Some(query)));
    let (authority, path) = before.split_once('/').unwrap_or((before, ""));
    let (named, others): (Vec<&str>, Vec<&str>) =
        query.into_iter().flat_map(|query| query.split('&')).partition(|pair| pair.starts_with("database="));
    let named = named.first().map_or(path, |pair| &pair["database=".len()..]);
    let database = match named {
        "" => 0,
        number => number.parse().map_err(|_| format!("{number:?} is no number of a database"))?,
    };
    Ok((format!("{authority}?{}", others.join("&")).trim_end_matches('?').to_owned(), database))
}

#[cfg(test)]
mod tests {
    use fred::types::config::ServerConfig;

    use super::*;

    #[test]
    fn every_form_is_understood() {
        let table: [(&str, &str, u16, bool); 9] = [
            ("redis://h", "one", 0, false),
            ("rediss://u:p%40@h:7/3", "one", 3, true),
            ("tls://h:7?database=4", "one", 4, true),
            ("tcp://h/0", "one", 0, false),
            ("valkey://[::1]:7", "one", 0, false),
            ("redis-cluster://h:1?node=i:2&node=j:3", "cluster", 0, false),
            ("rediss-cluster://u:p@h:1/5?node=i:2", "cluster", 5, true),
            ("redis-sentinel://h/2?sentinelServiceName=m&node=i:2", "sentinel", 2, false),
            ("rediss-sentinel://h?sentinelServiceName=m", "sentinel", 0, true),
        ];
        for (url, kind, database, tls) in table {
            let address = Address::parse(url).unwrap();
            let got = match &address.config.server {
                ServerConfig::Centralized { .. } => "one",
                ServerConfig::Clustered { .. } => "cluster",
                ServerConfig::Sentinel { .. } => "sentinel",
            };
            assert_eq!(
                (got, address.database(), address.config.tls.is_some()),
                (kind, database, tls),
                "{url}"
            );
            let selected = address.config.database.map(u16::from);
            assert_eq!(selected, (database > 0 && kind != "cluster").then_some(database), "{url}");
        }
        assert_eq!(Address::parse("rediss://u:p%40@h").unwrap().config.password.as_deref(), Some("p@"));
    }

    #[test]
    fn an_authority_is_for_tls_and_must_be_one() {
        let file = Path::new("Cargo.toml");
        let error = |url| Address::parse_trusting(url, file).unwrap_err();
        assert_eq!(error("redis://h"), "an authority is of use with rediss:// only");
        assert_eq!(error("rediss://h"), "no authority can be read from Cargo.toml: it has no certificate");
    }

    #[test]
    fn what_is_no_address_is_refused_without_its_secrets() {
        for url in [
            "h:6379",
            "http://u:secret@h",
            "redis://u:secret@h/x",
            "redis://u:secret@h/300",
            "redis://u:secret@",
            "redis-sentinel://u:secret@h",
            "redis-cluster://u:secret@h?node=x",
        ] {
            let error = Address::parse(url).unwrap_err();
            assert!(
                error.starts_with("it is no address of a Redis: ") && !error.contains("secret"),
                "{error}"
            );
        }
    }
}
