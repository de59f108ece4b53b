//! TLS for a listener of ours: the certificate's files, their renewal, and the handshake.
//!
//! Owns nothing of what is said after the handshake. [`Acceptor`] is where to start; `certificate.rs` reads the files
//! and says what is wrong with them, `own.rs` lets the process trust its own listener.

mod acceptor;
mod certificate;
mod own;

pub use acceptor::{Acceptor, HANDSHAKE_TIME, Incoming};
pub use certificate::{Files, LoadError, Part};
pub use rustls::ServerConnection;
pub use tokio_rustls::server::TlsStream;
