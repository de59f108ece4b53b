//! Every route of the attendance API on one page. Each handler is one file in `routes/`.

use axum::Router;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::from_fn;
use axum::routing::{get, post};
use tower_http::set_header::SetResponseHeaderLayer;

use crate::csrf::{guard_api, guard_web};
use crate::dashboard;
use crate::error::Error;
use crate::routes::{attendances, broadcasting, sessions, system, tokens, users};
use crate::state::App;

pub(crate) fn router(app: App) -> Router {
    let api = Router::new()
        .route("/api/logout", post(tokens::logout))
        .route("/api/user", get(users::current))
        .route("/api/users", get(users::list).post(users::create))
        .route("/api/attendances", get(attendances::list))
        .route("/api/attendances/summary", get(attendances::summary))
        .route("/api/attendances/check-in", post(attendances::check_in))
        .route("/api/attendances/check-out", post(attendances::check_out))
        .route_layer(from_fn(guard_api));

    // Signing in is the one place where GET shows a page and POST is the call.
    let web = Router::new()
        .route("/login", get(dashboard::page).post(sessions::login))
        .route("/logout", post(sessions::logout))
        .route_layer(from_fn(guard_web));

    // Here cookies do not count (a token is the answer) or, as in Laravel, no CSRF check is made.
    let open = Router::new()
        .route("/api/login", post(tokens::login))
        .route("/broadcasting/auth", post(broadcasting::auth))
        .route("/sanctum/csrf-cookie", get(sessions::csrf_cookie))
        .route("/up", get(system::up))
        .route("/config.json", get(system::config));

    let pages = Router::new()
        .route("/", get(dashboard::page))
        .route("/attendances", get(dashboard::page))
        .route("/admin/dashboard", get(dashboard::page))
        .route("/assets/{*path}", get(dashboard::asset))
        .route("/favicon.ico", get(dashboard::asset))
        .route("/favicon.svg", get(dashboard::asset));

    let node_id = HeaderValue::from(app.config.node_id);
    api.merge(web)
        .merge(open)
        .merge(pages)
        .fallback(dashboard::missing)
        .method_not_allowed_fallback(async || Error::MethodNotAllowed)
        .layer(default_header(header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .layer(default_header(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")))
        .layer(default_header(header::REFERRER_POLICY, HeaderValue::from_static("same-origin")))
        .layer(default_header(HeaderName::from_static("x-node-id"), node_id))
        .with_state(app)
}

/// Set on every answer that does not say otherwise itself.
fn default_header(name: HeaderName, value: HeaderValue) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(name, value)
}
