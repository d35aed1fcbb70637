//! The accept loop, and the path of an API call: log, token, fault, vendor, answer.

use crate::{
    Provider, clock,
    faults::{Hit, Subject},
    requests::Received,
    vendor::{self, Answer, Call, Operation, Vendor},
    world::{World, vendor_of},
};
use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Path, Query, Request, State},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use serde_json::Value;
use std::{sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::Semaphore, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

const MAX_CONNECTIONS: usize = 2_000;
/// Longer than clients keep idle connections, so that it is they who close them.
const HEADER_TIMEOUT: Duration = Duration::from_secs(120);
const CALL_LIMIT_BYTES: usize = 110 << 20;

/// Marks an answer that must never leave: the connection is closed instead.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the answer is dropped on purpose")]
struct Cut;

pub(crate) async fn run(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
    grace: Duration,
) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let open = GracefulShutdown::new();
    let routes = TowerToHyperService::new(router);
    // Connections end with this call, also when it is dropped.
    let closed = CancellationToken::new();
    let _guard = closed.clone().drop_guard();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        let (stream, slot) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!("cannot accept a connection: {error}");
                sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            debug!("connection lost while it was accepted: {error}");
            continue;
        }
        let routes = routes.clone();
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let routes = routes.clone();
            async move {
                let Ok(response) = hyper::service::Service::call(&routes, request).await;
                match response.extensions().get::<Cut>() {
                    Some(cut) => Err(*cut),
                    None => Ok(response),
                }
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service);
        let connection = open.watch(connection);
        let closed = closed.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = closed.cancelled() => {}
                ended = connection => {
                    if let Err(error) = ended {
                        debug!("connection ended: {error}");
                    }
                }
            }
            drop(slot);
        });
    }
    drop(listener);
    tokio::select! {
        () = open.shutdown() => {}
        () = sleep(grace) => debug!("connections were still open at the end"),
    }
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> std::io::Result<(tokio::net::TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await.expect("the semaphore is never closed");
    let (stream, _) = listener.accept().await?;
    Ok((stream, slot))
}

/// Any call that is not a control call.
pub(crate) async fn api(State(world): State<Arc<World>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let query: Vec<(String, String)> =
        Query::try_from_uri(&parts.uri).map(|Query(query)| query).unwrap_or_default();
    let body = to_bytes(body, CALL_LIMIT_BYTES).await;
    let path = parts.uri.path().to_owned();

    let (vendor, token) = recognise(&world, &parts.headers, &query, &path);
    world.requests.record(Received {
        at: clock::now(),
        provider: vendor.provider().as_str(),
        token: token.clone(),
        method: parts.method.to_string(),
        path: path.clone(),
        query: query.clone(),
        headers: parts.headers.clone(),
        body: body.as_ref().map_or_else(|_| Bytes::new(), Clone::clone),
    });
    let Ok(body) = body else {
        let words = "Request body too large";
        return respond(vendor.error(StatusCode::PAYLOAD_TOO_LARGE, words), None);
    };

    let token = token.unwrap_or_default();
    let mut call = Call {
        account: crate::state::AccountId(0),
        operation: vendor.operation(&parts.method, &path),
        method: parts.method,
        path,
        query,
        headers: parts.headers,
        body,
        effects: Default::default(),
    };
    let hit = world.faults.for_call(vendor.provider(), &token, &call.subject());
    if let Some(hit) = &hit {
        call.effects = hit.webhooks;
    }
    let account = {
        let state = world.state();
        vendor.account(&state, state.with_token(vendor.provider(), &token), &call.path)
    };
    let processed = hit.as_ref().is_none_or(|hit| hit.processed);
    let answer = match account {
        None if processed => vendor.unknown_token(),
        Some(account) if processed => {
            call.account = account;
            match vendor.question(&call) {
                Some(question) if !world.webhooks.ask(&question).await => question.refusal,
                _ => vendor.answer(&world, &call),
            }
        }
        _ => Answer::empty(StatusCode::OK),
    };
    match hit {
        None => respond(answer, None),
        Some(hit) => {
            sleep(hit.delay).await;
            spoilt(vendor, answer, &hit)
        }
    }
}

