//! Calls to the Graph API, and what their answers mean.

use std::time::Duration;

use http::{Method, header};
use reqwest::multipart::{Form, Part};
use serde_json::{Map, Value, json};
use url::Url;
use wabridge_domain::Secret;
use wabridge_domain::account::AccountState;
use wabridge_domain::error::Kind;
use wabridge_domain::event::{ChatKind, MediaRef};
use wabridge_domain::message::StatusWord;
use wabridge_domain::outgoing::{Accepted, Outgoing, SendError};

use super::content;
use super::errors::GraphError;
use super::wire;
use crate::http::{Answer, Failure, Lost, Unusable, exchange, identified, join, sensitive, words};
use crate::json::{self, text, word};
use crate::{
    Call, CallError, Health, MediaAddress, ProviderTemplate, ReadMark, Upload, Uploaded,
    WebhookTarget,
};

/// The vendor's own address.
const BASE_URL: &str = "https://graph.facebook.com";

/// The version of the API: that of Meta's OpenAPI document, and the first with groups. An account's base URL
/// may end with another one (`https://graph.facebook.com/v26.0`).
pub(super) const VERSION: &str = "v23.0";

/// Hosts that Meta serves files from; only they get the token besides the API itself.
const MEDIA_HOSTS: [&str; 1] = ["lookaside.fbsbx.com"];

pub(super) async fn send(call: &Call<'_>, outgoing: &Outgoing) -> Result<Accepted, SendError> {
    let body = message(outgoing)?;
    let request = to_number(call, Method::POST, &["messages"]).map_err(|unusable| {
        SendError::AccountDown { state: unusable.state(), message: unusable.words().to_owned() }
    })?;
    let outcome = match exchange(request.json(&body)).await {
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
        "meta send {} ended",
        call.request_id
    );
    outcome
}

/// The body of a send.
fn message(outgoing: &Outgoing) -> Result<Value, SendError> {
    let chat = outgoing.chat_id.as_str();
    let in_group = wire::chat_kind(chat) == Some(ChatKind::Group);
    let mut body = Map::new();
    body.insert("messaging_product".to_owned(), "whatsapp".into());
    let recipient_type = if in_group { "group" } else { "individual" };
    body.insert("recipient_type".to_owned(), recipient_type.into());
    // Somebody without a number is named by another field.
    let to = if wire::is_user_id(chat) { "recipient" } else { "to" };
    body.insert(to.to_owned(), chat.into());
    let (kind, part) = content::part(outgoing)?;
    if in_group {
        content::for_groups(kind)?;
    }
    body.insert("type".to_owned(), kind.into());
    body.insert(kind.to_owned(), part);
    if let Some(quoted) = outgoing.quoted_id.as_deref().filter(|_| kind != "reaction") {
        body.insert("context".to_owned(), json!({"message_id": quoted}));
    }
    body.insert("biz_opaque_callback_data".to_owned(), outgoing.reference.as_str().into());
    Ok(body.into())
}

/// What an answer means: the error table by its code, and promise 3 of the design for everything else.
pub(super) fn sent(answer: Answer, token: &Secret) -> Result<Accepted, SendError> {
    let Answer { status, retry_after, body } = answer;
    let read = body.as_ref().ok().and_then(|body| read(body));
    let error = read.as_ref().and_then(|answer| GraphError::of(answer, token));
    if let Some(meaning) = error.as_ref().and_then(|error| error.meaning(retry_after)) {
        return Err(meaning);
    }
    let said = error.and_then(|error| error.message);
    let refused = |kind, or: &str| {
        Err(SendError::Refused { kind, message: said.clone().unwrap_or_else(|| or.to_owned()) })
    };
    let down = |state, or: &str| {
        Err(SendError::AccountDown {
            state,
            message: said.clone().unwrap_or_else(|| or.to_owned()),
        })
    };
    match status.as_u16() {
        200..=299 if said.is_some() => refused(Kind::ProviderRejected, "no reason given"),
        200..=299 => accepted(body, read.as_ref()),
        429 => Err(SendError::RateLimited { retry_after }),
        401 => down(AccountState::TokenDead, "Meta does not know the token"),
        // A proxy's word tells nothing about the message.
        408 | 409 => Err(SendError::Uncertain { reason: format!("Meta answered {status}") }),
        407 => Err(SendError::NotAccepted {
            message: "the proxy on the way asks for a login".to_owned(),
            retry_after: None,
        }),
        413 => refused(Kind::InvalidContent, "the message is too large"),
        400..=499 => refused(Kind::ProviderRejected, "no reason given"),
        // These redirects say that nothing was done here; following one would carry the token elsewhere.
        301 | 307 | 308 => Err(SendError::AccountDown {
            state: AccountState::Disconnected,
            message: "the account's base URL answers with a redirect; correct it".to_owned(),
        }),
        _ => Err(SendError::Uncertain { reason: format!("Meta answered {status}") }),
    }
}

