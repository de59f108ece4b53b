//! Every way a request can fail and its status, in one match; and why a role did not start.
//!
//! Bodies have Laravel's shapes. What went wrong inside is logged and never shown.

use std::collections::BTreeMap;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::domain::Invalid;
use crate::openapi::{Errors, Message};
use crate::store::{Unchanged, may_pass};

/// Why [`Node`](crate::Node), [`run_worker`](crate::run_worker) or [`migrate`](crate::migrate) gave up: one sentence
/// that names the cause and the fix.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database cannot be opened, created or brought up to date.
    #[error("{0}")]
    Database(String),
    /// The database does not do what it was asked.
    #[error("the database refuses: {0}")]
    Refused(#[from] sqlx::Error),
    /// A setting cannot be used.
    #[error("{0}")]
    Setting(String),
    /// The listener has no address.
    #[error("the attendance API cannot listen: {0}")]
    Listen(#[from] std::io::Error),
    /// The operating system gave no random bytes.
    #[error("the operating system gives no random bytes: {0}")]
    Random(#[from] getrandom::Error),
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the request body is not valid: {0}")]
    Malformed(String),
    #[error("not signed in")]
    Unauthenticated,
    #[error("not allowed")]
    Forbidden,
    #[error("no such resource")]
    NotFound,
    #[error("method not allowed")]
    MethodNotAllowed,
    #[error("{0}")]
    Conflict(&'static str),
    #[error("request body too large")]
    TooLarge,
    #[error("request body too slow")]
    TooSlow,
    #[error("CSRF token mismatch")]
    CsrfMismatch,
    #[error("invalid input")]
    Invalid(Invalid),
    #[error("too many attempts")]
    TooManyAttempts { retry_after_s: u64 },
    #[error("too many sign-ins at once")]
    Busy,
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    #[error("random source: {0}")]
    Random(#[from] getrandom::Error),
    #[error("{0}")]
    Internal(String),
}

impl From<Unchanged> for Error {
    fn from(why: Unchanged) -> Self {
        match why {
            Unchanged::Missing => Self::NotFound,
            Unchanged::NotAllowed => Self::Forbidden,
            Unchanged::EmailTaken => {
                Self::Invalid(Invalid::one("email", "The email has already been taken."))
            }
        }
    }
}

impl Error {
    /// Status and public message.
    fn public(&self) -> (StatusCode, String) {
        let (status, message) = match self {
            Self::Malformed(why) => {
                return (StatusCode::BAD_REQUEST, format!("The request body is not valid: {why}"));
            }
            Self::Invalid(invalid) => return (StatusCode::UNPROCESSABLE_ENTITY, invalid.message()),
            Self::Unauthenticated => (StatusCode::UNAUTHORIZED, "Unauthenticated."),
            Self::Forbidden => (StatusCode::FORBIDDEN, "This action is unauthorized."),
            Self::NotFound => (StatusCode::NOT_FOUND, "Not found."),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "The method is not supported for this route.")
            }
            Self::Conflict(message) => (StatusCode::CONFLICT, *message),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "The request body is too large."),
            Self::TooSlow => (StatusCode::REQUEST_TIMEOUT, "The request body took too long."),
            Self::CsrfMismatch => (page_expired(), "CSRF token mismatch."),
            Self::TooManyAttempts { retry_after_s } => {
                let message =
                    format!("Too many login attempts. Please try again in {retry_after_s} seconds.");
                return (StatusCode::TOO_MANY_REQUESTS, message);
            }
            error if error.may_pass() => {
                (StatusCode::SERVICE_UNAVAILABLE, "The server is busy. Please try again in a moment.")
            }
            Self::Busy | Self::Database(_) | Self::Random(_) | Self::Internal(_) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "Server Error")
            }
        };
        (status, message.to_owned())
    }

    fn retry_after_s(&self) -> Option<u64> {
        match self {
            Self::TooManyAttempts { retry_after_s } => Some(*retry_after_s),
            error => error.may_pass().then_some(1),
        }
    }

    /// Whether the same request would probably work a moment later.
    fn may_pass(&self) -> bool {
        match self {
            Self::Busy => true,
            Self::Database(error) => may_pass(error),
            _ => false,
        }
    }
}

/// 419, Laravel's own status for a missing or wrong CSRF token; front ends reload the page on it.
fn page_expired() -> StatusCode {
    StatusCode::from_u16(419).unwrap_or(StatusCode::FORBIDDEN)
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (status, message) = self.public();
        if status.is_server_error() {
            tracing::error!(error = %self, "Request failed");
        }
        let mut response = match &self {
            Self::Invalid(invalid) => {
                (status, Json(Errors { message, errors: invalid.errors() })).into_response()
            }
            Self::TooManyAttempts { .. } => {
                let errors = BTreeMap::from([("email".to_owned(), vec![message.clone()])]);
                (status, Json(Errors { message, errors })).into_response()
            }
            _ => (status, Json(Message { message })).into_response(),
        };
        if let Some(seconds) = self.retry_after_s() {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_is_held_up_asks_to_come_back() {
        let response = Error::Database(sqlx::Error::PoolTimedOut).into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
        let broken = Error::Database(sqlx::Error::RowNotFound).into_response();
        assert_eq!(broken.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
