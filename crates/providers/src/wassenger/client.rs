//! Calls to Wassenger, and what their answers mean.

use std::time::Duration;

use http::{Method, StatusCode, header};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use url::Url;
use wabridge_domain::Secret;
use wabridge_domain::account::AccountState;
use wabridge_domain::error::Kind;
use wabridge_domain::event::MediaRef;
use wabridge_domain::message::StatusWord;
use wabridge_domain::outgoing::{Accepted, Outgoing, SendError};

use super::content;
use super::webhook::{state_of, status_word};
use super::wire;
use crate::http::{
    Answer, Failure, Lost, PAGE_MAX_BYTES, Unusable, exchange, exchange_within, identified, join,
    sensitive, words,
};
use crate::json::{ID_MAX_BYTES, string, text, word};
use crate::{
    Call, CallError, Checked, Health, MediaAddress, ReadMark, SentMessage, Upload, Uploaded,
    WebhookTarget, body,
};

/// The vendor's own address (its public clients).
const BASE_URL: &str = "https://api.wassenger.com/v1";

/// Why no call can be made for an account without a device.
const NO_DEVICE: &str = "the account names no device; enter Wassenger's device id (24 hexadecimal digits) as its channel id";

pub(super) async fn send(call: &Call<'_>, outgoing: &Outgoing) -> Result<Accepted, SendError> {
    let down = |state, message: &str| SendError::AccountDown { state, message: message.to_owned() };
    let device = device(call).ok_or_else(|| down(AccountState::Disconnected, NO_DEVICE))?;
    let body = content::body(device, outgoing)?;
    let request = request(call, Method::POST, &["messages"])
        .map_err(|unusable| down(unusable_state(unusable), unusable.as_str()))?;
    match exchange(request.json(&body)).await {
        Ok(answer) => sent(answer, call.token),
        Err(Failure::NotWritten(reason)) => Err(SendError::NotSent { reason: reason.to_owned() }),
        Err(Failure::Lost(lost)) => Err(uncertain(lost)),
    }
}

/// What an answer to a send means: the sheet's error table (section 9), and promise 3 of the design for
/// everything else. That a call may be repeated does not say that it was not taken: an answer of a proxy
/// (502, 504) or of a failing server stays uncertain.
pub(super) fn sent(answer: Answer, token: &Secret) -> Result<Accepted, SendError> {
    let Answer { status, retry_after, body } = answer;
    let reason = Reason::of(&body, status, token);
    let refused = |kind, message| Err(SendError::Refused { kind, message });
    let down = |state, message| Err(SendError::AccountDown { state, message });
    match status.as_u16() {
        200..=299 => accepted(body, token),
        429 => Err(SendError::RateLimited { retry_after }),
        401 => down(AccountState::TokenDead, reason.or("Wassenger does not know this key")),
        503 if reason.says(&["device_not_connected"]) => {
            down(AccountState::Disconnected, reason.or("the number is offline"))
        }
        404 if reason.says(&["device"]) => {
            down(AccountState::Disconnected, reason.or("Wassenger knows no such device"))
        }
        // A conflict may be this very message, and a proxy's 408 tells nothing.
        408 | 409 => Err(SendError::Uncertain { reason: format!("Wassenger answered {status}") }),
        // The proxy in between wants a login; nothing reached Wassenger.
        407 => Err(SendError::NotAccepted {
            message: "the proxy on the way asks for a login".to_owned(),
            retry_after: None,
        }),
        413 => refused(Kind::InvalidContent, reason.or("the message is too large")),
        400 | 404 if reason.is_about_recipient() => {
            refused(Kind::InvalidRecipient, reason.or("the recipient is unknown"))
        }
        400..=499 => refused(Kind::ProviderRejected, reason.or("no reason given")),
        // These redirects say that nothing was done here; following one would carry the key elsewhere.
        301 | 307 | 308 => down(
            AccountState::Disconnected,
            "the account's base URL answers with a redirect; correct it".to_owned(),
        ),
        _ => Err(SendError::Uncertain { reason: format!("Wassenger answered {status}") }),
    }
}