/// 200 says that Meta took the message; whether it was sent comes as a status.
fn accepted(body: Result<Vec<u8>, Lost>, answer: Option<&Value>) -> Result<Accepted, SendError> {
    let unclear = |reason: &str| Err(SendError::Uncertain { reason: reason.to_owned() });
    body.map_err(uncertain)?;
    let Some(answer) = answer else { return unclear("the answer is no JSON") };
    let message = answer.get("messages").and_then(|messages| messages.get(0));
    let contact = answer.get("contacts").and_then(|contacts| contacts.get(0));
    match message.and_then(|message| wire::id(message, "id")) {
        Some(id) => Ok(Accepted {
            message_id: Some(id),
            word: StatusWord::Pending,
            chat_id: contact.and_then(|contact| wire::id(contact, "wa_id")),
        }),
        None => unclear("the answer names no message id"),
    }
}

fn uncertain(lost: Lost) -> SendError {
    SendError::Uncertain { reason: lost.as_str().to_owned() }
}

/// JSON however odd; None when it is none.
pub(super) fn read(body: &[u8]) -> Option<Value> {
    let text = String::from_utf8_lossy(body);
    serde_json::from_str(text.trim_start_matches('\u{feff}')).ok().map(json::value)
}

/// What a number is asked for: its standing, and whether it may send.
const HEALTH_FIELDS: &str = "display_phone_number,verified_name,status,quality_rating,\
    messaging_limit_tier,throughput,name_status,code_verification_status,account_mode,platform_type,health_status";

pub(super) async fn health(call: &Call<'_>) -> Result<Health, CallError> {
    let request = to_number(call, Method::GET, &[])?.query(&[("fields", HEALTH_FIELDS)]);
    let answer = match answered(request, call.token).await {
        Ok(answer) => answer,
        // Also these are states of the account, and the question was just that.
        Err(CallError::AccountDown { state, message }) => {
            return Ok(Health { state, reason: Some(message), phone: None, name: None });
        }
        Err(error) => return Err(error),
    };
    // Without its own id it is some other answer.
    if wire::id(&answer, "id").is_none() && answer.get("display_phone_number").is_none() {
        return Err(unavailable("the health answer names no phone number"));
    }
    let health = answer.get("health_status").unwrap_or(&Value::Null);
    let (status, can_send) = (text(&answer, "status"), text(health, "can_send_message"));
    let reason = reason(&answer, health, call.token);
    let digits = |number: &str| number.chars().filter(char::is_ascii_digit).collect::<String>();
    Ok(Health {
        state: state(status, can_send),
        reason: (!reason.is_empty()).then_some(reason),
        phone: text(&answer, "display_phone_number")
            .and_then(|number| wire::phone(&digits(number))),
        name: text(&answer, "verified_name").map(|name| words(name, call.token)),
    })
}

/// The standing of a number. LIMITED, FLAGGED and the like still send; a word of tomorrow does too, as long as
/// Meta does not say that it may not.
fn state(status: Option<&str>, can_send: Option<&str>) -> AccountState {
    match (status, can_send) {
        (Some("BANNED"), _) | (_, Some("BLOCKED")) => AccountState::Banned,
        (Some("DISCONNECTED" | "DELETED" | "MIGRATED" | "PENDING" | "UNVERIFIED"), _) => {
            AccountState::Disconnected
        }
        _ => AccountState::Connected,
    }
}

