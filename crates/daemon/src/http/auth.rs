//! Who makes a private call: the signature of design section 4, checked before anything of the body is read.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use uuid::Uuid;
use wabridge_domain::Kind;
use wabridge_rpc::dispatch::refuse;
use wabridge_rpc::sign::{Authorization, Request};
use wabridge_rpc::{Failure, Identity};
use wabridge_store::nonce::{self, Nonce};
use wabridge_store::{Database, StoreError};

use crate::access;
use crate::app::App;
use crate::config::{ActAs, RpcKey};
use crate::http::accept::TooSlow;
use crate::refusals::{self, Zone};
use crate::runtime::{Phase, Runtime};

/// Largest body of a private call.
pub const BODY_LIMIT_BYTES: usize = 1024 * 1024;

/// A call whose signature is good and whose nonce is fresh.
pub struct Signed {
    pub rt: Arc<Runtime>,
    pub identity: Identity,
    pub body: Bytes,
    /// The user that the body names and his rights, where they could be read along with the nonce.
    pub rights: Option<(i32, access::Read)>,
}

/// Why a call is not answered. The text is for the log; the caller learns the status only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    Unauthorized(&'static str),
    TooLarge,
    TooSlow,
    /// The nonce cannot be recorded, so a replay could not be told.
    DatabaseAway,
    /// The key's `scopes` do not have it.
    OutOfScope,
    /// The key called too often: seconds until it may again.
    TooOften(u64),
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        let (status, word) = match self {
            Self::OutOfScope => {
                return refused(StatusCode::FORBIDDEN, Kind::AccessDenied, OUT_OF_SCOPE, None);
            }
            Self::TooOften(wait_s) => {
                let words = "this key calls too often";
                return refused(
                    StatusCode::TOO_MANY_REQUESTS,
                    Kind::RateLimited,
                    words,
                    Some(wait_s),
                );
            }
            Self::Unauthorized(_) => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            Self::TooSlow => (StatusCode::REQUEST_TIMEOUT, "timeout"),
            Self::DatabaseAway => (StatusCode::SERVICE_UNAVAILABLE, "database_unavailable"),
        };
        let mut response = (status, axum::Json(serde_json::json!({"error": word}))).into_response();
        let (name, value) = match self {
            Self::Unauthorized(_) => {
                (header::WWW_AUTHENTICATE, HeaderValue::from_static(wabridge_rpc::sign::SCHEME))
            }
            Self::DatabaseAway | Self::OutOfScope | Self::TooOften(_) => {
                (header::RETRY_AFTER, HeaderValue::from_static("5"))
            }
            // What is left of the body is not read: the connection cannot be used again.
            Self::TooLarge | Self::TooSlow => {
                (header::CONNECTION, HeaderValue::from_static("close"))
            }
        };
        response.headers_mut().insert(name, value);
        response
    }
}

/// What a key is told that may not call something.
pub const OUT_OF_SCOPE: &str = "this key may not call that: it is not among its scopes";

/// The JSON-RPC error of a good signature whose call is not carried out; its id was not looked at.
fn refused(status: StatusCode, kind: Kind, words: &str, wait_s: Option<u64>) -> Response {
    let failure =
        Failure { retry_after: wait_s.map(Duration::from_secs), ..Failure::new(kind, words) };
    let outcome = refuse(&[], &failure, &Uuid::now_v7().to_string());
    let json = HeaderValue::from_static("application/json");
    let mut response = (status, [(header::CONTENT_TYPE, json)], outcome.json).into_response();
    if let Some(wait_s) = wait_s {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait_s));
    }
    response
}

/// Checks one call: form of the header, key and time, then the body against the signature, then the nonce.
///
/// # Errors
/// [`Denied`]; it was counted and logged.
pub async fn authenticate(app: &App, parts: &Parts, body: Body) -> Result<Signed, Denied> {
    let received = Instant::now();
    let result = check(app, parts, Some(body), received).await;
    note(app, parts, &result);
    result
}

/// The header that carries the SHA-256 of a body that is not read before its signature is checked.
pub const CONTENT_SHA256: &str = "x-content-sha256";

/// As [`authenticate`] for a large body: the signature covers what [`CONTENT_SHA256`] says, and the caller
/// compares that with what comes. The body is empty here.
///
/// # Errors
/// [`Denied`]; it was counted and logged.
pub async fn authenticate_streamed(app: &App, parts: &Parts) -> Result<Signed, Denied> {
    let received = Instant::now();
    let result = check(app, parts, None, received).await;
    note(app, parts, &result);
    result
}

