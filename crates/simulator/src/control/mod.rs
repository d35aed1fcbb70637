//! The control routes (the project's design, section 10): what tests and the demo steer.
//!
//! | route | does |
//! | --- | --- |
//! | `GET /_control/requests?since=<n>` | the API calls after `n`; `DELETE` forgets them |
//! | `POST /_control/faults` | sets a fault, answers `{"id"}`; `GET` lists, `DELETE [/<id>]` removes |
//! | `POST /_control/inbound` | somebody writes to an account |
//! | `GET`, `POST /_control/state` | shows, changes people, groups, histories, accounts; lets changes happen that are told |
//!
//! Errors are 400 with `{"error": words}`.

mod content;
mod inbound;
mod state;

use crate::{faults::FaultSpec, http_server, world::World};
use axum::{
    Json, Router,
    body::to_bytes,
    extract::{Path, Query, Request, State},
    response::{IntoResponse, Response},
    routing::{any, delete, get, post},
};
use http::StatusCode;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;
use std::sync::Arc;

const CONTROL_LIMIT_BYTES: usize = 32 << 20;

/// All routes of the simulator; what is not `/_control` is an API call.
pub(crate) fn router(world: Arc<World>) -> Router {
    Router::new()
        .route("/_control/requests", get(requests).delete(forget_requests))
        .route("/_control/faults", post(add_fault).get(list_faults).delete(remove_faults))
        .route("/_control/faults/{id}", delete(remove_fault))
        .route("/_control/inbound", post(inbound))
        .route("/_control/state", get(show_state).post(change_state))
        .route("/_control/{*rest}", any(no_route))
        .route("/_media/{key}", get(http_server::media))
        .fallback(http_server::api)
        .with_state(world)
}

/// What was wrong with a control call.
pub(crate) struct Wrong(StatusCode, String);

impl From<String> for Wrong {
    fn from(words: String) -> Self {
        Self(StatusCode::BAD_REQUEST, words)
    }
}

impl IntoResponse for Wrong {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"error": self.1}))).into_response()
    }
}

/// The JSON body, whatever its Content-Type says: `curl -d` sends a form's.
async fn body<T: DeserializeOwned>(request: Request) -> Result<T, Wrong> {
    let bytes = to_bytes(request.into_body(), CONTROL_LIMIT_BYTES).await.map_err(|_| {
        Wrong(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body is longer than {CONTROL_LIMIT_BYTES} bytes or was cut"),
        )
    })?;
    serde_json::from_slice(&bytes).map_err(|error| Wrong::from(format!("wrong body: {error}")))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Since {
    #[serde(default)]
    since: u64,
}

async fn requests(
    State(world): State<Arc<World>>,
    query: Result<Query<Since>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Wrong> {
    let Query(Since { since }) = query.map_err(|error| Wrong::from(error.body_text()))?;
    Ok(Json(json!({"requests": world.requests.since(since)})).into_response())
}

async fn forget_requests(State(world): State<Arc<World>>) -> Response {
    Json(json!({"forgotten": world.requests.forget()})).into_response()
}

async fn add_fault(State(world): State<Arc<World>>, request: Request) -> Result<Response, Wrong> {
    let spec: FaultSpec = body(request).await?;
    let id = world.faults.add(spec)?;
    Ok(Json(json!({"id": id})).into_response())
}

async fn list_faults(State(world): State<Arc<World>>) -> Response {
    Json(json!({"faults": world.faults.list()})).into_response()
}

async fn remove_faults(State(world): State<Arc<World>>) -> Response {
    Json(json!({"removed": world.faults.remove(None)})).into_response()
}

async fn remove_fault(
    State(world): State<Arc<World>>,
    Path(id): Path<String>,
) -> Result<Response, Wrong> {
    let removed = id.parse().map_or(0, |id| world.faults.remove(Some(id)));
    if removed == 0 {
        return Err(Wrong(StatusCode::NOT_FOUND, format!("there is no fault {id}")));
    }
    Ok(Json(json!({"removed": removed})).into_response())
}

async fn inbound(State(world): State<Arc<World>>, request: Request) -> Result<Response, Wrong> {
    let spec: inbound::Inbound = body(request).await?;
    Ok(Json(inbound::write(&world, spec)?).into_response())
}

async fn show_state(State(world): State<Arc<World>>) -> Response {
    Json(state::show(&world)).into_response()
}

async fn change_state(
    State(world): State<Arc<World>>,
    request: Request,
) -> Result<Response, Wrong> {
    let change: state::Change = body(request).await?;
    Ok(Json(state::change(&world, change)?).into_response())
}

async fn no_route(request: Request) -> Response {
    let words = format!(
        "there is no {} {}; there are requests, faults, inbound and state",
        request.method(),
        request.uri().path()
    );
    Wrong(StatusCode::NOT_FOUND, words).into_response()
}
