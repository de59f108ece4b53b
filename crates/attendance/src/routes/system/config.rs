//! `GET /config.json`: what the pages need to know at run time. Public, so nothing secret.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::state::App;

/// `host` is empty when the broadcast server is on the host that served the page.
pub(crate) async fn config(State(app): State<App>) -> Json<Value> {
    let front_end = &app.config.front_end;
    Json(json!({
        "key": front_end.key,
        "host": front_end.host,
        "port": front_end.port,
        "scheme": front_end.scheme,
        "node_id": app.config.node_id,
        "time_zone": app.config.time_zone,
    }))
}
