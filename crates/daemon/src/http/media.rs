//! `PUT /media` and `GET /media/<id>` of the private listener: files in, and out by ranges. Signed as every call;
//! a file that comes in is signed by its hash, so that it is never held in memory.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::TryStreamExt;
use http_body_util::BodyExt;
use serde::Deserialize;
use serde_json::json;
use wabridge_domain::error::Refusal;
use wabridge_domain::media::MediaKind;
use wabridge_domain::{Kind, media as told};
use wabridge_store::media;
use wabridge_store::odoo::media as odoo;
use wabridge_store::{StoreError, tx};

use crate::access;
use crate::audit;
use crate::http::auth::{self, Signed};
use crate::http::private::Private;
use crate::media::blobs::{BlobError, Written};
use crate::media::{Trouble, content, discard, examine, folder, lost};
use crate::runtime::Runtime;

/// Bytes that are still read of a file that is too large, so that the caller reads the answer.
const DRAIN: usize = 4 * 1024 * 1024;

/// Query of `GET /media/<id>`.
#[derive(Debug, Deserialize)]
pub(super) struct DownloadQuery {
    /// The Odoo user it is for. Without it the caller has checked his rights: only keys that act for any user.
    uid: Option<i32>,
}

/// Query of `PUT /media`.
#[derive(Debug, Deserialize)]
pub(super) struct UploadQuery {
    uid: i32,
    /// The account it will be sent with; the user's default account when absent.
    configuration_id: Option<i32>,
    filename: Option<String>,
    mimetype: Option<String>,
}