/// The record of a send: `waId` is WhatsApp's id, where it is known already; `id` is the queue's own, which no
/// webhook names.
fn accepted(body: Result<Vec<u8>, Lost>, token: &Secret) -> Result<Accepted, SendError> {
    let unclear = |reason: &str| Err(SendError::Uncertain { reason: reason.to_owned() });
    let body = body.map_err(uncertain)?;
    let Ok(record) = body::read(&body) else {
        return unclear("the answer is no JSON");
    };
    if !["id", "waId"].into_iter().any(|name| text(&record, name).is_some()) {
        return unclear("the answer names no message");
    }
    let word = ["deliveryStatus", "status", "ack"]
        .into_iter()
        .find_map(|name| status_word(text(&record, name)?))
        .unwrap_or(StatusWord::Pending);
    if word == StatusWord::Failed {
        return Err(SendError::Refused {
            kind: Kind::ProviderRejected,
            message: Reason::in_body(&record, token).or("Wassenger answered that it did not send"),
        });
    }
    let message_id =
        string(&record, "waId").filter(|id| id.len() <= ID_MAX_BYTES && !wire::is_queue_id(id));
    Ok(Accepted { message_id, word, chat_id: None })
}

fn uncertain(lost: Lost) -> SendError {
    SendError::Uncertain { reason: lost.as_str().to_owned() }
}

fn unusable_state(unusable: Unusable) -> AccountState {
    match unusable {
        Unusable::BaseUrl => AccountState::Disconnected,
        Unusable::Token => AccountState::TokenDead,
    }
}

/// What Wassenger says went wrong: `message`, `code` and `error`, cleaned. The body need not be JSON.
pub(super) struct Reason(Option<String>);

impl Reason {
    pub(super) fn of(body: &Result<Vec<u8>, Lost>, status: StatusCode, token: &Secret) -> Self {
        match body {
            Ok(body) if !status.is_success() => {
                body::read(body).map_or(Self(None), |answer| Self::in_body(&answer, token))
            }
            _ => Self(None),
        }
    }

    fn in_body(answer: &Value, token: &Secret) -> Self {
        let mut parts: Vec<String> = ["message", "code", "errorCode", "error"]
            .into_iter()
            .filter_map(|name| word(answer, name))
            .map(|part| words(&part, token))
            .filter(|part| !part.is_empty())
            .collect();
        parts.dedup();
        Self((!parts.is_empty()).then(|| parts.join(": ")))
    }

    pub(super) fn or(self, words: &str) -> String {
        self.0.unwrap_or_else(|| words.to_owned())
    }

    pub(super) fn says(&self, any_of: &[&str]) -> bool {
        self.0.as_ref().is_some_and(|text| {
            let text = text.to_ascii_lowercase();
            any_of.iter().any(|word| text.contains(word))
        })
    }

    pub(super) fn is_about_recipient(&self) -> bool {
        self.says(&["phone", "number", "recipient", "group", "channel", "chat", "wid"])
    }
}

pub(super) async fn health(call: &Call<'_>) -> Result<Health, CallError> {
    let answered_down =
        |state, message: String| Health { state, reason: Some(message), phone: None, name: None };
    let Some(device) = device(call) else {
        return Ok(answered_down(AccountState::Disconnected, NO_DEVICE.to_owned()));
    };
    let answer = match answered(request(call, Method::GET, &["devices", device])?, call.token).await
    {
        Ok(answer) => answer,
        // Also these are states of the account, and the question was just that.
        Err(CallError::AccountDown { state, message }) => return Ok(answered_down(state, message)),
        Err(error) => return Err(error),
    };
    let status = text(&answer, "status");
    let session = answer.get("session").unwrap_or(&Value::Null);
    let session = text(session, "status").or(session.as_str()).filter(|word| !word.is_empty());
    let told =
        status.or(session).ok_or_else(|| unavailable("the device's answer has no status"))?;
    // The session may be lost while the device is still operative.
    let state = [status, session]
        .into_iter()
        .flatten()
        .map(state_of)
        .find(|state| *state != AccountState::Connected)
        .unwrap_or(AccountState::Connected);
    let reason = match session {
        Some(session) if session != told => format!("{told}, session {session}"),
        _ => told.to_owned(),
    };
    Ok(Health {
        state,
        reason: Some(words(&reason, call.token)),
        phone: text(&answer, "phone").and_then(wire::phone),
        name: text(&answer, "alias").map(|name| words(name, call.token)),
    })
}

