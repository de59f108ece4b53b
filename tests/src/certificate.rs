//! Certificates for one test, made with `openssl`: an authority that only this test trusts, and servers' certificates that
//! it has signed.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// All that `openssl req` needs to be told in a file; the rest stands on the command line.
const CONFIG: &str = "[req]\ndistinguished_name = name\n[name]\n";

/// An authority and the folder of its files.
#[derive(Debug)]
pub struct Authority {
    folder: TempDir,
}

/// A server's certificate: two files in PEM form.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate alone; nobody needs the chain of an authority that is a root.
    pub cert: PathBuf,
    /// Its key, PKCS#8.
    pub key: PathBuf,
    /// The name or address that it is for.
    pub host: String,
}

impl Authority {
    /// A fresh one.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("openssl.cnf"), CONFIG).expect("a file in it");
        let this = Self { folder };
        let extension = "basicConstraints=critical,CA:TRUE";
        this.request("ca", &["-subj", "/CN=Authority of a test", "-addext", extension]);
        this
    }

    /// A certificate for 127.0.0.1 in files of this name.
    pub fn issue(&self, name: &str) -> Certificate {
        self.issue_for(name, "127.0.0.1")
    }

    /// A certificate for a host in files of this name; they are written anew if they are there.
    pub fn issue_for(&self, name: &str, host: &str) -> Certificate {
        let kind = if host.parse::<IpAddr>().is_ok() { "IP" } else { "DNS" };
        let (subject, names) = (format!("/CN={name}"), format!("subjectAltName={kind}:{host}"));
        let signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-subj", &subject];
        let extensions = ["-addext", &names, "-addext", "basicConstraints=critical,CA:FALSE"];
        self.request(name, &[&signed[..], &extensions].concat());
        let path = |kind| self.folder.path().join(format!("{name}.{kind}"));
        Certificate { cert: path("pem"), key: path("key"), host: host.to_owned() }
    }

    /// The authority's own certificate, for those who shall trust it.
    pub fn root(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A client's trust in this authority.
    pub fn trust(&self) -> Trust {
        self.trust_over(&[&TLS13, &TLS12])
    }

    /// As [`Authority::trust`], over TLS 1.2 only.
    pub fn trust_over_tls12(&self) -> Trust {
        self.trust_over(&[&TLS12])
    }

    fn trust_over(&self, versions: &[&'static rustls::SupportedProtocolVersion]) -> Trust {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_file(self.root()).expect("a certificate");
        roots.add(root).expect("a root that can be trusted");
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .expect("versions that ring has")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Trust { config: Arc::new(config), host: "127.0.0.1".to_owned() }
    }

    /// A self-made key with a certificate, in `NAME.key` and `NAME.pem`.
    fn request(&self, name: &str, arguments: &[&str]) {
        let (key, cert) = (format!("{name}.key"), format!("{name}.pem"));
        let ends = [
            "req",
            "-x509",
            "-config",
            "openssl.cnf",
            "-nodes",
            "-days",
            "2",
            "-keyout",
            &key,
            "-out",
            &cert,
        ];
        let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
        openssl(self.folder.path(), &[&ends[..], &curve, arguments].concat());
    }
}

impl Certificate {
    /// Makes a listener of a test speak TLS with this certificate.
    pub fn acceptor(&self) -> TlsAcceptor {
        let chain = vec![CertificateDer::from_pem_file(&self.cert).expect("a certificate")];
        let key = PrivateKeyDer::from_pem_file(&self.key).expect("its key");
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions that ring has")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("a key that fits");
        TlsAcceptor::from(Arc::new(config))
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

/// Runs `openssl` in a folder; fails the test when it fails.
pub fn openssl(folder: &Path, arguments: &[&str]) {
    let output = Command::new("openssl").current_dir(folder).args(arguments).output();
    let output = output.expect("openssl starts: `make setup` installs it");
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Whom a client trusts, and as whom it expects the server.
#[derive(Clone, Debug)]
pub struct Trust {
    config: Arc<ClientConfig>,
    host: String,
}

impl Trust {
    /// The same, for a server that must be this one.
    #[must_use]
    pub fn named(mut self, host: &str) -> Self {
        host.clone_into(&mut self.host);
        self
    }

    /// The same, with these protocols to choose from above TLS.
    #[must_use]
    pub fn offering(mut self, protocols: &[&str]) -> Self {
        let config = Arc::make_mut(&mut self.config);
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        self
    }

    /// TLS over a connected socket.
    pub async fn shake_hands(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(self.host.clone()).expect("a name or an address");
        TlsConnector::from(self.config.clone()).connect(name, stream).await
    }
}