/// An answer other than the file.
struct Problem {
    refusal: Refusal,
    request_id: String,
    /// What is left of the body is not read.
    close: bool,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let kind = self.refusal.kind;
        let status = match kind {
            Kind::AccessDenied
            | Kind::ConfigurationNotFound
            | Kind::NoConfigurationForUser
            | Kind::ConfigurationInactive => StatusCode::FORBIDDEN,
            Kind::RecordNotFound => StatusCode::NOT_FOUND,
            Kind::MediaTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Kind::InvalidContent => StatusCode::BAD_REQUEST,
            Kind::Conflict => StatusCode::CONFLICT,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        let error = wabridge_rpc::error::object(
            &wabridge_rpc::Failure::from(self.refusal),
            &self.request_id,
        );
        let mut response = (status, axum::Json(json!({"error": error}))).into_response();
        if self.close {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}

/// `GET /media/<id>`: the bytes, or a part of them.
pub(super) async fn download(
    State(private): State<Arc<Private>>,
    Path(id): Path<String>,
    query: Result<Query<DownloadQuery>, axum::extract::rejection::QueryRejection>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let signed = match auth::authenticate(&private.app, &parts, body).await {
        Ok(signed) => signed,
        Err(denied) => return denied.into_response(),
    };
    let request_id = signed.identity.request_id.clone();
    let uid = query.as_ref().ok().and_then(|query| query.uid);
    let result = match query {
        Ok(Query(query)) => read(&signed, &id, query.uid, &parts.headers).await,
        Err(_) => Err(invalid("uid must be a whole number")),
    };
    if let Err(refusal) = &result {
        audit::refused(&signed.rt, &signed.identity, "GET /media", uid, refusal).await;
    }
    result.unwrap_or_else(|refusal| Problem { refusal, request_id, close: false }.into_response())
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(Kind::InvalidContent, message)
}

fn not_found() -> Refusal {
    Refusal::new(Kind::RecordNotFound, "there is no such file, or this user may not see it")
}

async fn read(
    signed: &Signed,
    id: &str,
    uid: Option<i32>,
    headers: &HeaderMap,
) -> Result<Response, Refusal> {
    let rt = &signed.rt;
    access::check_phase(rt)?;
    let id: i32 = id.parse().map_err(|_| not_found())?;
    may_read(signed, id, uid).await?;
    let client = rt.store.client().await.map_err(|error| access::store_refusal(rt, &error))?;
    let row = odoo::get(&client, id).await.map_err(|error| access::store_refusal(rt, &error))?;
    let row = row.ok_or_else(not_found)?;
    let checksum = match (row.state.as_deref(), row.checksum) {
        (Some("ready"), Some(checksum)) => checksum,
        (Some("waiting"), _) => {
            return Err(Refusal::new(Kind::Conflict, "this file is still being fetched"));
        }
        _ => {
            let reason = row.reason.unwrap_or_else(|| "it could not be fetched".to_owned());
            return Err(Refusal::new(
                Kind::RecordNotFound,
                format!("this file is not here: {reason}"),
            ));
        }
    };
    let blob = media::blob(&client, &checksum)
        .await
        .map_err(|error| access::store_refusal(rt, &error))?
        .ok_or_else(missing)?;
    drop(client);
    let installation = rt.installation().ok_or_else(missing)?;
    let stored = rt
        .media
        .blobs
        .open(&rt.keys, installation, &blob)
        .await
        .map_err(|error| blob_refusal(rt, id, &error))?;
    let size = stored.size();
    let etag = format!("\"{checksum}\"");
    let mimetype = row.mimetype.as_deref().unwrap_or(content::OPAQUE);
    let mut response = Response::new(Body::empty());
    let out = response.headers_mut();
    describe(out, mimetype, row.filename.as_deref());
    put(out, header::ETAG, &etag);
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    if text(header::IF_NONE_MATCH).is_some_and(|known| {
        known.split(',').any(|tag| matches!(tag.trim(), t if t == etag || t == "*"))
    }) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    // A range of another version of it would not fit: the whole is sent.
    let fits = text(header::IF_RANGE).is_none_or(|tag| tag == etag);
    let wanted = text(header::RANGE).filter(|_| fits).map(|range| ranges(range, size));
    let part = match wanted {
        None | Some(Wanted::Everything) => 0..size,
        Some(Wanted::Part(part)) => {
            put(
                out,
                header::CONTENT_RANGE,
                &format!("bytes {}-{}/{size}", part.start, part.end - 1),
            );
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            part
        }
        Some(Wanted::Nothing) => {
            put(out, header::CONTENT_RANGE, &format!("bytes */{size}"));
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            return Ok(response);
        }
    };
    put(response.headers_mut(), header::CONTENT_LENGTH, &(part.end - part.start).to_string());
    let name = rt.name.clone();
    let stream = stored.stream(part.start, part.end).inspect_err(move |error| {
        tracing::error!(db.name = %name, media.id = id, %error, "file {id} could not be read to its end: {error}");
    });
    *response.body_mut() = Body::from_stream(stream);
    Ok(response)
}

/// A key that acts for any user may leave the question of rights to Odoo; else the user must be able to use the
/// account of a message that shows the file, or have handed it over himself.
async fn may_read(signed: &Signed, id: i32, uid: Option<i32>) -> Result<(), Refusal> {
    let rt = &signed.rt;
    let uid = match (uid, signed.identity.act_as) {
        (None, None) => return Ok(()),
        (None, Some(only)) => only,
        (Some(uid), None) => uid,
        (Some(uid), Some(only)) if uid == only => uid,
        (Some(_), Some(_)) => {
            return Err(Refusal::new(Kind::AccessDenied, "this key acts for another user only"));
        }
    };
    let user = access::require_user(rt, uid).await?;
    let usable = access::usable_accounts(&user);
    if shown_in(rt, id).await?.iter().any(|account| usable.contains(account)) {
        return Ok(());
    }
    Err(not_found())
}

/// Accounts of the messages that show a file, and of the upload it came by.
///
/// # Errors
/// `database_unavailable`, `schema_mismatch`.
pub async fn shown_in(rt: &Runtime, id: i32) -> Result<Vec<i32>, Refusal> {
    let found = async {
        let client = rt.store.client().await?;
        let mut accounts: Vec<i32> =
            odoo::messages(&client, id).await?.into_iter().map(|(account, _)| account).collect();
        accounts.extend(media::uploaded(&client, id).await?.map(|(account, _)| account));
        Ok::<_, StoreError>(accounts)
    };
    found.await.map_err(|error| access::store_refusal(rt, &error))
}

fn missing() -> Refusal {
    Refusal::new(
        Kind::RecordNotFound,
        "this file is missing in the bridge's store; \"Fetch again\" may bring it back",
    )
}

fn blob_refusal(rt: &Runtime, id: i32, error: &BlobError) -> Refusal {
    tracing::error!(db.name = %rt.name, media.id = id, %error, "file {id} cannot be read: {error}");
    match error {
        BlobError::Missing | BlobError::Unsealable(_) => missing(),
        BlobError::Directory { .. } | BlobError::Store(_) => store_trouble(),
    }
}

fn store_trouble() -> Refusal {
    Refusal::new(
        Kind::DatabaseUnavailable,
        "the bridge cannot use its store of files just now; its log says why",
    )
}

/// Headers that make a browser treat it as what it is, and as nothing else.
fn describe(out: &mut HeaderMap, mimetype: &str, filename: Option<&str>) {
    let inline = content::inline(mimetype);
    put(out, header::CONTENT_TYPE, mimetype);
    out.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    out.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Browsers show no PDF in a sandbox.
    if mimetype != "application/pdf" {
        let policy = HeaderValue::from_static("default-src 'none'; sandbox");
        out.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    out.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=3600"));
    put(out, header::CONTENT_DISPOSITION, &disposition(inline, filename));
}

fn put(out: &mut HeaderMap, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        out.insert(name, value);
    }
}

/// `Content-Disposition`, the name once for old and once for present programs.
fn disposition(inline: bool, filename: Option<&str>) -> String {
    let kind = if inline { "inline" } else { "attachment" };
    let Some(name) = filename else { return kind.to_owned() };
    let plain: String = name
        .chars()
        .map(|c| if c.is_ascii_graphic() && !"\"\\%".contains(c) || c == ' ' { c } else { '_' })
        .collect();
    let encoded: String = name.bytes().fold(String::new(), |mut out, b| {
        if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
            out.push(char::from(b));
        } else {
            out.push_str(&format!("%{b:02X}"));
        }
        out
    });
    format!("{kind}; filename=\"{plain}\"; filename*=UTF-8''{encoded}")
}

#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    /// No range that we serve: several at once, or something else than bytes.
    Everything,
    Part(Range<u64>),
    /// Beyond the end.
    Nothing,
}

