//! What can go wrong, and whether it may pass. The requests themselves are in `publisher.rs`.

/// Why a [`Publisher`](crate::Publisher) could not be made. The text names the cause and the fix.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The base URL is not `http(s)://host[:port][/prefix]`.
    #[error("the publish address `{url}` is not a http:// or https:// URL without query and user name")]
    BaseUrl {
        /// The address as it was given.
        url: String,
    },
    /// No TLS provider was installed in this process before the first client was made.
    #[error("no TLS provider is installed: call rustls' `install_default` once at the start of the program")]
    NoTlsProvider,
    /// The HTTP client could not be set up, for example because the system's root certificates are unreadable.
    #[error("the HTTP client could not be set up: {0}")]
    Http(#[source] reqwest::Error),
}

/// Why events were not published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// No usable answer arrived: refused, reset, timed out, or not HTTP.
    #[error("the broadcast server at {address} does not answer: {cause}")]
    Unreachable {
        /// Scheme, host and port that were tried.
        address: String,
        /// The chain of causes in words, without the signed URL.
        cause: String,
    },
    /// The server answered with another status than 2xx.
    #[error("the broadcast server answered {status}: {text}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The server's own words, at most 300 characters.
        text: String,
    },
    /// The events could not be written as JSON or the clock stands before 1970.
    #[error("the request could not be built: {0}")]
    Request(String),
}

impl PublishError {
    /// True when the same request may succeed later without anybody changing anything: no answer, 429 or 5xx.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { status, .. } => *status == 429 || *status >= 500,
            Self::Request(_) => false,
        }
    }
}