/// `GET /_media/{key}`: a file by a link that ends. Logged and spoilt by faults (`media.get`) as calls are.
pub(crate) async fn media(
    State(world): State<Arc<World>>,
    Path(key): Path<String>,
    request: Request,
) -> Response {
    let path = request.uri().path().to_owned();
    let (owner, file) = {
        let state = world.state();
        match state.files.follow(&key, clock::seconds()) {
            None => return StatusCode::NOT_FOUND.into_response(),
            Some((owner, file)) => (owner, file.cloned()),
        }
    };
    let (vendor, token) = {
        let state = world.state();
        (vendor_of(&state, owner), state.account(owner).account.token.clone())
    };
    let given = vendor.token(request.headers(), &[]);
    world.requests.record(Received {
        at: clock::now(),
        provider: vendor.provider().as_str(),
        token: given.clone(),
        method: request.method().to_string(),
        path: path.clone(),
        query: vec![],
        headers: request.headers().clone(),
        body: Bytes::new(),
    });
    let answer = match file {
        _ if vendor.link_needs_token() && given.as_ref() != Some(&token) => {
            vendor.error(StatusCode::UNAUTHORIZED, "Unauthorized")
        }
        Some(file) => Answer::file(&file),
        None => vendor.error(StatusCode::NOT_FOUND, "The link is not valid any more"),
    };
    let operation = Operation::new("media.get", None);
    let subject = Subject { operation: &operation, method: request.method().as_str(), path: &path };
    match world.faults.for_call(vendor.provider(), &token, &subject) {
        None => respond(answer, None),
        Some(hit) => {
            sleep(hit.delay).await;
            spoilt(vendor, answer, &hit)
        }
    }
}

/// The vendor whose account has the call's token; else the one whose callers look like this.
fn recognise(
    world: &World,
    headers: &http::HeaderMap,
    query: &[(String, String)],
    path: &str,
) -> (&'static dyn Vendor, Option<String>) {
    let state = world.state();
    for vendor in vendor::BUILT {
        if let Some(token) = vendor.token(headers, query)
            && !state.with_token(vendor.provider(), &token).is_empty()
        {
            return (*vendor, Some(token));
        }
    }
    let look = if headers.contains_key("token") { Provider::Wassenger } else { look_of(path) };
    let guess = vendor::of(look).unwrap_or(&crate::whapi::Whapi);
    (guess, guess.token(headers, query))
}

/// Wassenger's paths begin with `/v1/`, Meta's with `/v23.0/`; the generic format sends to `/messages`.
fn look_of(path: &str) -> Provider {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    match first.strip_prefix('v') {
        Some("1") => Provider::Wassenger,
        Some(version) if version.contains('.') => Provider::Meta,
        _ if path.trim_end_matches('/') == "/messages" => Provider::Custom,
        _ => Provider::Whapi,
    }
}

/// The answer after a fault was at it.
fn spoilt(vendor: &dyn Vendor, mut answer: Answer, hit: &Hit) -> Response {
    if hit.drop_answer {
        let mut response = Response::new(Body::empty());
        response.extensions_mut().insert(Cut);
        return response;
    }
    let status = hit.status.and_then(|status| StatusCode::from_u16(status).ok());
    if let Some(status) = status {
        let words = status.canonical_reason().unwrap_or("Error");
        if status.is_success() {
            answer.status = status;
        } else {
            answer = vendor.error(status, words);
        }
    }
    if let Some(body) = &hit.body {
        answer.file = None;
        answer.body = Some(body.clone());
    }
    respond(answer, hit.retry_after.as_deref())
}

/// A body that is a JSON string goes out as plain text: so faults can send what is not JSON.
fn respond(answer: Answer, retry_after: Option<&str>) -> Response {
    let mut response = match answer.body {
        None => match answer.file {
            None => answer.status.into_response(),
            Some((mime, bytes)) => {
                (answer.status, [(header::CONTENT_TYPE, mime)], bytes).into_response()
            }
        },
        Some(Value::String(text)) => (answer.status, text).into_response(),
        Some(json) => (answer.status, axum::Json(json)).into_response(),
    };
    if let Some(value) = retry_after.and_then(|text| HeaderValue::from_str(text).ok()) {
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    response
}