/// The one range of a `Range` header.
fn ranges(text: &str, size: u64) -> Wanted {
    let Some(range) = text.trim().strip_prefix("bytes=") else { return Wanted::Everything };
    let Some((from, to)) = range.trim().split_once('-').filter(|_| !range.contains(',')) else {
        return Wanted::Everything;
    };
    let number = |text: &str| {
        (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()))
            .then(|| text.parse().unwrap_or(u64::MAX))
    };
    let part = match (from, to) {
        ("", last) => match number(last) {
            Some(last) => size.saturating_sub(last)..size,
            None => return Wanted::Everything,
        },
        (from, "") => match number(from) {
            Some(from) => from..size,
            None => return Wanted::Everything,
        },
        (from, to) => match (number(from), number(to)) {
            (Some(from), Some(to)) if from <= to => from..to.saturating_add(1).min(size),
            _ => return Wanted::Everything,
        },
    };
    if part.start < part.end { Wanted::Part(part) } else { Wanted::Nothing }
}

/// `PUT /media`: a file that is to be sent.
pub(super) async fn upload(
    State(private): State<Arc<Private>>,
    query: Result<Query<UploadQuery>, axum::extract::rejection::QueryRejection>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let signed = match auth::authenticate_streamed(&private.app, &parts).await {
        Ok(signed) => signed,
        Err(denied) => return denied.into_response(),
    };
    let request_id = signed.identity.request_id.clone();
    let uid = query.as_ref().ok().map(|query| query.uid);
    let result = match query {
        Ok(Query(query)) => take(&signed, &query, &parts, body).await,
        Err(error) => Err(invalid(format!("the query does not fit: {}", error.body_text()))),
    };
    match result {
        Ok(id) => {
            let answer = json!({"id": id});
            (StatusCode::OK, axum::Json(answer)).into_response()
        }
        Err(refusal) => {
            audit::refused(&signed.rt, &signed.identity, "PUT /media", uid, &refusal).await;
            Problem { refusal, request_id, close: true }.into_response()
        }
    }
}

async fn take(
    signed: &Signed,
    query: &UploadQuery,
    parts: &Parts,
    body: Body,
) -> Result<i32, Refusal> {
    let rt = &signed.rt;
    if signed.identity.act_as.is_some_and(|only| only != query.uid) {
        return Err(Refusal::new(Kind::AccessDenied, "this key acts for another user only"));
    }
    let account = access::resolve_account(rt, query.uid, query.configuration_id, None).await?;
    let said = query.mimetype.as_deref().and_then(told::mimetype);
    let kind = said.as_deref().map_or(MediaKind::Document, MediaKind::of_mimetype);
    let limit = rt.media.settings.limit(kind);
    let written = receive(rt, parts, body, limit).await?;
    let location = written.blob.location.clone();
    let kept = keep(rt, account.id, query, &written, said.as_deref()).await;
    if !matches!(&kept, Ok((_, used)) if *used == location) {
        discard(rt, &location).await;
    }
    kept.map(|(id, _)| id).map_err(|trouble| refused(rt, trouble))
}

