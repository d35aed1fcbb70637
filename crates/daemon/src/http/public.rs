//! The public listener: webhooks, subscription handshakes, a bare health answer. Nothing else, and every
//! unauthenticated request gets the same answer.

mod body;
mod flood;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, get};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use wabridge_domain::ProviderKind;
use wabridge_domain::webhook::{Presented, Signed};
use wabridge_providers::Route;
use wabridge_store::ingest::Delivery;
use wabridge_store::journal::Receipt;

use crate::app::App;
use crate::ingest::route::{Share, route};
use crate::ingest::sender::{self, Sender};
use crate::refusals::{self, Zone};

use body::BodyError;

/// Headers that are kept with a webhook; never one that can hold a secret.
const KEPT_HEADERS: [&str; 5] =
    ["content-type", "content-length", "user-agent", "x-request-id", "x-forwarded-for"];
/// Longest header value that is kept.
const KEPT_HEADER_BYTES: usize = 512;
/// What a repeating provider is asked to wait.
const RETRY_AFTER_S: u64 = 5;

/// What the routes share.
struct Public {
    app: Arc<App>,
    flood: flood::Flood,
    /// Bytes of bodies that are being read, over all connections.
    reading: Arc<tokio::sync::Semaphore>,
}

/// The routes of the public listener.
pub fn router(app: Arc<App>) -> Router {
    let public = Arc::new(Public {
        flood: flood::Flood::new(app.config.public.refusals_per_minute),
        reading: Arc::new(tokio::sync::Semaphore::new(app.config.limits.queue_bytes)),
        app,
    });
    let webhook = || -> MethodRouter<Arc<Public>> { any(webhook) };
    Router::new()
        .route("/whatsapp/webhook/{provider}", webhook())
        .route("/whatsapp/webhook/{provider}/{token}", webhook())
        .route("/whatsapp/webhook/{provider}/{token}/", webhook())
        .route("/whatsapp/webhook/{provider}/{token}/{*sub_path}", webhook())
        .route("/whatsapp/health", get(health))
        .with_state(public)
}

async fn health(State(public): State<Arc<Public>>) -> Response {
    let status = if public.app.is_up() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let word = if status == StatusCode::OK { "ok" } else { "unavailable" };
    (status, axum::Json(json!({ "status": word }))).into_response()
}

/// What the address of a webhook holds.
#[derive(Debug, serde::Deserialize)]
struct Address {
    provider: String,
    token: Option<String>,
    sub_path: Option<String>,
}

/// What a request presents to the gates.
struct Credentials<'a> {
    token: Option<&'a str>,
    headers: &'a HeaderMap,
}

impl Presented for Credentials<'_> {
    fn path_token(&self) -> Option<&str> {
        self.token
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok(),
            _ => None,
        }
    }
}

async fn webhook(
    State(public): State<Arc<Public>>,
    Path(address): Path<Address>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    query: Query<Vec<(String, String)>>,
    request: Request,
) -> Response {
    let Ok(provider) = address.provider.parse::<ProviderKind>() else {
        return problem(StatusCode::NOT_FOUND, "not_found");
    };
    let from =
        flood::address(peer.ip(), request.headers(), &public.app.config.public.trusted_proxies);
    let allowed = &public.app.config.public.allowed_addresses;
    let stranger = !allowed.is_empty() && !allowed.iter().any(|network| network.contains(from));
    let outcome = match *request.method() {
        _ if stranger => Err(Refused::Unauthentic),
        Method::GET => handshake(&public, provider, &address, &query),
        Method::POST | Method::PUT | Method::PATCH | Method::DELETE => {
            take(&public, provider, &address, from.to_string(), request).await
        }
        _ => Err(Refused::Method),
    };
    let word = outcome.as_ref().map_or_else(Refused::word, |_| "accepted");
    metrics::counter!("wabridge_webhooks_total", "provider" => provider.as_str(), "outcome" => word)
        .increment(1);
    match outcome {
        Ok(response) => response,
        Err(Refused::Unauthentic) => {
            refusals::note_everywhere(public.app.runtimes.values(), Zone::Webhook);
            match public.flood.note(from, public.app.clock.now()) {
                None => problem(StatusCode::UNAUTHORIZED, "unauthorized"),
                Some(wait_s) => later(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", wait_s),
            }
        }
        Err(refused) => refused.into_response(),
    }
}

/// Why a webhook was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refused {
    /// Missing or wrong authentication, whatever is missing or wrong.
    Unauthentic,
    Method,
    TooLarge,
    TooSlow,
    CutShort,
    /// Not now: no journal, or too much is waiting.
    Busy,
}

impl Refused {
    fn word(&self) -> &'static str {
        match self {
            Self::Unauthentic => "unauthorized",
            Self::Method => "method",
            Self::TooLarge => "too_large",
            Self::TooSlow | Self::CutShort => "incomplete",
            Self::Busy => "busy",
        }
    }

    fn into_response(self) -> Response {
        match self {
            Self::Unauthentic => problem(StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::Method => {
                let allowed = HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE");
                ([(header::ALLOW, allowed)], problem(StatusCode::METHOD_NOT_ALLOWED, "method"))
                    .into_response()
            }
            Self::TooLarge => closing(problem(StatusCode::PAYLOAD_TOO_LARGE, "too_large")),
            Self::TooSlow => closing(problem(StatusCode::REQUEST_TIMEOUT, "too_slow")),
            Self::CutShort => closing(problem(StatusCode::BAD_REQUEST, "incomplete")),
            Self::Busy => later(StatusCode::SERVICE_UNAVAILABLE, "unavailable", RETRY_AFTER_S),
        }
    }
}