fn note(app: &App, parts: &Parts, result: &Result<Signed, Denied>) {
    if let Err(denied) = result
        && !matches!(denied, Denied::DatabaseAway | Denied::TooOften(_))
    {
        refusals::note_everywhere(app.runtimes.values(), Zone::Rpc);
        metrics::counter!("wabridge_rpc_unauthenticated_total").increment(1);
        tracing::info!(
            http.method = %parts.method,
            http.path = parts.uri.path(),
            client.address = address(parts).as_deref(),
            "a private call to {} was refused: {}",
            parts.uri.path(),
            match denied {
                Denied::Unauthorized(why) => why,
                Denied::TooLarge => "its body is larger than 1 MiB",
                Denied::TooSlow => "its body did not arrive in time",
                Denied::OutOfScope => OUT_OF_SCOPE,
                Denied::DatabaseAway => "the database is away",
                Denied::TooOften(_) => "its key calls too often",
            }
        );
    }
}

async fn check(
    app: &App,
    parts: &Parts,
    body: Option<Body>,
    received: Instant,
) -> Result<Signed, Denied> {
    let mut headers = parts.headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (headers.next(), headers.next()) else {
        return Err(Denied::Unauthorized("there is not exactly one Authorization header"));
    };
    let authorization = value
        .to_str()
        .ok()
        .and_then(|text| Authorization::parse(text).ok())
        .ok_or(Denied::Unauthorized("the Authorization header is malformed"))?;
    let (rt, key) = find_key(app, &authorization.key_id)
        .ok_or(Denied::Unauthorized("no database has this key id"))?;
    if !authorization.is_fresh(app.clock.now().as_second()) {
        return Err(Denied::Unauthorized(
            "its time differs from ours by more than 300 s; set both clocks",
        ));
    }
    let limit = Duration::from_secs(app.config.private.read_timeout_s);
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let method = parts.method.as_str();
    let secret = key.secret.as_ref().ok_or(Denied::Unauthorized("the key has no secret"))?;
    let (body, good) = match body {
        Some(body) => {
            let body = read(parts, body, limit).await?;
            let good = authorization.verify(secret, Request { method, path, body: &body });
            (body, good)
        }
        None => {
            let digest = content_sha256(parts).ok_or(Denied::Unauthorized(
                "X-Content-SHA256 is not the SHA-256 of the body in lower-case hexadecimal",
            ))?;
            (Bytes::new(), authorization.verify_digest(secret, method, path, digest))
        }
    };
    if !good {
        return Err(Denied::Unauthorized(
            "its signature is wrong: another secret, or changed on the way",
        ));
    }
    // After the signature: nobody empties the bucket of another's key.
    if let Some(rate) = key.rate
        && let Err(wait) = rt.rates.take(&authorization.key_id, rate)
    {
        let key_id = authorization.key_id.clone();
        metrics::counter!("wabridge_rpc_rate_limited_total", "database" => rt.name.clone(), "key" => key_id)
            .increment(1);
        tracing::debug!(db.name = %rt.name, key.id = %authorization.key_id, "a call with key {} was refused: it calls too often", authorization.key_id);
        return Err(Denied::TooOften(
            wait.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX),
        ));
    }
    // Of /rpc the method decides, once it is read.
    let scope = match parts.uri.path() {
        "/metrics" => Some("metrics"),
        path if path == "/media" || path.starts_with("/media/") => Some("media"),
        _ => None,
    };
    if scope.is_some_and(|scope| !key.reaches(scope)) {
        return Err(Denied::OutOfScope);
    }
    // Reading twice does no harm; whatever changes something is accepted once.
    let rights = match parts.method.as_str() {
        "GET" | "HEAD" => None,
        _ => record_nonce(rt, &authorization, named_user(&body)).await?,
    };
    let identity = Identity {
        database: rt.name.clone(),
        key_id: authorization.key_id,
        act_as: match key.act_as {
            ActAs::Any => None,
            ActAs::User(uid) => Some(uid),
        },
        // Chosen by the caller, under his signature, taken once: his log and ours name the call by it.
        request_id: authorization.nonce,
        address: address(parts),
        received,
    };
    Ok(Signed { rt: Arc::clone(rt), identity, body, rights })
}

/// The SHA-256 that the caller says the body has, where it is one.
pub fn content_sha256(parts: &Parts) -> Option<&str> {
    let lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    let digest = parts.headers.get(CONTENT_SHA256)?.to_str().ok()?;
    (digest.len() == 64 && digest.bytes().all(lower_hex)).then_some(digest)
}

fn find_key<'a>(app: &'a App, id: &str) -> Option<(&'a Arc<Runtime>, &'a RpcKey)> {
    app.runtimes.values().find_map(|rt| Some((rt, rt.settings.rpc_keys.get(id)?)))
}

