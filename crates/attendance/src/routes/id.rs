//! The `{id}` of an address.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

use crate::error::Error;

/// A number; what is none names nothing, so it is a 404. Comes after `Caller` among the arguments of a handler, as
/// strangers get 401 whatever they ask for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Id(pub i64);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        Path::from_request_parts(parts, state).await.map(|Path(id)| Self(id)).map_err(|_| Error::NotFound)
    }
}
