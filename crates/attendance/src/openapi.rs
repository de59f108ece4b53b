//! `/openapi.json`: what the handlers in `routes/` say of themselves, put together.
//!
//! An address exists only where a handler describes it (`router.rs`), so the description can lack no route. What every
//! route may answer is added here, once.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{
    Content, KnownFormat, Object, OneOf, OpenApi, Ref, RefOr, Response, ResponseBuilder, Schema,
    SchemaFormat, Type,
};
use utoipa::{Modify, PartialSchema, ToSchema};

use crate::session::SESSION_COOKIE;

/// Title, kinds of login and the shapes of errors; the routes add the rest.
#[derive(Debug, utoipa::OpenApi)]
#[openapi(
    info(
        title = "Gema attendance API",
        description = "Check-ins and check-outs that every open dashboard follows. Errors have Laravel's shape.",
        license(name = "MIT")
    ),
    components(schemas(Message, Errors, Day)),
    modifiers(&Logins)
)]
pub(crate) struct Description;

/// An error: one sentence.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Message {
    pub message: String,
}

/// A 422: which fields are wrong, and why.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Errors {
    /// The first sentence of `errors`, and how many there are beside it.
    pub message: String,
    pub errors: BTreeMap<String, Vec<String>>,
}

/// A calendar date in a query. An empty one counts as absent, as everywhere in Laravel.
pub(crate) struct Day;

impl PartialSchema for Day {
    fn schema() -> RefOr<Schema> {
        let date = Object::builder()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Date)));
        let empty = Object::builder().schema_type(Type::String).max_length(Some(0));
        Schema::OneOf(OneOf::builder().item(date).item(empty).build()).into()
    }
}

impl ToSchema for Day {}

/// The kinds of login, by the names that `security(..)` uses.
struct Logins;

impl Modify for Logins {
    fn modify(&self, api: &mut OpenApi) {
        let components = api.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
        let cookie = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new(SESSION_COOKIE)));
        components.add_security_scheme("session", cookie);
    }
}

/// Adds to each route what they all may answer, and gives the document as it is served.
pub(crate) fn complete(mut api: OpenApi) -> String {
    for (path, item) in &mut api.paths.paths {
        if let Some(operation) = &mut item.get {
            add_common(operation, path, false);
        }
        for operation in [&mut item.post, &mut item.patch, &mut item.delete].into_iter().flatten() {
            add_common(operation, path, true);
        }
    }
    api.to_pretty_json().unwrap_or_default()
}

/// What is the same for all: no login, a body that cannot be read, a cookie without its token.
fn add_common(operation: &mut Operation, path: &str, changes: bool) {
    let has_body = operation.request_body.is_some();
    let needs_login = operation.security.as_ref().is_some_and(|ways| !ways.is_empty());
    let is_api = needs_login && path.starts_with("/api/");
    let rows = [
        ("400", "The body is neither JSON nor a form, or the query cannot be read", true),
        ("401", "Nobody is signed in", is_api),
        ("403", "The caller may not do this", needs_login),
        ("408", "The body took more than 30 s", has_body),
        ("413", "The body has more than 64 KiB", has_body),
        ("419", "Signed in by cookie, and the CSRF token is missing or another session's", is_api && changes),
        ("503", "The database is held up; `Retry-After` says when to come again", true),
    ];
    for (status, description, _) in rows.into_iter().filter(|(_, _, applies)| *applies) {
        operation.responses.responses.entry(status.to_owned()).or_insert_with(|| message(description));
    }
}

fn message(description: &str) -> RefOr<Response> {
    let content = Content::new(Some(Ref::from_schema_name("Message")));
    ResponseBuilder::new().description(description).content("application/json", content).build().into()
}

#[cfg(test)]
mod tests;