/// The file by its id, of the chat first; `fresh` asks for it among all files. The path that a webhook tells is
/// on the API's own host.
pub(super) fn media_address(
    call: &Call<'_>,
    media: &MediaRef,
    fresh: bool,
) -> Result<MediaAddress, CallError> {
    let own = |url: Url| -> MediaAddress {
        let authorization = Some(Secret::new(format!("Bearer {}", call.token.expose())));
        MediaAddress { url: url.into(), authorization, own: true }
    };
    if let Some(id) = &media.id {
        let url = match device(call) {
            Some(device) if !fresh => join(base(call), &["chat", device, "files", id, "download"])?,
            _ => join(base(call), &["files", id, "download"])?,
        };
        return Ok(own(url));
    }
    let Some(link) = &media.url else {
        return Err(CallError::Refused {
            kind: Kind::ProviderRejected,
            message: "the webhook told neither an id nor a link of the file".to_owned(),
        });
    };
    let home = join(base(call), &[])?;
    let url = home.join(link).map_err(|_| CallError::Refused {
        kind: Kind::ProviderRejected,
        message: "the link of the file is malformed".to_owned(),
    })?;
    if url.origin() == home.origin() {
        return Ok(own(url));
    }
    Ok(MediaAddress { url: url.into(), authorization: None, own: false })
}

/// How long an upload is used before the file is handed over again: the vendor names no default life, and a file that
/// it still has costs nothing.
const FILES_LIVE: Duration = Duration::from_secs(24 * 3600);

/// `POST /files`, the field `file` of a form. A file that Wassenger has already is a conflict that names it.
pub(super) async fn upload(call: &Call<'_>, file: Upload) -> Result<Uploaded, CallError> {
    let part = Part::stream_with_length(file.body, file.size)
        .file_name(file.filename)
        .mime_str(crate::documented_mimetype(&file.mimetype))
        .map_err(|_| CallError::Refused {
            kind: Kind::MediaTypeUnsupported,
            message: "the file's media type is malformed".to_owned(),
        })?;
    let request = request(call, Method::POST, &["files"])?;
    let answer = reached(request.multipart(Form::new().part("file", part))).await?;
    let known = answer.status == StatusCode::CONFLICT;
    let body = if known { answer.body } else { successful(answer, call.token)? }?;
    let told = body::read(&body).map_err(|_| unavailable("the answer is no JSON"))?;
    let id = if known {
        told.get("meta").and_then(|meta| text(meta, "file"))
    } else {
        text(told.get(0).unwrap_or(&told), "id")
    };
    let id = id.ok_or_else(|| unavailable("the answer to an upload names no file"))?;
    Ok(Uploaded { id: id.to_owned(), keeps: Some(FILES_LIVE) })
}

/// `PATCH /chat/{device}/messages/{id}`, for 20 minutes after the send. The call is known, its field is inferred from
/// that of a send; a server that wants another one refuses it in words.
pub(super) async fn edit(
    call: &Call<'_>,
    message: &SentMessage<'_>,
    text: &str,
) -> Result<(), CallError> {
    let request = request(call, Method::PATCH, &message_path(call, message)?)?;
    done(request.json(&json!({ "message": text })), call.token).await
}

