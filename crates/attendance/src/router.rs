//! Every route of the attendance API on one page. Each handler is one file in `routes/`.

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::IntoResponse;
use axum::routing::get;
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::csrf::{guard_api, guard_web};
use crate::dashboard;
use crate::error::Error;
use crate::metrics::count;
use crate::openapi::{self, Description};
use crate::routes::{attendances, broadcasting, sessions, system, tokens, users};
use crate::state::App;

pub(crate) fn router(app: App) -> Router {
    let (described, api) = described().split_for_parts();
    let document: Arc<str> = openapi::complete(api).into();
    let described = described.route("/openapi.json", get(async move || json_text(&document)));

    let pages = Router::new()
        .route("/", get(dashboard::page))
        .route("/login", get(dashboard::page))
        .route("/attendances", get(dashboard::page))
        .route("/admin/dashboard", get(dashboard::page))
        .route("/admin/people", get(dashboard::page))
        .route("/assets/{*path}", get(dashboard::asset))
        .route("/favicon.ico", get(dashboard::asset))
        .route("/favicon.svg", get(dashboard::asset));

    let node_id = HeaderValue::from(app.config.node_id);
    described
        .merge(pages)
        .fallback(dashboard::missing)
        .method_not_allowed_fallback(async || Error::MethodNotAllowed)
        .layer(default_header(header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
        .layer(default_header(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")))
        .layer(default_header(header::REFERRER_POLICY, HeaderValue::from_static("same-origin")))
        .layer(default_header(HeaderName::from_static("x-node-id"), node_id))
        .layer(from_fn_with_state(Arc::clone(&app.counts), count))
        .with_state(app)
}

/// The routes for programs. Which address leads where stands above each handler.
pub(crate) fn described() -> OpenApiRouter<App> {
    let api = OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(tokens::logout))
        .routes(routes!(users::current))
        .routes(routes!(users::list, users::create))
        .routes(routes!(users::update, users::delete))
        .merge(records())
        .route_layer(from_fn(guard_api));

    // Signing in is the one place where GET shows a page and POST is the call.
    let web = OpenApiRouter::new()
        .routes(routes!(sessions::login))
        .routes(routes!(sessions::logout))
        .route_layer(from_fn(guard_web));

    // Here cookies do not count (a token is the answer) or, as in Laravel, no CSRF check is made.
    let open = OpenApiRouter::new()
        .routes(routes!(tokens::login))
        .routes(routes!(broadcasting::auth))
        .routes(routes!(broadcasting::user_auth))
        .routes(routes!(sessions::csrf_cookie))
        .routes(routes!(system::up))
        .routes(routes!(system::config));
    api.merge(web).merge(open)
}

fn records() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(attendances::list))
        .routes(routes!(attendances::summary))
        .routes(routes!(attendances::export))
        .routes(routes!(attendances::check_in))
        .routes(routes!(attendances::check_out))
        .routes(routes!(attendances::show, attendances::correct))
        .routes(routes!(attendances::corrections))
}

fn json_text(text: &str) -> impl IntoResponse + use<> {
    ([(header::CONTENT_TYPE, "application/json")], text.to_string())
}

/// Set on every answer that does not say otherwise itself.
fn default_header(name: HeaderName, value: HeaderValue) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(name, value)
}