/// Meta's words for the standing, and for what stands in the way of sending.
fn reason(answer: &Value, health: &Value, token: &Secret) -> String {
    let quality = text(answer, "quality_rating").filter(|word| !matches!(*word, "UNKNOWN" | "NA"));
    let mut all: Vec<String> = [text(answer, "status"), text(health, "can_send_message")]
        .into_iter()
        .flatten()
        .map(str::to_owned)
        .collect();
    all.extend(quality.map(|word| format!("quality {word}")));
    let entities = health.get("entities").and_then(Value::as_array);
    for entity in entities.into_iter().flatten() {
        let errors = entity.get("errors").and_then(Value::as_array);
        all.extend(errors.into_iter().flatten().filter_map(|error| {
            let sentence =
                text(error, "error_description").or_else(|| text(error, "description"))?;
            let code = word(error, "error_code").map(|code| format!(" ({code})"));
            Some(format!("{sentence}{}", code.unwrap_or_default()))
        }));
    }
    words(&all.join(", "), token)
}

/// A file by its id: `GET /{media-id}` gives a link that lives for some minutes and needs the token as well.
pub(super) async fn media_address(
    call: &Call<'_>,
    media: &MediaRef,
    fresh: bool,
) -> Result<MediaAddress, CallError> {
    let told = media.url.as_deref().filter(|url| !fresh || media.id.is_none() && !url.is_empty());
    if let Some(url) = told {
        return Ok(address(call, url));
    }
    let Some(id) = &media.id else {
        return Err(CallError::Refused {
            kind: Kind::ProviderRejected,
            message: "the webhook told neither an id nor a link of the file".to_owned(),
        });
    };
    let mut request = request(call, Method::GET, &[id])?;
    if let Some(number) = call.channel_id {
        request = request.query(&[("phone_number_id", number)]);
    }
    let answer = answered(request, call.token).await?;
    let url = text(&answer, "url").ok_or_else(|| unavailable("the answer names no link"))?;
    Ok(address(call, url))
}

/// The token goes along only to Meta's own hosts.
fn address(call: &Call<'_>, url: &str) -> MediaAddress {
    let own = Url::parse(url).is_ok_and(|url| is_own(call, &url));
    MediaAddress {
        url: url.to_owned(),
        authorization: own.then(|| Secret::new(format!("Bearer {}", call.token.expose()))),
        own,
    }
}

fn is_own(call: &Call<'_>, url: &Url) -> bool {
    let meta = url.scheme() == "https"
        && url.port().is_none()
        && url.host_str().is_some_and(|host| MEDIA_HOSTS.contains(&host));
    meta || Url::parse(base(call).trim()).is_ok_and(|base| base.origin() == url.origin())
}

/// How long Meta keeps a file that was handed over.
const FILES_LIVE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// `POST /{phone-number-id}/media`, a form with the file in it.
pub(super) async fn upload(call: &Call<'_>, file: Upload) -> Result<Uploaded, CallError> {
    let part = Part::stream_with_length(file.body, file.size)
        .file_name(file.filename)
        .mime_str(crate::documented_mimetype(&file.mimetype))
        .map_err(|_| CallError::Refused {
            kind: Kind::MediaTypeUnsupported,
            message: "the file's media type is none".to_owned(),
        })?;
    let form = Form::new()
        .text("messaging_product", "whatsapp")
        .text("type", crate::documented_mimetype(&file.mimetype).to_owned())
        .part("file", part);
    let request = to_number(call, Method::POST, &["media"])?.multipart(form);
    let answer = answered(request, call.token).await?;
    let id = wire::id(&answer, "id").ok_or_else(|| unavailable("the answer names no file"))?;
    Ok(Uploaded { id, keeps: Some(FILES_LIVE) })
}

/// Templates in one answer, and answers that are read: more than any account may have.
const TEMPLATES_PAGE: &str = "100";
const TEMPLATES_MAX_PAGES: usize = 100;