fn problem(status: StatusCode, word: &str) -> Response {
    (status, axum::Json(json!({"success": false, "error": word}))).into_response()
}

fn later(status: StatusCode, word: &str, wait_s: u64) -> Response {
    ([(header::RETRY_AFTER, HeaderValue::from(wait_s))], problem(status, word)).into_response()
}

fn closing(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

async fn take(
    public: &Public,
    provider: ProviderKind,
    address: &Address,
    from: String,
    request: Request,
) -> Result<Response, Refused> {
    let (parts, body) = request.into_parts();
    let limit = public.app.config.public.body_limit_bytes;
    let (body, _reading) = body::read(body, &parts.headers, limit, &public.reading).await.map_err(
        |error| match error {
            BodyError::TooLarge => Refused::TooLarge,
            BodyError::TooSlow => Refused::TooSlow,
            BodyError::CutShort => Refused::CutShort,
            BodyError::NoRoom => Refused::Busy,
        },
    )?;
    let credentials = Credentials { token: address.token.as_deref(), headers: &parts.headers };
    let sender = sender::authenticate(&public.app.runtimes, provider, &credentials, &body)
        .ok_or_else(|| unauthentic(public))?;
    let (deliveries, events) = deliveries(public, &sender, &parts, address, from, &body);
    let mut outcomes = Vec::with_capacity(deliveries.len());
    for (share, delivery) in deliveries {
        let ingest = share.rt.ingest.get().ok_or(Refused::Busy)?;
        outcomes.push(ingest.commit(delivery).await);
    }
    // All or nothing, as far as the answer goes: what one database has already is no second row there.
    if let Some(error) = outcomes.into_iter().find_map(Result::err) {
        tracing::debug!(%error, "a webhook is to be repeated: {error}");
        return Err(Refused::Busy);
    }
    Ok(axum::Json(json!({"success": true, "data": {"accepted": events}})).into_response())
}

/// A database whose accounts were never read may be the one that knows the sender: he shall come again.
fn unauthentic(public: &Public) -> Refused {
    let unknown = public.app.runtimes.values().any(|rt| !rt.knows_accounts());
    if unknown { Refused::Busy } else { Refused::Unauthentic }
}

fn deliveries(
    public: &Public,
    sender: &Sender,
    parts: &axum::http::request::Parts,
    address: &Address,
    from: String,
    body: &Bytes,
) -> (Vec<(Share, Delivery)>, usize) {
    let sub_path = address.sub_path.as_deref().unwrap_or_default().trim_matches('/');
    let method = parts.method.as_str();
    // The gate let it through with this very body.
    let signed = Signed::from_journal(body);
    let (shares, events) =
        route(sender, &signed, &Route { method, sub_path, received_at: public.app.clock.now() });
    let request_id = uuid::Uuid::now_v7().to_string();
    let headers = kept_headers(&parts.headers);
    let deliveries = shares
        .into_iter()
        .map(|mut share| {
            let receipt = Receipt {
                provider: sender.own.account.provider.as_str(),
                configuration_id: share.opened.account.id,
                verified_by: share.opened.verified_by.to_string(),
                method: method.to_owned(),
                sub_path: sub_path.to_owned(),
                headers: headers.clone(),
                body: body.clone(),
                address: Some(from.clone()),
                request_id: request_id.clone(),
            };
            let delivery = Delivery {
                receipt,
                items: std::mem::take(&mut share.items),
                unusable: std::mem::take(&mut share.unusable),
            };
            (share, delivery)
        })
        .collect();
    (deliveries, events)
}

fn kept_headers(headers: &HeaderMap) -> Value {
    let kept = KEPT_HEADERS.iter().filter_map(|name| {
        let value = headers.get(*name)?.to_str().ok()?;
        let cut: String = value.chars().take(KEPT_HEADER_BYTES).collect();
        Some(((*name).to_owned(), Value::String(cut)))
    });
    Value::Object(kept.collect::<Map<_, _>>())
}

/// Answers a provider's question whether this address wants its webhooks.
fn handshake(
    public: &Public,
    provider: ProviderKind,
    address: &Address,
    query: &[(String, String)],
) -> Result<Response, Refused> {
    let question = wabridge_providers::provider(provider)
        .and_then(|adapter| adapter.handshake(query))
        .ok_or_else(|| unauthentic(public))?;
    let mut known = false;
    for rt in public.app.runtimes.values() {
        for account in rt.accounts().of_provider(provider) {
            let named = address.token.as_deref().is_none_or(|t| sender::names(&account.gate, t));
            let matches = account.verify_token.as_ref().is_some_and(|token| {
                !token.expose().is_empty()
                    && token.matches(question.verify_token.expose().as_bytes())
            });
            known |= named & matches;
        }
    }
    if !known {
        return Err(unauthentic(public));
    }
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, plain)], question.challenge).into_response())
}
