//! The [`Acceptor`]: handshakes with the certificate in use, and its replacement while the listener runs.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, Error, ServerConfig};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::certificate::{Files, LoadError, Stamps};
use crate::own;

/// How long a client may take from its first byte to the end of the handshake.
pub const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// The first byte of every TLS connection: the type of a handshake record. No HTTP method begins with it.
const HANDSHAKE_RECORD: u8 = 0x16;

/// What a new connection turned out to be.
#[derive(Debug)]
pub enum Incoming {
    /// TLS, after its handshake.
    Tls(Box<TlsStream<TcpStream>>),
    /// Something else; nothing has been read from it.
    Plain(TcpStream),
}

/// Takes connections with the certificate that is in use at that moment. Clones share it.
#[derive(Clone, Debug)]
pub struct Acceptor {
    files: Arc<Files>,
    config: Arc<ServerConfig>,
    current: Arc<Current>,
    stamps: Arc<Mutex<Stamps>>,
}

impl Acceptor {
    /// Reads the certificate.
    ///
    /// # Errors
    /// When a file cannot be read or used, or the two do not belong together.
    pub fn open(files: Files) -> Result<Self, LoadError> {
        let provider = Arc::new(ring::default_provider());
        let stamps = files.stamps();
        let certified = files.load(&provider)?;
        let current = Arc::new(Current { certified: RwLock::new(Arc::new(certified)), provider });
        let config = config(current.clone()).map_err(|error| files.setup_failed(error))?;
        Ok(Self {
            files: Arc::new(files),
            config: Arc::new(config),
            current,
            stamps: Arc::new(Mutex::new(stamps)),
        })
    }

    /// Reads the files again, whether or not they have changed. Connections that stand keep what they have; those that
    /// come get the new certificate. Blocks for as long as the disk takes.
    ///
    /// # Errors
    /// As [`Acceptor::open`]; the old certificate then stays in use.
    pub fn renew(&self) -> Result<(), LoadError> {
        *self.stamps.lock() = self.files.stamps();
        let certified = self.files.load(&self.current.provider)?;
        *self.current.certified.write() = Arc::new(certified);
        Ok(())
    }

    /// As [`Acceptor::renew`], if a file has changed since the last time; whether one has.
    ///
    /// # Errors
    /// As [`Acceptor::renew`]; the same files are an error once.
    pub fn renew_if_changed(&self) -> Result<bool, LoadError> {
        if *self.stamps.lock() == self.files.stamps() {
            return Ok(false);
        }
        self.renew().map(|()| true)
    }

    /// The client's first byte decides: TLS, whose handshake is done here, or something else.
    ///
    /// # Errors
    /// When the client hangs up, makes no valid handshake, or takes longer than [`HANDSHAKE_TIME`].
    pub async fn accept(&self, socket: TcpStream) -> io::Result<Incoming> {
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, "no handshake in time");
        timeout(HANDSHAKE_TIME, self.shake_hands(socket)).await.map_err(late)?
    }

    async fn shake_hands(&self, socket: TcpStream) -> io::Result<Incoming> {
        let mut first = [0];
        if socket.peek(&mut first).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if first != [HANDSHAKE_RECORD] {
            return Ok(Incoming::Plain(socket));
        }
        let stream = TlsAcceptor::from(self.config.clone()).accept(socket).await?;
        Ok(Incoming::Tls(Box::new(stream)))
    }

    /// For clients in this process: trusts this listener's own certificate and nothing else, whatever its name, issuer
    /// and age.
    ///
    /// # Errors
    /// When the cryptography does not support TLS 1.2 and 1.3.
    pub fn own_client(&self) -> Result<ClientConfig, Error> {
        own::client(self.current.clone())
    }
}

fn config(current: Arc<Current>) -> Result<ServerConfig, Error> {
    let builder = ServerConfig::builder_with_provider(current.provider.clone());
    let mut config =
        builder.with_safe_default_protocol_versions()?.with_no_client_auth().with_cert_resolver(current);
    // WebSocket over HTTP/2 is another protocol, and hyper speaks HTTP/1.1 here.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Sessions are kept by the clients: a rush that comes back is spared the signatures, however large it is.
    config.ticketer = ring::Ticketer::new()?;
    Ok(config)
}

/// The certificate in use.
#[derive(Debug)]
pub(crate) struct Current {
    certified: RwLock<Arc<CertifiedKey>>,
    pub(crate) provider: Arc<CryptoProvider>,
}

impl Current {
    pub(crate) fn certified(&self) -> Arc<CertifiedKey> {
        self.certified.read().clone()
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.certified())
    }
}