async fn read(parts: &Parts, body: Body, limit: Duration) -> Result<Bytes, Denied> {
    let announced = parts
        .headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > BODY_LIMIT_BYTES as u64) {
        return Err(Denied::TooLarge);
    }
    match tokio::time::timeout(limit, Limited::new(body, BODY_LIMIT_BYTES).collect()).await {
        Ok(Ok(read)) => Ok(read.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Denied::TooLarge),
        Ok(Err(error)) if is_late(&*error) => Err(Denied::TooSlow),
        Ok(Err(_)) => Err(Denied::Unauthorized("its body was cut off")),
        Err(_) => Err(Denied::TooSlow),
    }
}

/// Whether the listener's own deadline for bodies ended it.
fn is_late(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(|error| error.is::<TooSlow>())
}

/// The user that a small call acts for; None where the body does not say so plainly, which is judged later.
fn named_user(body: &[u8]) -> Option<i32> {
    #[derive(serde::Deserialize)]
    struct Call {
        params: User,
    }
    #[derive(serde::Deserialize)]
    struct User {
        uid: i32,
    }
    // To look into a long body costs more than it saves.
    (body.len() <= 16 * 1024)
        .then(|| serde_json::from_slice::<Call>(body).ok().map(|call| call.params.uid))
        .flatten()
}

/// A call whose signature is good: its nonce, and the user it acts for.
#[derive(Debug)]
pub struct Arrived {
    nonce: Nonce,
    uid: Option<i32>,
}

/// Whether its nonce is fresh, and the rights of its user where they could be read.
pub struct Checked {
    fresh: bool,
    rights: Option<(i32, access::Read)>,
}

async fn record_nonce(
    rt: &Runtime,
    authorization: &Authorization,
    uid: Option<i32>,
) -> Result<Option<(i32, access::Read)>, Denied> {
    let phase = rt.phase();
    if matches!(phase, Phase::Unavailable(_) | Phase::Detached) {
        return Err(Denied::DatabaseAway);
    }
    let nonce = Nonce {
        key_id: authorization.key_id.clone(),
        nonce: authorization.nonce.clone(),
        expires_at: authorization.nonce_expires(),
    };
    // Where tables do not fit, nobody's rights are read.
    let arrived = Arrived { nonce, uid: uid.filter(|_| access::check_phase(rt).is_ok()) };
    let store = rt.store.clone();
    match rt.arrivals.ask(arrived, move |calls| record(store.clone(), calls)).await.flatten() {
        Some(Checked { fresh: true, rights }) => Ok(rights),
        Some(Checked { fresh: false, .. }) => {
            Err(Denied::Unauthorized("its nonce was used before"))
        }
        None => Err(Denied::DatabaseAway),
    }
}

/// Records the nonces of some calls and reads the rights of their users, both on their way at once. None for each where
/// it cannot be known whether its nonce is fresh.
async fn record(store: Database, calls: Vec<Arrived>) -> Vec<Option<Checked>> {
    let number = calls.len();
    let (nonces, named): (Vec<Nonce>, Vec<Option<i32>>) =
        calls.into_iter().map(|call| (call.nonce, call.uid)).unzip();
    let mut uids: Vec<i32> = named.iter().flatten().copied().collect();
    uids.sort_unstable();
    uids.dedup();
    let done = async {
        let client = store.client().await?;
        let rights = async {
            match uids.is_empty() {
                true => None,
                // Whoever needs rights that could not be read here reads them himself, and says why that fails.
                false => access::Rights::read(&client, &uids).await.ok(),
            }
        };
        let (fresh, rights) = tokio::join!(nonce::insert(&client, &nonces), rights);
        Ok::<_, StoreError>((fresh?, rights))
    };
    match done.await {
        Ok((fresh, rights)) => fresh
            .into_iter()
            .zip(named)
            .map(|(fresh, uid)| {
                let rights = uid.zip(rights.as_ref()).map(|(uid, all)| (uid, Ok(all.of(uid))));
                Some(Checked { fresh, rights })
            })
            .collect(),
        Err(error) => {
            let name = store.name();
            tracing::warn!(
                db.name = name, %error, calls = number,
                "the nonces of {number} calls could not be recorded, they are refused: {error}"
            );
            std::iter::repeat_with(|| None).take(number).collect()
        }
    }
}

/// The peer of the connection, without its port.
fn address(parts: &Parts) -> Option<String> {
    peer(parts).map(|peer| peer.ip().to_string())
}

/// The peer of the connection.
pub fn peer(parts: &Parts) -> Option<SocketAddr> {
    parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| *peer)
}