/// `DELETE /chat/{device}/messages/{id}?revoke=true`: for everyone, for 60 minutes after the send.
pub(super) async fn delete(call: &Call<'_>, message: &SentMessage<'_>) -> Result<(), CallError> {
    let request = request(call, Method::DELETE, &message_path(call, message)?)?;
    done(request.query(&[("revoke", "true")]), call.token).await
}

fn message_path<'a>(call: &Call<'a>, message: &SentMessage<'a>) -> Result<[&'a str; 4], CallError> {
    let device = device(call).ok_or_else(no_device)?;
    Ok(["chat", device, "messages", message.message_id])
}

/// `POST /numbers/exists`, a call for each number; the first that fails ends it.
pub(super) async fn check_numbers(
    call: &Call<'_>,
    numbers: &[&str],
) -> Result<Vec<Checked>, CallError> {
    let mut all = Vec::with_capacity(numbers.len());
    for number in numbers {
        let request = request(call, Method::POST, &["numbers", "exists"])?;
        let body = json!({ "phone": format!("+{number}") });
        let answer = answered(request.json(&body), call.token).await?;
        let exists = answer.get("exists").and_then(Value::as_bool);
        let exists = exists.ok_or_else(|| unavailable("the answer to a check has no `exists`"))?;
        let wid = text(&answer, "wid").or(text(&answer, "phone")).filter(|_| exists);
        all.push(Checked {
            number: (*number).to_owned(),
            is_wa_contact: exists,
            chat_id: wid.map(|wid| wire::chat_id(wid.trim_start_matches('+'))),
        });
    }
    Ok(all)
}

/// `PATCH /chat/{device}/chats/{wid}/unread`: a chat is read as a whole.
pub(super) async fn mark_read(call: &Call<'_>, read: &ReadMark<'_>) -> Result<(), CallError> {
    let device = device(call).ok_or_else(no_device)?;
    let request = request(call, Method::PATCH, &["chat", device, "chats", read.chat_id, "unread"])?;
    done(request.json(&json!({ "unread": false })), call.token).await
}

/// The events this version reads or keeps for later ones.
const EVENTS: [&str; 12] = [
    "message:in:new",
    "message:out:new",
    "message:out:sent",
    "message:out:ack",
    "message:out:failed",
    "message:update",
    "message:reaction",
    "group:update",
    "chat:update",
    "contact:update",
    "number:session",
    "channel:in",
];

pub(super) async fn register_webhook(
    call: &Call<'_>,
    target: &WebhookTarget,
) -> Result<(), CallError> {
    let device = device(call).ok_or_else(no_device)?;
    let place = |url: &str| {
        let mut url = Url::parse(url).ok()?;
        url.set_query(None);
        url.set_fragment(None);
        Some(url)
    };
    let ours = place(&target.url).filter(|url| matches!(url.scheme(), "http" | "https"));
    let ours = ours.ok_or_else(|| CallError::Refused {
        kind: Kind::InvalidContent,
        message: "the public address for webhooks is no http(s) URL".to_owned(),
    })?;
    let mut hook = json!({ "name": "wabridge", "url": target.url, "events": EVENTS });
    // Whether the vendor's own host takes this field is not confirmed; a refusal is told as it is.
    if let Some(header) = &target.header {
        let value = if header.name.eq_ignore_ascii_case("authorization") {
            format!("Bearer {}", header.value.expose())
        } else {
            header.value.expose().to_owned()
        };
        hook["headers"] = json!({ header.name.clone(): value });
    }
    let hooks = answered(request(call, Method::GET, &["webhooks"])?, call.token).await?;
    let hooks = hooks.as_array().map_or(&[][..], Vec::as_slice);
    let known = hooks.iter().find(|hook| {
        text(hook, "url").and_then(place).is_some_and(|url| url == ours)
            && text(hook, "device").is_none_or(|of| of == device)
    });
    let Some((known, id)) = known.and_then(|hook| Some((hook, text(hook, "id")?))) else {
        hook["device"] = json!(device);
        let create = request(call, Method::POST, &["webhooks"])?.json(&hook);
        let answer = reached(create).await?;
        // "The same URL exists": made meanwhile, or for all devices of the key.
        if answer.status == StatusCode::CONFLICT {
            return Ok(());
        }
        return successful(answer, call.token).map(drop);
    };
    let same = |name: &str| known.get(name) == hook.get(name);
    if !(same("url") && same("events") && target.header.is_none()) {
        done(request(call, Method::PATCH, &["webhooks", id])?.json(&hook), call.token).await?;
    }
    // A webhook that kept failing gets disabled.
    if text(known, "status").is_some_and(|status| status != "active") {
        done(request(call, Method::POST, &["webhooks", id, "enable"])?, call.token).await?;
    }
    Ok(())
}

