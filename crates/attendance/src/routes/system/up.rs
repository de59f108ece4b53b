//! `GET /up`: whether this node can serve, for load balancers.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;

use crate::state::App;

/// A database that takes longer than this to say 1 is not there.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether the node can serve.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok`, or what is missing.
    status: &'static str,
}

/// For load balancers: 503 while the database does not answer.
#[utoipa::path(
    get,
    path = "/up",
    tag = "Operation",
    responses((status = 200, body = Health), (status = 503, body = Health)),
)]
pub(crate) async fn up(State(app): State<App>) -> (StatusCode, Json<Health>) {
    match timeout(PATIENCE, app.store.ping()).await {
        Ok(Ok(())) => (StatusCode::OK, Json(Health { status: "ok" })),
        answer => {
            tracing::error!(?answer, "The database does not answer");
            (StatusCode::SERVICE_UNAVAILABLE, Json(Health { status: "database unavailable" }))
        }
    }
}
