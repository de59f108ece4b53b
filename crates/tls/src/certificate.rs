//! From two PEM files to a certificate with its key, or one sentence that says what is wrong with them.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};

/// Where a certificate and its key are. Both may be in one file.
#[derive(Clone, Debug)]
pub struct Files {
    /// PEM: the server's own certificate, then its chain up to, but without, the root.
    pub certificate: PathBuf,
    /// PEM: the key, as PKCS#8, PKCS#1 or SEC1, without a passphrase.
    pub key: PathBuf,
}

/// Which of the two files is meant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Part {
    /// [`Files::certificate`].
    Certificate,
    /// [`Files::key`].
    Key,
}

/// Why a certificate cannot be used: a sentence with the file, the cause and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{} {problem}", path.display())]
pub struct LoadError {
    /// The file at fault.
    pub part: Part,
    path: PathBuf,
    problem: Problem,
}

#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("cannot be read ({0}): name a PEM file that this process may read")]
    Unreadable(io::Error),
    #[error("is no valid PEM file ({0}): copy it again, as text")]
    Damaged(pem::Error),
    #[error("holds no certificate in PEM form: name the file with the certificate and its chain")]
    NoCertificate,
    #[error("holds no private key in PEM form: name the file with the key of the certificate")]
    NoKey,
    #[error(
        "is locked with a passphrase: unlock it with `openssl pkey -in LOCKED -out UNLOCKED` and name that file"
    )]
    Locked,
    #[error("holds a certificate that cannot be used ({0}): have an X.509 version 3 certificate made")]
    UnusableCertificate(Error),
    #[error(
        "holds a key that cannot be used ({0}): use RSA of 2048 bits or more, ECDSA P-256 or P-384, or Ed25519"
    )]
    UnusableKey(Error),
    #[error(
        "is not the key of the first certificate in {}: name the key that belongs to it, and put the server's own \
         certificate before its chain",
        .0.display()
    )]
    Mismatch(PathBuf),
    #[error("cannot be served: {0}")]
    Setup(Error),
}

impl Files {
    /// Reads both files and checks that they belong together.
    pub(crate) fn load(&self, provider: &CryptoProvider) -> Result<CertifiedKey, LoadError> {
        let chain = chain(&self.certificate).map_err(|problem| self.error(Part::Certificate, problem))?;
        let key = key(&self.key).map_err(|problem| self.error(Part::Key, problem))?;
        let key = provider.key_provider.load_private_key(key);
        let key = key.map_err(|error| self.error(Part::Key, Problem::UnusableKey(error)))?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
            Err(Error::InconsistentKeys(_)) => {
                Err(self.error(Part::Key, Problem::Mismatch(self.certificate.clone())))
            }
            Err(error) => Err(self.error(Part::Certificate, Problem::UnusableCertificate(error))),
        }
    }

    /// TLS itself could not be set up with what the files hold.
    pub(crate) fn setup_failed(&self, error: Error) -> LoadError {
        self.error(Part::Certificate, Problem::Setup(error))
    }

    /// What is known about both files without reading them.
    pub(crate) fn stamps(&self) -> Stamps {
        Stamps([stamp(&self.certificate), stamp(&self.key)])
    }

    fn error(&self, part: Part, problem: Problem) -> LoadError {
        let path = match part {
            Part::Certificate => &self.certificate,
            Part::Key => &self.key,
        };
        LoadError { part, path: path.clone(), problem }
    }
}

/// Tells one state of the files from the next. The time of change is the inode's own, which no copying tool preserves.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Stamps([Option<(u64, i64, i64, u64)>; 2]);

fn stamp(path: &Path) -> Option<(u64, i64, i64, u64)> {
    let data = fs::metadata(path).ok()?;
    Some((data.ino(), data.ctime(), data.ctime_nsec(), data.size()))
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let text = fs::read(path).map_err(Problem::Unreadable)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err(Problem::NoCertificate),
        Ok(chain) => Ok(chain),
        Err(error) => Err(Problem::Damaged(error)),
    }
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, Problem> {
    let text = fs::read(path).map_err(Problem::Unreadable)?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        // Both forms of a locked key have this word in a line of their own, and base64 has it in none.
        _ if is_locked(&text) => Problem::Locked,
        pem::Error::NoItemsFound => Problem::NoKey,
        error => Problem::Damaged(error),
    })
}

/// `-----BEGIN ENCRYPTED PRIVATE KEY-----` (PKCS#8) or `Proc-Type: 4,ENCRYPTED` (the older forms).
fn is_locked(text: &[u8]) -> bool {
    let lines = text.split(|byte| matches!(byte, b'\n' | b'\r'));
    lines.into_iter().any(|line| {
        line.starts_with(b"-----BEGIN ENCRYPTED PRIVATE KEY") || line.starts_with(b"Proc-Type: 4,ENCRYPTED")
    })
}
