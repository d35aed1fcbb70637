//! The private listener: `/rpc`, `/metrics`, full health. Loopback unless told otherwise, signed all the same.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use jsonrpsee::Methods;
use serde_json::{Map, Value, json};
use subtle::ConstantTimeEq;
use wabridge_domain::Kind;
use wabridge_rpc::dispatch::{Outcome, dispatch, method_of, refuse};
use wabridge_rpc::{Failure, Identity, Malformed};
use wabridge_store::odoo::audit_log::Entry;
use wabridge_store::readiness;

use crate::access;
use crate::app::App;
use crate::http::auth::{self, Signed};
use crate::http::media;
use crate::rpc::Api;
use crate::runtime::Runtime;

/// How long a health answer waits for the database.
const HEALTH_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(2);

pub(super) struct Private {
    pub(super) app: Arc<App>,
    methods: Methods,
}

/// The routes of the private listener.
pub fn router(app: Arc<App>) -> Router {
    let methods = wabridge_rpc::methods(Api::new(&app));
    Router::new()
        .route("/rpc", post(rpc))
        .route("/media", put(media::upload))
        .route("/media/{id}", get(media::download))
        .route("/metrics", get(metrics))
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .with_state(Arc::new(Private { app, methods }))
}

async fn rpc(State(private): State<Arc<Private>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let signed = match auth::authenticate(&private.app, &parts, body).await {
        Ok(signed) => signed,
        Err(denied) => return denied.into_response(),
    };
    if !is_json(&parts.headers) {
        let problem = json!({"error": "unsupported_media_type", "message": "Content-Type must be application/json"});
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, axum::Json(problem)).into_response();
    }
    // In a task of its own: a caller who hangs up does not stop half-way what he asked for.
    let tasks = signed.rt.tasks.clone();
    match tasks.spawn(async move { call(&private, signed).await }).await {
        Ok(response) => response,
        Err(error) => {
            tracing::error!(%error, "a call ended in a panic: {error}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn call(private: &Private, signed: Signed) -> Response {
    let Signed { rt, identity, body, rights } = signed;
    tracing::trace!(
        db.name = %rt.name, request.id = %identity.request_id, key.id = %identity.key_id, size_bytes = body.len(),
        "call {} arrived", identity.request_id
    );
    let refused = out_of_scope(&rt, &identity, &body);
    let outcome = match &refused {
        Some(outcome) => outcome.clone(),
        None => {
            let answered = dispatch(&private.methods, &body, identity.clone());
            access::with_rights(rights, answered).await
        }
    };
    let elapsed = identity.received.elapsed();
    let method = outcome.method.unwrap_or("none");
    metrics::counter!("wabridge_rpc_calls_total", "database" => rt.name.clone(), "method" => method,
        "code" => outcome.error_code.unwrap_or(0).to_string())
    .increment(1);
    metrics::histogram!("wabridge_rpc_seconds", "database" => rt.name.clone(), "method" => method)
        .record(elapsed.as_secs_f64());
    let why = match &outcome.malformed {
        Some(malformed) => Some(malformed.word()),
        None => refused.is_some().then_some("out of the key's scopes"),
    };
    if let Some(why) = why {
        tracing::info!(
            db.name = %rt.name, rpc.method = method, request.id = %identity.request_id,
            "call {} was refused: {why}", identity.request_id
        );
        let reason = format!("{method}: {why}");
        let entry = Entry {
            operation: crate::audit::REFUSED,
            response_time_ms: elapsed.as_secs_f64() * 1000.0,
            error_message: Some(&reason),
            request_id: Some(&identity.request_id),
            address: identity.address.as_deref(),
            ..Entry::default()
        };
        crate::audit::write(&rt, &entry).await;
    }
    respond(outcome, &identity.request_id)
}

/// The answer to a call that is not among its key's scopes.
fn out_of_scope(rt: &Runtime, identity: &Identity, body: &[u8]) -> Option<Outcome> {
    let key = rt.settings.rpc_keys.get(&identity.key_id)?;
    if key.scopes.is_empty() {
        return None;
    }
    // What is no call is answered by dispatch, which reads it the same way.
    let method = method_of(body)?;
    let scope = method.split('.').next().unwrap_or_default();
    if scope == "rpc" || key.reaches(scope) {
        return None;
    }
    let failure = Failure::new(Kind::AccessDenied, auth::OUT_OF_SCOPE);
    Some(refuse(body, &failure, &identity.request_id))
}

fn respond(outcome: Outcome, request_id: &str) -> Response {
    let status = match (&outcome.malformed, outcome.error_code) {
        (
            Some(
                Malformed::NotJson
                | Malformed::NotARequest
                | Malformed::Batch
                | Malformed::Notification,
            ),
            _,
        ) => StatusCode::BAD_REQUEST,
        (_, Some(code)) if code == Kind::DatabaseUnavailable.code() => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        _ => StatusCode::OK,
    };
    let mut response = (status, outcome.json).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert("x-request-id", id);
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    }
    response
}

fn is_json(headers: &HeaderMap) -> bool {
    let text = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = text.unwrap_or_default().split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

/// The process answers; nothing more.
async fn live() -> impl IntoResponse {
    axum::Json(json!({"status": "live"}))
}

/// Whether calls can be answered. Details go to signed callers (of their own database), to holders of the
/// metrics token and to the machine itself; to everybody else one word.
async fn ready(State(private): State<Arc<Private>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let app = &private.app;
    let (is_ready, shown): (bool, Vec<&Arc<Runtime>>) =
        if parts.headers.contains_key(header::AUTHORIZATION) && !has_metrics_token(app, &parts) {
            match auth::authenticate(app, &parts, body).await {
                Ok(Signed { rt, .. }) => match app.runtimes.get(&rt.name) {
                    Some(own) => (is_ready(own), vec![own]),
                    None => (false, vec![]),
                },
                Err(denied) => return denied.into_response(),
            }
        } else {
            let near =
                auth::peer(&parts).is_some_and(|peer| peer.ip().to_canonical().is_loopback());
            let shown = near || has_metrics_token(app, &parts);
            (
                app.runtimes.values().any(is_ready),
                if shown { app.runtimes.values().collect() } else { vec![] },
            )
        };
    let mut page = Map::new();
    page.insert("status".into(), json!(if is_ready { "ready" } else { "not_ready" }));
    if !shown.is_empty() {
        let mut databases = Map::new();
        for rt in shown {
            databases.insert(rt.name.clone(), details(rt).await);
        }
        page.insert("databases".into(), Value::Object(databases));
        page.insert("process".into(), crate::process::usage().await);
    }
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(Value::Object(page))).into_response()
}

fn is_ready(rt: &Arc<Runtime>) -> bool {
    rt.phase().can_apply() && !rt.stop.is_cancelled()
}

async fn details(rt: &Runtime) -> Value {
    let phase = rt.phase();
    let (in_use, open, most) = rt.store.pool_status();
    let mut page = json!({
        "phase": phase.word(),
        "workers": rt.tasks.len(),
        "connections": {"in_use": in_use, "open": open, "most": most},
        "lag": null,
        "accounts": [],
        "versions": rt.agreement().page(),
        "differences": match &phase {
            crate::runtime::Phase::JournalOnly(lines) => lines.as_slice(),
            _ => &[],
        },
    });
    if phase.can_journal() {
        let lag = tokio::time::timeout(HEALTH_TIMEOUT, readiness::lag(&rt.store)).await;
        if let Ok(Ok(lag)) = lag {
            page["lag"] = json!({
                "journal_pending": lag.journal_pending,
                "journal_oldest_s": lag.journal_oldest_s,
                "quarantined": lag.quarantined,
                "outbox": lag.outbox,
                "outbox_oldest_s": lag.outbox_oldest_s,
            });
        }
    }
    if phase.can_apply() {
        let accounts = tokio::time::timeout(HEALTH_TIMEOUT, readiness::accounts(&rt.store)).await;
        if let Ok(Ok(accounts)) = accounts {
            page["accounts"] = accounts
                .into_iter()
                .map(|account| {
                    json!({"id": account.id, "provider": account.provider, "state": account.state})
                })
                .collect();
        }
    }
    page
}

async fn metrics(State(private): State<Arc<Private>>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let app = &private.app;
    let text = if has_metrics_token(app, &parts) {
        let all: Vec<Arc<Runtime>> = app.runtimes.values().cloned().collect();
        crate::metrics::render(app, &all).await
    } else {
        match auth::authenticate(app, &parts, body).await {
            Ok(Signed { rt, .. }) => {
                let own = app.runtimes.get(&rt.name).cloned();
                of_database(&crate::metrics::render(app, own.as_slice()).await, &rt.name)
            }
            Err(denied) => return denied.into_response(),
        }
    };
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

/// Without the lines of other databases: a key belongs to one.
fn of_database(text: &str, name: &str) -> String {
    let own = format!("database=\"{name}\"");
    text.lines()
        .filter(|line| {
            line.starts_with('#') || !line.contains("database=\"") || line.contains(&own)
        })
        .flat_map(|line| [line, "\n"])
        .collect()
}

/// Whether the request carries the token of `private.metrics_bearer_token_file`. The file is read each time, so
/// that the token can be changed without a restart.
fn has_metrics_token(app: &App, parts: &Parts) -> bool {
    let Some(path) = &app.config.private.metrics_bearer_token_file else { return false };
    let Some(presented) = parts
        .headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
    else {
        return false;
    };
    match std::fs::read_to_string(path) {
        Ok(token) => {
            let token = token.trim();
            !token.is_empty() && bool::from(token.as_bytes().ct_eq(presented.as_bytes()))
        }
        Err(error) => {
            tracing::warn!(%error, "private.metrics_bearer_token_file cannot be read: {error}");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_of_one_database() {
        let text = "# TYPE a counter\na{database=\"acme\"} 1\na{database=\"acme2\"} 2\nb 3\n";
        assert_eq!(of_database(text, "acme"), "# TYPE a counter\na{database=\"acme\"} 1\nb 3\n");
    }

    #[test]
    fn content_types() {
        let with = |text: &'static str| {
            is_json(&HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(text))]))
        };
        assert!(with("application/json"));
        assert!(with("Application/JSON; charset=utf-8"));
        assert!(!with("text/plain"));
        assert!(!with("application/jsonp"));
        assert!(!is_json(&HeaderMap::new()));
    }
}