fn refused(rt: &Runtime, trouble: Trouble) -> Refusal {
    match trouble {
        Trouble::Database(error) => access::store_refusal(rt, &error),
        Trouble::Blob(error) => {
            tracing::error!(db.name = %rt.name, %error, "a file that was handed over cannot be kept: {error}");
            store_trouble()
        }
    }
}

fn too_large(limit: u64) -> Refusal {
    Refusal::new(
        Kind::MediaTooLarge,
        format!("the file is larger than the limit of {} MiB", limit / (1024 * 1024)),
    )
}

async fn receive(
    rt: &Runtime,
    parts: &Parts,
    mut body: Body,
    limit: u64,
) -> Result<Written, Refusal> {
    let announced = parts
        .headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > limit) {
        drain(body).await;
        return Err(too_large(limit));
    }
    let trouble = |error: BlobError| {
        tracing::error!(db.name = %rt.name, %error, "a file that was handed over cannot be kept: {error}");
        store_trouble()
    };
    let folder = folder(rt).await.map_err(|error| refused(rt, error))?;
    let mut incoming = rt.media.blobs.begin(&folder).await.map_err(trouble)?;
    let cut = loop {
        let bytes = match body.frame().await {
            None => break None,
            Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
            Some(Err(_)) => break Some(invalid("the body was cut off, or did not come in time")),
        };
        if incoming.size() + bytes.len() as u64 > limit {
            break Some(too_large(limit));
        }
        if let Err(error) = incoming.push(&bytes).await {
            break Some(trouble(error));
        }
    };
    if let Some(refusal) = cut {
        incoming.abandon().await;
        drain(body).await;
        return Err(refusal);
    }
    let written = incoming.finish(&rt.keys).await.map_err(trouble)?;
    if auth::content_sha256(parts) != Some(written.blob.checksum.as_str()) {
        discard(rt, &written.blob.location).await;
        return Err(invalid("the body is not what X-Content-SHA256 says"));
    }
    Ok(written)
}

/// Who is cut while he writes sees no answer: a little more is read, for a moment.
async fn drain(mut body: Body) {
    let rest = async {
        let mut left = DRAIN;
        while let Some(Ok(frame)) = body.frame().await {
            let bytes = frame.data_ref().map_or(0, bytes::Bytes::len);
            match left.checked_sub(bytes) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    };
    if tokio::time::timeout(Duration::from_secs(2), rest).await.is_err() {
        tracing::trace!("the rest of a body that was refused did not come");
    }
}

async fn keep(
    rt: &Runtime,
    account_id: i32,
    query: &UploadQuery,
    written: &Written,
    said: Option<&str>,
) -> Result<(i32, String), Trouble> {
    let facts = examine(rt, written, said).await?;
    let missing = lost(rt, &written.blob.checksum).await?;
    let filename = query.filename.as_deref().and_then(told::filename);
    let kept: Result<(i32, String), StoreError> = tx!(&rt.store, "media.hand_over", |tx| {
        let (uid, blob) = (query.uid, &written.blob);
        media::hand_over(tx, account_id, uid, blob, &facts, filename.as_deref(), missing.as_deref())
            .await
    });
    Ok(kept?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_at_a_time() {
        for (text, wanted) in [
            ("bytes=0-0", Wanted::Part(0..1)),
            ("bytes=2-5", Wanted::Part(2..6)),
            ("bytes=2-", Wanted::Part(2..10)),
            ("bytes=-3", Wanted::Part(7..10)),
            ("bytes=-30", Wanted::Part(0..10)),
            ("bytes=9-99999999999999999999", Wanted::Part(9..10)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=5-2", Wanted::Everything),
            ("bytes=0-1,4-5", Wanted::Everything),
            ("bytes=a-b", Wanted::Everything),
            ("bytes=-", Wanted::Everything),
            ("lines=1-2", Wanted::Everything),
        ] {
            assert_eq!(ranges(text, 10), wanted, "{text}");
        }
        assert_eq!(ranges("bytes=0-", 0), Wanted::Nothing);
    }

    #[test]
    fn names_in_headers() {
        assert_eq!(disposition(true, None), "inline");
        assert_eq!(
            disposition(false, Some("Übersicht \"1\".pdf")),
            "attachment; filename=\"_bersicht _1_.pdf\"; filename*=UTF-8''%C3%9Cbersicht%20%221%22.pdf"
        );
    }
}
