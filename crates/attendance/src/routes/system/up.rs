//! `GET /up`: whether this node can serve, for load balancers.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::state::App;

/// A database that takes longer than this to say 1 is not there.
const PATIENCE: Duration = Duration::from_secs(2);

pub(crate) async fn up(State(app): State<App>) -> (StatusCode, Json<Value>) {
    match timeout(PATIENCE, app.store.ping()).await {
        Ok(Ok(())) => (StatusCode::OK, Json(json!({ "status": "ok" }))),
        answer => {
            tracing::error!(?answer, "The database does not answer");
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "database unavailable" })))
        }
    }
}
