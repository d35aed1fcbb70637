//! Calls to WHAPI, and what their answers mean.

use std::time::Duration;

use http::{Method, StatusCode, header};
use serde_json::{Value, json};
use url::Url;
use wabridge_domain::Secret;
use wabridge_domain::account::AccountState;
use wabridge_domain::error::Kind;
use wabridge_domain::event::MediaRef;
use wabridge_domain::message::StatusWord;
use wabridge_domain::outgoing::{Accepted, Outgoing, SendError};

use super::content::{Sending, sending};
use super::webhook::state_of;
use super::wire::{self, text, word};
use crate::http::{
    Answer, Failure, Lost, PAGE_MAX_BYTES, Unusable, exchange, exchange_within, identified, join,
    sensitive, words,
};
use crate::{
    Call, CallError, Checked, Health, MediaAddress, ReadMark, SentMessage, Upload, Uploaded,
    WebhookTarget,
};

/// The vendor's own address (OpenAPI 1.8.7, `servers`).
const BASE_URL: &str = "https://gate.whapi.cloud";

pub(super) async fn send(call: &Call<'_>, outgoing: &Outgoing) -> Result<Accepted, SendError> {
    let Sending { method, path, body, names_message } = sending(outgoing)?;
    let segments: Vec<&str> = path.iter().map(String::as_str).collect();
    let request =
        request(call, method, &segments, &[]).map_err(|unusable| SendError::AccountDown {
            state: unusable_state(unusable),
            message: unusable.as_str().to_owned(),
        })?;
    let answer = exchange(request.json(&body)).await;
    let outcome = match answer {
        Ok(answer) if !names_message && answer.status.is_success() => done(answer.body, call.token),
        Ok(answer) => sent(answer, call.token),
        Err(Failure::NotWritten(reason)) => Err(SendError::NotSent { reason: reason.to_owned() }),
        Err(Failure::Lost(lost)) => Err(uncertain(lost)),
    };
    tracing::debug!(
        request.id = call.request_id,
        outcome = match &outcome {
            Ok(_) => "accepted",
            Err(SendError::NotSent { .. }) => "not_sent",
            Err(SendError::NotAccepted { .. }) => "not_accepted",
            Err(SendError::RateLimited { .. }) => "rate_limited",
            Err(SendError::AccountDown { .. }) => "account_down",
            Err(SendError::Refused { .. }) => "refused",
            Err(SendError::Uncertain { .. }) => "uncertain",
        },
        "whapi send {} ended",
        call.request_id
    );
    outcome
}

/// What an answer to a send means: the sheet's error table (section 8), and promise 3 of the design for
/// everything else.
pub(super) fn sent(answer: Answer, token: &Secret) -> Result<Accepted, SendError> {
    let Answer { status, retry_after, body } = answer;
    let reason = Reason::of(&body, status, token);
    let refused = |kind, message| Err(SendError::Refused { kind, message });
    match status.as_u16() {
        200..=299 => accepted(body, token),
        429 => Err(SendError::RateLimited { retry_after }),
        401 => Err(SendError::AccountDown {
            state: AccountState::QrNeeded,
            message: reason.or("the phone is not linked; it needs pairing by QR code"),
        }),
        402 => Err(SendError::AccountDown {
            state: AccountState::Disconnected,
            message: reason.or("the limit of the WHAPI plan is reached"),
        }),
        404 if reason.is_channel_not_found() => Err(SendError::AccountDown {
            state: AccountState::TokenDead,
            message: reason.or("WHAPI knows no channel with this token"),
        }),
        // Not in the sheet for sends: "already so" may be this very message, and a proxy's 408 tells nothing.
        408 | 409 => Err(SendError::Uncertain { reason: format!("WHAPI answered {status}") }),
        // The proxy in between wants a login; nothing reached WHAPI.
        407 => Err(SendError::NotAccepted {
            message: "the proxy on the way asks for a login".to_owned(),
            retry_after: None,
        }),
        413 => refused(Kind::InvalidContent, reason.or("the message is too large")),
        415 => refused(Kind::MediaTypeUnsupported, reason.or("the media type is not supported")),
        400..=499 if reason.is_about_recipient(status) => {
            refused(Kind::InvalidRecipient, reason.or("the chat is unknown"))
        }
        400..=499 => refused(Kind::ProviderRejected, reason.or("no reason given")),
        // These redirects say that nothing was done here; following one would carry the token elsewhere.
        301 | 307 | 308 => Err(SendError::AccountDown {
            state: AccountState::Disconnected,
            message: "the account's base URL answers with a redirect; correct it".to_owned(),
        }),
        _ => Err(SendError::Uncertain { reason: format!("WHAPI answered {status}") }),
    }
}

