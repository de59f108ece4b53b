//! Refuses requests that a foreign page made with the visitor's cookies: they cannot carry the token.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::Response;

use crate::auth::bearer;
use crate::error::Error;
use crate::input::{Input, collect};
use crate::secret;
use crate::session::SessionId;

/// For `/api/*`: applies when the session cookie is what signs the caller in.
pub(crate) async fn guard_api(request: Request, next: Next) -> Result<Response, Error> {
    let by_cookie = bearer(request.headers()).is_none();
    match SessionId::from_headers(request.headers()) {
        Some(session) if by_cookie => guard(request, next, Some(session)).await,
        _ => Ok(next.run(request).await),
    }
}

/// For the web routes: always applies, so that nobody is signed in to somebody else's account unawares.
pub(crate) async fn guard_web(request: Request, next: Next) -> Result<Response, Error> {
    let session = SessionId::from_headers(request.headers());
    guard(request, next, session).await
}

async fn guard(request: Request, next: Next, session: Option<SessionId>) -> Result<Response, Error> {
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(next.run(request).await);
    }
    let expected = session.ok_or(Error::CsrfMismatch)?.csrf_token();
    if let Some(sent) = token_header(request.headers()) {
        return if secret::equal(&expected, sent) {
            Ok(next.run(request).await)
        } else {
            Err(Error::CsrfMismatch)
        };
    }
    let (parts, body) = request.into_parts();
    let body = collect(&parts.headers, body).await?;
    let input = Input::parse(&parts.headers, body.clone()).await.map_err(|_| Error::CsrfMismatch)?;
    if !input.get("_token").is_some_and(|sent| secret::equal(&expected, sent)) {
        return Err(Error::CsrfMismatch);
    }
    Ok(next.run(Request::from_parts(parts, Body::from(body))).await)
}

fn token_header(headers: &HeaderMap) -> Option<&str> {
    ["x-csrf-token", "x-xsrf-token"].iter().find_map(|name| headers.get(*name)?.to_str().ok())
}