/// `GET /{waba-id}/message_templates`, page by page. The account knows its number only: which business account that
/// belongs to stands in the number's health (`health_status.entities`).
pub(super) async fn templates(call: &Call<'_>) -> Result<Vec<ProviderTemplate>, CallError> {
    let request = to_number(call, Method::GET, &[])?.query(&[("fields", "health_status")]);
    let number = answered(request, call.token).await?;
    let entities = number.get("health_status").and_then(|health| health.get("entities"));
    let waba = entities
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .find(|entity| text(entity, "entity_type") == Some("WABA"))
        .and_then(|entity| wire::id(entity, "id"))
        .ok_or_else(|| unavailable("Meta does not name the business account of the number"))?;
    let mut all = Vec::new();
    let mut after: Option<String> = None;
    for _ in 0..TEMPLATES_MAX_PAGES {
        let mut query = vec![
            ("fields", "id,name,status,language,category,components"),
            ("limit", TEMPLATES_PAGE),
        ];
        query.extend(after.as_deref().map(|cursor| ("after", cursor)));
        let request = self::request(call, Method::GET, &[&waba, "message_templates"])?;
        let page = answered(request.query(&query), call.token).await?;
        let data = page.get("data").and_then(Value::as_array);
        let data = data.ok_or_else(|| unavailable("the answer has no templates"))?;
        all.extend(data.iter().filter_map(template));
        let paging = page.get("paging").unwrap_or(&Value::Null);
        let cursor = paging.get("cursors").and_then(|cursors| text(cursors, "after"));
        match (paging.get("next").and_then(Value::as_str), cursor) {
            (Some(_), Some(cursor)) if after.as_deref() != Some(cursor) => {
                after = Some(cursor.to_owned());
            }
            _ => return Ok(all),
        }
    }
    // What is missing at the end would be taken for deleted.
    Err(unavailable("the list of templates does not end"))
}

/// None for what nothing could be sent with.
fn template(told: &Value) -> Option<ProviderTemplate> {
    let lower = |name: &str| text(told, name).map(str::to_ascii_lowercase).unwrap_or_default();
    Some(ProviderTemplate {
        id: wire::id(told, "id")?,
        name: text(told, "name")?.to_owned(),
        language: text(told, "language")?.to_owned(),
        category: lower("category"),
        state: lower("status"),
        components: told.get("components").cloned().unwrap_or_else(|| json!([])),
    })
}

/// Everything before a message that is marked as read is read too.
pub(super) async fn mark_read(call: &Call<'_>, read: &ReadMark<'_>) -> Result<(), CallError> {
    let Some(newest) = read.message_ids.last() else { return Ok(()) };
    if wire::chat_kind(read.chat_id) == Some(ChatKind::Group) {
        return Err(CallError::Refused {
            kind: Kind::UnsupportedByProvider,
            message: "Meta has no read marks in groups".to_owned(),
        });
    }
    let body = json!({"messaging_product": "whatsapp", "status": "read", "message_id": newest});
    answered(to_number(call, Method::POST, &["messages"])?.json(&body), call.token).await.map(drop)
}

/// The number's own webhook address; other numbers and the app keep theirs. Meta asks at that address for the
/// verify token before it answers.
pub(super) async fn register_webhook(
    call: &Call<'_>,
    target: &WebhookTarget,
) -> Result<(), CallError> {
    let refuse = |message: &str| CallError::Refused {
        kind: Kind::InvalidContent,
        message: message.to_owned(),
    };
    let token = target.verify_token.as_ref().filter(|token| !token.expose().is_empty());
    let token = token.ok_or_else(|| {
        refuse("the account has no verify token, which Meta asks the bridge for; enter one with the wizard \"Set credentials\"")
    })?;
    let body = json!({"webhook_configuration": {
        "override_callback_uri": target.url,
        "verify_token": token.expose(),
    }});
    answered(to_number(call, Method::POST, &[])?.json(&body), call.token).await.map(drop)
}

/// Why a call cannot even be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Impossible {
    Address(Unusable),
    NoNumber,
}

impl Impossible {
    fn words(self) -> &'static str {
        match self {
            Self::Address(unusable) => unusable.as_str(),
            Self::NoNumber => "the account has no channel id; enter Meta's phone number id there",
        }
    }

    fn state(self) -> AccountState {
        match self {
            Self::Address(Unusable::Token) => AccountState::TokenDead,
            Self::Address(Unusable::BaseUrl) | Self::NoNumber => AccountState::Disconnected,
        }
    }
}