fn accepted(body: Result<Vec<u8>, Lost>, token: &Secret) -> Result<Accepted, SendError> {
    let unclear = |reason: &str| Err(SendError::Uncertain { reason: reason.to_owned() });
    let body = body.map_err(uncertain)?;
    let Some(answer) = read(&body) else {
        return unclear("the answer is no JSON");
    };
    let message = answer.get("message").unwrap_or(&Value::Null);
    let id = text(message, "id").filter(|id| id.len() <= wire::ID_MAX_BYTES);
    match (answer.get("sent").and_then(Value::as_bool), id) {
        (Some(false), _) => Err(SendError::Refused {
            kind: Kind::ProviderRejected,
            message: Reason::in_body(&answer, token).or("WHAPI answered that it did not send"),
        }),
        (_, Some(id)) => Ok(Accepted {
            message_id: Some(id.to_owned()),
            word: text(message, "status")
                .and_then(|word| StatusWord::parse(&word.to_ascii_lowercase()))
                .unwrap_or(StatusWord::Pending),
            chat_id: text(message, "chat_id")
                .filter(|id| id.len() <= wire::ID_MAX_BYTES)
                .map(str::to_owned),
        }),
        (_, None) => unclear("the answer names no message id"),
    }
}

/// The answer to a reaction: `{success}`, no message.
fn done(body: Result<Vec<u8>, Lost>, token: &Secret) -> Result<Accepted, SendError> {
    let answer = read(&body.map_err(uncertain)?)
        .ok_or_else(|| SendError::Uncertain { reason: "the answer is no JSON".to_owned() })?;
    if answer.get("success") == Some(&Value::Bool(false)) {
        return Err(SendError::Refused {
            kind: Kind::ProviderRejected,
            message: Reason::in_body(&answer, token).or("WHAPI answered that it did not do it"),
        });
    }
    Ok(Accepted { message_id: None, word: StatusWord::Sent, chat_id: None })
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

/// What WHAPI says went wrong: `error.message` and `error.details`, cleaned. Codes are not documented.
pub(super) struct Reason(Option<String>);

impl Reason {
    pub(super) fn of(body: &Result<Vec<u8>, Lost>, status: StatusCode, token: &Secret) -> Self {
        match body {
            Ok(body) if !status.is_success() => {
                read(body).map_or(Self(None), |answer| Self::in_body(&answer, token))
            }
            _ => Self(None),
        }
    }

    pub(super) fn in_body(answer: &Value, token: &Secret) -> Self {
        let error = answer.get("error").unwrap_or(&Value::Null);
        let parts: Vec<_> = [text(error, "message").or(error.as_str()), text(error, "details")]
            .into_iter()
            .flatten()
            .map(|part| words(part, token))
            .filter(|part| !part.is_empty())
            .collect();
        Self((!parts.is_empty()).then(|| parts.join(": ")))
    }

    pub(super) fn or(self, words: &str) -> String {
        self.0.unwrap_or_else(|| words.to_owned())
    }

    pub(super) fn mentions(&self, any_of: &[&str]) -> bool {
        self.0.as_ref().is_some_and(|text| {
            let text = text.to_ascii_lowercase();
            any_of.iter().any(|word| text.contains(word))
        })
    }

    /// 404 is WHAPI's answer to a wrong token (vendor's skill repository, 2026), and to much else.
    pub(super) fn is_channel_not_found(&self) -> bool {
        self.mentions(&["channel not found"])
    }

    fn is_about_recipient(&self, status: StatusCode) -> bool {
        // On 403 the chat is known and closed to us: that is the provider's refusal, not a wrong number.
        matches!(status, StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND)
            && self.mentions(&[
                "chat",
                "recipient",
                "contact",
                "phone",
                "number",
                "group",
                "\"to\"",
                "'to'",
                "/to",
            ])
    }
}

/// JSON however odd; None when it is none.
pub(super) fn read(body: &[u8]) -> Option<Value> {
    let text = String::from_utf8_lossy(body);
    serde_json::from_str(text.trim_start_matches('\u{feff}')).ok().map(wire::value)
}

pub(super) async fn health(call: &Call<'_>) -> Result<Health, CallError> {
    // Without this WHAPI starts a sleeping channel (OpenAPI 1.8.7); booleans are words.
    let request = request(call, Method::GET, &["health"], &[("wakeup", "false")])?;
    let answer = match answered(request, call.token).await {
        Ok(answer) => answer,
        // Also these are states of the account, and the question was just that.
        Err(CallError::AccountDown { state, message }) => {
            return Ok(Health { state, reason: Some(message), phone: None, name: None });
        }
        Err(error) => return Err(error),
    };
    let status = answer
        .get("status")
        .and_then(|status| text(status, "text"))
        .ok_or_else(|| unavailable("the health answer has no status.text"))?;
    let user = answer.get("user").unwrap_or(&Value::Null);
    // A word of tomorrow holds the sends: nothing is lost by waiting until somebody looks.
    let state = state_of(status).unwrap_or(AccountState::Disconnected);
    Ok(Health {
        state,
        reason: Some(words(status, call.token)),
        phone: word(user, "id").and_then(|id| wire::person(&id)).and_then(|person| person.phone),
        name: text(user, "name").or(text(user, "pushname")).map(|name| words(name, call.token)),
    })
}

/// The file by its id from the API, which needs the token; a link points to a store of WHAPI's that needs none.
pub(super) fn media_address(
    call: &Call<'_>,
    media: &MediaRef,
    fresh: bool,
) -> Result<MediaAddress, CallError> {
    if let (false, Some(url)) = (fresh, &media.url) {
        return Ok(MediaAddress {
            url: url.clone(),
            authorization: None,
            own: same_origin(url, base(call)),
        });
    }
    let Some(id) = &media.id else {
        return Err(CallError::Refused {
            kind: Kind::ProviderRejected,
            message: "the webhook told neither an id nor a working link of the file".to_owned(),
        });
    };
    let url = join(base(call), &["media", id])?;
    Ok(MediaAddress {
        url: url.into(),
        authorization: Some(Secret::new(format!("Bearer {}", call.token.expose()))),
        own: true,
    })
}

/// True where a link leads to the account's own API: what an administrator entered is to be trusted.
fn same_origin(url: &str, base: &str) -> bool {
    match (Url::parse(url), Url::parse(base)) {
        (Ok(url), Ok(base)) => base.has_host() && url.origin() == base.origin(),
        _ => false,
    }
}

/// Stored files live for 30 days (help page on file expiration, 2025).
const FILES_LIVE: Duration = Duration::from_secs(30 * 24 * 3600);

/// `POST /media` with the bytes as they are; the answer names the file.
pub(super) async fn upload(call: &Call<'_>, file: Upload) -> Result<Uploaded, CallError> {
    // JSON of this type would be read as the call's own parameters.
    let mimetype = match file.mimetype.as_str() {
        "application/json" => "application/octet-stream",
        other => crate::documented_mimetype(other),
    };
    let request = request(call, Method::POST, &["media"], &[])?
        .header(header::CONTENT_TYPE, mimetype)
        .header(header::CONTENT_LENGTH, file.size)
        .body(file.body);
    let answer = answered(request, call.token).await?;
    let id = answer
        .get("media")
        .and_then(|media| media.get(0).or(Some(media)))
        .and_then(|media| text(media, "id"))
        .ok_or_else(|| unavailable("the answer to an upload names no file"))?;
    Ok(Uploaded { id: id.to_owned(), keeps: Some(FILES_LIVE) })
}

/// `PUT /messages/{MessageID}` (OpenAPI 1.8.7): WhatsApp reads a chat up to a message.
pub(super) async fn mark_read(call: &Call<'_>, read: &ReadMark<'_>) -> Result<(), CallError> {
    let Some(newest) = read.message_ids.last() else { return Ok(()) };
    let request = request(call, Method::PUT, &["messages", newest], &[])?;
    answered(request, call.token).await.map(drop)
}

/// `POST /messages/text` with `edit` (OpenAPI 1.8.7, `Sender`). That it also replaces what stands under a file is
/// inferred: the schema takes `edit` with every kind, and only a text needs no file.
pub(super) async fn edit(
    call: &Call<'_>,
    message: &SentMessage<'_>,
    text: &str,
) -> Result<(), CallError> {
    let body = json!({ "to": message.chat_id, "body": text, "edit": message.message_id });
    let request = request(call, Method::POST, &["messages", "text"], &[])?;
    succeeded(&answered(request.json(&body), call.token).await?, "sent", call.token)
}

/// `DELETE /messages/{MessageID}`, for everyone.
pub(super) async fn delete(call: &Call<'_>, message: &SentMessage<'_>) -> Result<(), CallError> {
    let request = request(call, Method::DELETE, &["messages", message.message_id], &[])?;
    succeeded(&answered(request, call.token).await?, "success", call.token)
}

/// An answer with 200 may still say that nothing was done.
fn succeeded(answer: &Value, flag: &str, token: &Secret) -> Result<(), CallError> {
    if answer.get(flag) == Some(&Value::Bool(false)) {
        let message = Reason::in_body(answer, token).or("WHAPI answered that it did not do it");
        return Err(CallError::Refused { kind: Kind::ProviderRejected, message });
    }
    Ok(())
}

/// `POST /contacts`; whoever the answer does not name counts as unknown, and the call as failed.
pub(super) async fn check_numbers(
    call: &Call<'_>,
    numbers: &[&str],
) -> Result<Vec<Checked>, CallError> {
    let request = request(call, Method::POST, &["contacts"], &[])?;
    let answer = answered(request.json(&json!({ "contacts": numbers })), call.token).await?;
    let contacts = answer.get("contacts").and_then(Value::as_array);
    let contacts = contacts.ok_or_else(|| unavailable("the answer to a check has no contacts"))?;
    let checked = |number: &&str| {
        let is_asked = |contact: &&Value| {
            text(contact, "input").is_some_and(|input| input.trim_start_matches('+') == *number)
        };
        let contact = contacts.iter().find(is_asked);
        let contact = contact.ok_or_else(|| unavailable("a number is missing in the answer"))?;
        let is_wa_contact = match text(contact, "status") {
            Some("valid") => true,
            Some("invalid") => false,
            _ => return Err(unavailable("the answer to a check has an unknown word")),
        };
        let chat_id = word(contact, "wa_id").filter(|_| is_wa_contact);
        Ok(Checked {
            number: (*number).to_owned(),
            is_wa_contact,
            chat_id: chat_id.map(|id| wire::chat_id(&id)),
        })
    };
    numbers.iter().map(checked).collect()
}

/// The changes that are read (`type`, `method`). Presences, calls, labels and service notes change nothing here.
const EVENTS: [(&str, &str); 19] = [
    ("messages", "post"),
    ("messages", "put"),
    ("messages", "patch"),
    ("messages", "delete"),
    ("statuses", "post"),
    ("statuses", "put"),
    ("groups", "post"),
    ("groups", "put"),
    ("groups", "patch"),
    ("contacts", "post"),
    ("contacts", "patch"),
    ("chats", "post"),
    ("chats", "put"),
    ("chats", "patch"),
    ("channel", "post"),
    ("channel", "put"),
    ("channel", "patch"),
    ("users", "post"),
    ("users", "delete"),
];

pub(super) async fn register_webhook(
    call: &Call<'_>,
    target: &WebhookTarget,
) -> Result<(), CallError> {
    let settings = answered(request(call, Method::GET, &["settings"], &[])?, call.token).await?;
    let webhooks = match settings.get("webhooks") {
        None | Some(Value::Null) => &[][..],
        Some(Value::Array(webhooks)) => webhooks,
        // Writing replaces the whole list: what cannot be read must not be thrown away.
        Some(_) => return Err(unavailable("the webhooks of the channel cannot be read")),
    };
    let merged = merge(webhooks, target)?;
    if merged == webhooks {
        return Ok(());
    }
    let request = request(call, Method::PATCH, &["settings"], &[])?;
    answered(request.json(&json!({ "webhooks": merged })), call.token).await.map(drop)
}

/// The list with ours in it. Ours is told by its URL without the query; twins of it go away.
fn merge(webhooks: &[Value], target: &WebhookTarget) -> Result<Vec<Value>, CallError> {
    let refuse = |message: &str| CallError::Refused {
        kind: Kind::InvalidContent,
        message: message.to_owned(),
    };
    let place = |url: &str| {
        let mut url = Url::parse(url).ok()?;
        url.set_query(None);
        url.set_fragment(None);
        Some(url)
    };
    let ours = place(&target.url)
        .filter(|url| matches!(url.scheme(), "http" | "https"))
        .ok_or_else(|| refuse("the public address for webhooks is no http(s) URL"))?;
    let is_ours = |hook: &&Value| text(hook, "url").and_then(place).is_some_and(|url| url == ours);

    let mut hook = webhooks.iter().find(is_ours).cloned().unwrap_or_else(|| json!({}));
    hook["url"] = json!(target.url);
    hook["mode"] = json!("body");
    hook["events"] =
        EVENTS.iter().map(|(kind, method)| json!({"type": kind, "method": method})).collect();
    hook["headers"] = match &target.header {
        None => json!({}),
        Some(header) if header.name.eq_ignore_ascii_case("authorization") => {
            json!({ "Authorization": format!("Bearer {}", header.value.expose()) })
        }
        Some(header) => json!({ header.name.clone(): header.value.expose() }),
    };
    let at = webhooks.iter().position(|hook| is_ours(&hook)).unwrap_or(webhooks.len());
    let mut merged: Vec<_> = webhooks.iter().filter(|hook| !is_ours(hook)).cloned().collect();
    merged.insert(at.min(merged.len()), hook);
    Ok(merged)
}

fn base<'a>(call: &Call<'a>) -> &'a str {
    call.base_url.filter(|base| !base.trim().is_empty()).unwrap_or(BASE_URL)
}