fn base<'a>(call: &Call<'a>) -> &'a str {
    call.base_url.filter(|base| !base.trim().is_empty()).unwrap_or(BASE_URL)
}

pub(super) fn device<'a>(call: &Call<'a>) -> Option<&'a str> {
    call.channel_id.map(str::trim).filter(|id| !id.is_empty())
}

pub(super) fn no_device() -> CallError {
    CallError::AccountDown { state: AccountState::Disconnected, message: NO_DEVICE.to_owned() }
}

pub(super) fn request(
    call: &Call<'_>,
    method: Method,
    segments: &[&str],
) -> Result<reqwest::RequestBuilder, Unusable> {
    let url = join(base(call), segments)?;
    Ok(identified(call.http.request(method, url), call.request_id)
        .header("token", sensitive(call.token.expose())?)
        .header(header::ACCEPT, "application/json")
        .timeout(call.timeout))
}

impl From<Lost> for CallError {
    fn from(lost: Lost) -> Self {
        let kind = match lost {
            Lost::TimedOut => Kind::ProviderTimeout,
            Lost::Cut | Lost::TooLong => Kind::ProviderUnavailable,
        };
        Self::Unavailable { kind, message: lost.as_str().to_owned() }
    }
}

pub(super) fn unavailable(message: &str) -> CallError {
    CallError::Unavailable { kind: Kind::ProviderUnavailable, message: message.to_owned() }
}

/// A call that is safe to repeat, whose answer says nothing but that it was done.
async fn done(request: reqwest::RequestBuilder, token: &Secret) -> Result<(), CallError> {
    successful(reached(request).await?, token).map(drop)
}

/// The JSON of a successful answer to a call that is safe to repeat.
async fn answered(request: reqwest::RequestBuilder, token: &Secret) -> Result<Value, CallError> {
    let body = successful(reached(request).await?, token)??;
    body::read(&body).map_err(|_| unavailable("the answer is no JSON"))
}

pub(super) async fn reached(request: reqwest::RequestBuilder) -> Result<Answer, CallError> {
    exchange(request).await.map_err(failed)
}

/// The same of a page of a list, which may be long.
pub(super) async fn page_of(request: reqwest::RequestBuilder) -> Result<Answer, CallError> {
    exchange_within(request, PAGE_MAX_BYTES).await.map_err(failed)
}

fn failed(failure: Failure) -> CallError {
    match failure {
        Failure::NotWritten(reason) => unavailable(reason),
        Failure::Lost(lost) => lost.into(),
    }
}

/// The body of a successful answer.
pub(super) fn successful(
    answer: Answer,
    token: &Secret,
) -> Result<Result<Vec<u8>, Lost>, CallError> {
    let status = answer.status;
    if status.is_success() {
        return Ok(answer.body);
    }
    Err(match sent(answer, token) {
        Err(SendError::RateLimited { retry_after }) => CallError::RateLimited { retry_after },
        Err(SendError::AccountDown { state, message }) => CallError::AccountDown { state, message },
        Err(SendError::Refused { kind, message }) => CallError::Refused { kind, message },
        Err(SendError::NotAccepted { message, .. }) => unavailable(&message),
        _ => unavailable(&format!("Wassenger answered {status}")),
    })
}

#[cfg(test)]
mod tests;