impl From<Unusable> for Impossible {
    fn from(unusable: Unusable) -> Self {
        Self::Address(unusable)
    }
}

impl From<Impossible> for CallError {
    fn from(impossible: Impossible) -> Self {
        Self::AccountDown { state: impossible.state(), message: impossible.words().to_owned() }
    }
}

fn base<'a>(call: &Call<'a>) -> &'a str {
    call.base_url.unwrap_or(BASE_URL)
}

/// A call about the account's own number.
pub(super) fn to_number(
    call: &Call<'_>,
    method: Method,
    segments: &[&str],
) -> Result<reqwest::RequestBuilder, Impossible> {
    let number = call.channel_id.filter(|id| !id.is_empty()).ok_or(Impossible::NoNumber)?;
    request(call, method, &[&[number], segments].concat())
}

pub(super) fn request(
    call: &Call<'_>,
    method: Method,
    segments: &[&str],
) -> Result<reqwest::RequestBuilder, Impossible> {
    let base = base(call);
    let versioned = base.trim().trim_end_matches('/').rsplit('/').next().is_some_and(is_version);
    let url = if versioned {
        join(base, segments)?
    } else {
        join(base, &[&[VERSION], segments].concat())?
    };
    let bearer = sensitive(&format!("Bearer {}", call.token.expose()))?;
    Ok(identified(call.http.request(method, url), call.request_id)
        .header(header::AUTHORIZATION, bearer)
        .header(header::ACCEPT, "application/json")
        .timeout(call.timeout))
}

/// `v23.0`.
fn is_version(segment: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    segment
        .strip_prefix('v')
        .and_then(|version| version.split_once('.'))
        .is_some_and(|(major, minor)| digits(major) && digits(minor))
}

pub(super) fn unavailable(message: &str) -> CallError {
    CallError::Unavailable { kind: Kind::ProviderUnavailable, message: message.to_owned() }
}

/// The JSON of a successful answer to a call that is safe to repeat.
pub(super) async fn answered(
    request: reqwest::RequestBuilder,
    token: &Secret,
) -> Result<Value, CallError> {
    successful(reached(request).await?, token)
}

/// The answer to a call that is safe to repeat.
pub(super) async fn reached(request: reqwest::RequestBuilder) -> Result<Answer, CallError> {
    exchange(request).await.map_err(|failure| match failure {
        Failure::NotWritten(reason) => unavailable(reason),
        Failure::Lost(why) => lost(why),
    })
}

fn lost(lost: Lost) -> CallError {
    let kind = match lost {
        Lost::TimedOut => Kind::ProviderTimeout,
        Lost::Cut | Lost::TooLong => Kind::ProviderUnavailable,
    };
    CallError::Unavailable { kind, message: lost.as_str().to_owned() }
}

pub(super) fn successful(answer: Answer, token: &Secret) -> Result<Value, CallError> {
    let status = answer.status;
    if status.is_success() {
        let body = answer.body.map_err(lost)?;
        let read = read(&body).ok_or_else(|| unavailable("the answer is no JSON"))?;
        if read.get("success").and_then(Value::as_bool) != Some(false)
            && read.get("error").is_none()
        {
            return Ok(read);
        }
        let error = GraphError::of(&read, token);
        let message = error.and_then(|error| error.message);
        return Err(CallError::Refused {
            kind: Kind::ProviderRejected,
            message: message.unwrap_or_else(|| "Meta answered that it did nothing".to_owned()),
        });
    }
    Err(match sent(answer, token) {
        Err(SendError::RateLimited { retry_after }) => CallError::RateLimited { retry_after },
        Err(SendError::AccountDown { state, message }) => CallError::AccountDown { state, message },
        Err(SendError::Refused { kind, message }) => CallError::Refused { kind, message },
        Err(SendError::NotAccepted { message, .. }) => unavailable(&message),
        _ => unavailable(&format!("Meta answered {status}")),
    })
}

#[cfg(test)]
mod tests;