pub(super) fn request(
    call: &Call<'_>,
    method: Method,
    segments: &[&str],
    query: &[(&str, &str)],
) -> Result<reqwest::RequestBuilder, Unusable> {
    let mut url = join(base(call), segments)?;
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    // Never as `?token=`, which logs on the way would keep.
    let bearer = sensitive(&format!("Bearer {}", call.token.expose()))?;
    Ok(identified(call.http.request(method, url), call.request_id)
        .header(header::AUTHORIZATION, bearer)
        .header(header::ACCEPT, "application/json")
        .timeout(call.timeout))
}

impl From<Unusable> for CallError {
    fn from(unusable: Unusable) -> Self {
        Self::AccountDown { state: unusable_state(unusable), message: unusable.as_str().to_owned() }
    }
}

pub(super) fn unavailable(message: &str) -> CallError {
    CallError::Unavailable { kind: Kind::ProviderUnavailable, message: message.to_owned() }
}

/// The JSON of a successful answer to a call that is safe to repeat.
async fn answered(request: reqwest::RequestBuilder, token: &Secret) -> Result<Value, CallError> {
    successful(reached(request).await?, token)
}

/// The answer to a call that is safe to repeat.
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
        Failure::Lost(why) => lost(why),
    }
}

fn lost(lost: Lost) -> CallError {
    let kind = match lost {
        Lost::TimedOut => Kind::ProviderTimeout,
        Lost::Cut | Lost::TooLong => Kind::ProviderUnavailable,
    };
    CallError::Unavailable { kind, message: lost.as_str().to_owned() }
}

pub(super) fn successful(answer: Answer, token: &Secret) -> Result<Value, CallError> {
    let body = successful_body(answer, token)?;
    read(&body).ok_or_else(|| unavailable("the answer is no JSON"))
}

pub(super) fn successful_body(answer: Answer, token: &Secret) -> Result<Vec<u8>, CallError> {
    if answer.status.is_success() {
        return answer.body.map_err(lost);
    }
    let status = answer.status;
    Err(match sent(answer, token) {
        Err(SendError::RateLimited { retry_after }) => CallError::RateLimited { retry_after },
        Err(SendError::AccountDown { state, message }) => CallError::AccountDown { state, message },
        Err(SendError::Refused { kind, message }) => CallError::Refused { kind, message },
        Err(SendError::NotAccepted { message, .. }) => unavailable(&message),
        _ => unavailable(&format!("WHAPI answered {status}")),
    })
}

#[cfg(test)]
mod tests;
