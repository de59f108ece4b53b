//! `GET /config.json`: what the pages need to know at run time. Public, so nothing secret.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::state::App;

/// Where the pages find their servers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PageConfig {
    key: String,
    /// Empty: the host that served the page.
    host: String,
    port: u16,
    scheme: String,
    node_id: u32,
    time_zone: String,
}

/// What the pages need to know at run time.
#[utoipa::path(get, path = "/config.json", tag = "Operation", responses((status = 200, body = PageConfig)))]
pub(crate) async fn config(State(app): State<App>) -> Json<PageConfig> {
    let front_end = &app.config.front_end;
    Json(PageConfig {
        key: front_end.key.clone(),
        host: front_end.host.clone(),
        port: front_end.port,
        scheme: front_end.scheme.clone(),
        node_id: app.config.node_id,
        time_zone: app.config.time_zone.clone(),
    })
}
