//! Calls to a custom provider, as its mapping says, and what their answers mean.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::BodyExt;
use reqwest::multipart::{Form, Part};
use serde_json::Value;
use url::Url;
use wabridge_domain::Secret;
use wabridge_domain::account::AccountState;
use wabridge_domain::error::Kind;
use wabridge_domain::event::MediaRef;
use wabridge_domain::message::{MessageType, StatusWord};
use wabridge_domain::outgoing::{Accepted, Outgoing, SendError};

use super::content::{self, Made};
use super::mapping::{Auth, CallMap, Mapping, Meaning};
use super::pointer::text;
use super::sends::UploadForm;
use super::template::{Slot, Values};
use crate::http::{
    Answer, Failure, Lost, PAGE_MAX_BYTES, REQUEST_ID, exchange, exchange_within, identified, join,
    sensitive, words,
};
use crate::json::ID_MAX_BYTES;
use crate::{Call, CallError, Health, MediaAddress, ReadMark, SentMessage, Upload, Uploaded, body};

/// Why a call cannot even be tried.
pub(super) struct Impossible {
    state: AccountState,
    message: String,
}

impl Impossible {
    fn new(state: AccountState, message: impl Into<String>) -> Self {
        Self { state, message: message.into() }
    }
}

impl From<Impossible> for SendError {
    fn from(impossible: Impossible) -> Self {
        Self::AccountDown { state: impossible.state, message: impossible.message }
    }
}

impl From<Impossible> for CallError {
    fn from(impossible: Impossible) -> Self {
        Self::AccountDown { state: impossible.state, message: impossible.message }
    }
}

pub(super) async fn send(
    mapping: &Mapping,
    call: &Call<'_>,
    outgoing: &Outgoing,
) -> Result<Accepted, SendError> {
    let of = outgoing.content.message_type();
    let (name, map) = match of {
        MessageType::Text => (None, mapping.api.send_text.as_ref()),
        of => mapping.api.send.of(of).map_or((None, None), |(name, map)| (Some(name), Some(map))),
    };
    let Some(map) = map else {
        let key = if of == MessageType::Text { "api.send_text" } else { "api.send" };
        let why = format!("the account's mapping has no call for {} in {key}", of.as_str());
        return Err(unsupported(why));
    };
    let made = Made::of(&outgoing.content);
    let values = content::values(mapping, call, outgoing, &made);
    if let Some(lost) = content::lost(outgoing, &map.call) {
        let key = name.map_or_else(|| "send_text".to_owned(), |name| format!("send.{name}"));
        let why = format!("api.{key} of the account's mapping has no place for {lost}");
        return Err(unsupported(why));
    }
    let answer = exchange(request(mapping, call, &map.call, &values)?).await;
    let answer = match answer {
        Ok(answer) => answer,
        Err(Failure::NotWritten(reason)) => {
            return Err(SendError::NotSent { reason: reason.to_owned() });
        }
        Err(Failure::Lost(lost)) => return Err(uncertain(lost.as_str())),
    };
    if !answer.status.is_success() {
        return Err(refusal(mapping, answer, call.token));
    }
    let body = answer.body.map_err(|lost| uncertain(lost.as_str()))?;
    let answer = body::read(&body).unwrap_or(Value::Null);
    let message_id = text(map.message_id.as_ref(), &answer).filter(|id| id.len() <= ID_MAX_BYTES);
    if let (Some(places), None) = (&map.message_id, &message_id) {
        return Err(uncertain(&format!("the answer names no message id at {places}")));
    }
    let word = text(map.status.as_ref(), &answer).and_then(|word| {
        let known = &mapping.webhook.status_words;
        known.get(&word).or_else(|| known.get(&word.to_ascii_lowercase())).copied()
    });
    match word {
        Some(StatusWord::Failed) => Err(SendError::Refused {
            kind: Kind::ProviderRejected,
            message: reason(mapping, &answer, call.token)
                .unwrap_or_else(|| "the provider answered that it did not send".to_owned()),
        }),
        // Nothing more will be told of it.
        None if of == MessageType::Reaction => {
            Ok(Accepted { message_id, word: StatusWord::Sent, chat_id: None })
        }
        word => {
            Ok(Accepted { message_id, word: word.unwrap_or(StatusWord::Pending), chat_id: None })
        }
    }
}

fn unsupported(message: String) -> SendError {
    SendError::Refused { kind: Kind::UnsupportedByProvider, message }
}

fn uncertain(reason: &str) -> SendError {
    SendError::Uncertain { reason: reason.to_owned() }
}

/// What an answer means that is no success: the mapping's word for its status, else what every HTTP service
/// means by it. Where nothing is sure the call may have taken effect.
pub(super) fn refusal(mapping: &Mapping, answer: Answer, token: &Secret) -> SendError {
    let Answer { status, retry_after, body } = answer;
    let told = body.ok().and_then(|body| body::read(&body).ok());
    let told = told.and_then(|answer| reason(mapping, &answer, token));
    let or = |words: &str| told.clone().unwrap_or_else(|| words.to_owned());
    let refused = |kind, message| SendError::Refused { kind, message };
    let down = |state, message| SendError::AccountDown { state, message };
    if let Some(meaning) = mapping.api.answers.get(&status.as_u16()) {
        let message = or(&format!("the provider answered {status}"));
        return match meaning {
            Meaning::Refused => refused(Kind::ProviderRejected, message),
            Meaning::NotAccepted => SendError::NotAccepted { message, retry_after },
            Meaning::RateLimited => SendError::RateLimited { retry_after },
            Meaning::AccountDown => down(AccountState::Disconnected, message),
            Meaning::TokenDead => down(AccountState::TokenDead, message),
            Meaning::Uncertain => uncertain(&message),
        };
    }
    match status.as_u16() {
        429 => SendError::RateLimited { retry_after },
        401 => down(AccountState::TokenDead, or("the provider does not know this token")),
        // A conflict may be this very message, and a proxy's 408 tells nothing.
        408 | 409 => uncertain(&format!("the provider answered {status}")),
        407 => SendError::NotAccepted {
            message: "the proxy on the way asks for a login".to_owned(),
            retry_after: None,
        },
        413 => refused(Kind::InvalidContent, or("the message is too large")),
        400..=499 => refused(Kind::ProviderRejected, or("no reason given")),
        // These redirects say that nothing was done here; following one would carry the token elsewhere.
        301 | 307 | 308 => down(
            AccountState::Disconnected,
            "the account's base URL answers with a redirect; correct it".to_owned(),
        ),
        _ => uncertain(&format!("the provider answered {status}")),
    }
}

pub(super) fn reason(mapping: &Mapping, answer: &Value, token: &Secret) -> Option<String> {
    text(mapping.api.error.as_ref(), answer)
        .map(|reason| words(&reason, token))
        .filter(|reason| !reason.is_empty())
}

pub(super) async fn health(mapping: &Mapping, call: &Call<'_>) -> Result<Health, CallError> {
    let Some(map) = &mapping.api.health else {
        return Err(CallError::Refused {
            kind: Kind::UnsupportedByProvider,
            message: "the account's mapping has no api.health".to_owned(),
        });
    };
    let down = |state, message| Health { state, reason: Some(message), phone: None, name: None };
    let values = Values::default().text(Slot::ChannelId, call.channel_id);
    let body = match made(mapping, call, &map.call, &values).await {
        Ok(body) => body,
        // Also these are states of the account, and the question was just that.
        Err(CallError::AccountDown { state, message }) => return Ok(down(state, message)),
        Err(error) => return Err(error),
    };
    let answer = body::read(&body).unwrap_or(Value::Null);
    let (state, reason) = match &map.state {
        None => (AccountState::Connected, None),
        Some(places) => {
            let word = places.text(&answer).ok_or_else(|| {
                unavailable(&format!("the health answer has no state at {places}"))
            })?;
            // A word of tomorrow holds the sends: nothing is lost by waiting until somebody looks.
            let state = mapping.webhook.account_states.get(&word).copied();
            (state.unwrap_or(AccountState::Disconnected), Some(words(&word, call.token)))
        }
    };
    Ok(Health {
        state,
        reason,
        phone: text(map.phone.as_ref(), &answer)
            .and_then(|phone| mapping.chats.person(&phone))
            .and_then(|person| person.phone),
        name: text(map.name.as_ref(), &answer).map(|name| words(&name, call.token)),
    })
}

/// The link first, then the file by its id from the API.
pub(super) fn media_address(
    mapping: &Mapping,
    call: &Call<'_>,
    media: &MediaRef,
    fresh: bool,
) -> Result<MediaAddress, CallError> {
    let refuse = |message: &str| {
        Err(CallError::Refused { kind: Kind::ProviderRejected, message: message.to_owned() })
    };
    let authorization = match &mapping.api.auth {
        Auth::Bearer {} => Some(Secret::new(format!("Bearer {}", call.token.expose()))),
        Auth::Header { name, prefix } if name == header::AUTHORIZATION => {
            Some(Secret::new(format!("{prefix}{}", call.token.expose())))
        }
        // A file's address takes no other header along.
        Auth::Header { .. } => None,
    };
    if let (false, Some(link)) = (fresh, &media.url) {
        let home = home(mapping, call).ok();
        let Some(url) = home.as_ref().map_or_else(|| Url::parse(link), |home| home.join(link)).ok()
        else {
            return refuse("the link of the file is malformed");
        };
        let own = home.is_some_and(|home| home.origin() == url.origin());
        let authorization = authorization.filter(|_| own);
        return Ok(MediaAddress { url: url.into(), authorization, own });
    }
    let (Some(id), Some(map)) = (&media.id, &mapping.api.media) else {
        return refuse(
            "the file has no working link, and no id that api.media of the mapping could ask for",
        );
    };
    let values =
        Values::default().text(Slot::MediaId, Some(id)).text(Slot::ChannelId, call.channel_id);
    Ok(MediaAddress { url: address(mapping, call, map, &values)?.into(), authorization, own: true })
}

/// Each message on its own where the call names one; else the chat once.
pub(super) async fn mark_read(
    mapping: &Mapping,
    call: &Call<'_>,
    read: &ReadMark<'_>,
) -> Result<(), CallError> {
    let Some(map) = &mapping.api.mark_read else {
        return Err(CallError::Refused {
            kind: Kind::UnsupportedByProvider,
            message: "the account's mapping has no api.mark_read".to_owned(),
        });
    };
    // WhatsApp reads a chat up to a message: the newest stands for those before it.
    let Some(newest) = read.message_ids.last() else { return Ok(()) };
    let newest = SentMessage { chat_id: read.chat_id, message_id: newest };
    made(mapping, call, map, &change(mapping, call, &newest)).await.map(drop)
}

/// What a change of a message has values for.
fn change<'a>(mapping: &Mapping, call: &'a Call<'_>, message: &SentMessage<'a>) -> Values<'a> {
    Values::default()
        .text(Slot::ChatId, Some(message.chat_id))
        .text(Slot::Phone, mapping.chats.digits(message.chat_id))
        .text(Slot::MessageId, Some(message.message_id))
        .text(Slot::ChannelId, call.channel_id)
}

/// Blocking is a call of its own, and so is its end.
pub(super) async fn block(
    mapping: &Mapping,
    call: &Call<'_>,
    contact_id: &str,
    blocked: bool,
) -> Result<(), CallError> {
    let (name, map) = match blocked {
        true => ("block", &mapping.api.block),
        false => ("unblock", &mapping.api.unblock),
    };
    let Some(map) = map else { return missing(name) };
    let values = Values::default()
        .text(Slot::ChatId, Some(contact_id))
        .text(Slot::Phone, mapping.chats.digits(contact_id))
        .text(Slot::ChannelId, call.channel_id);
    let answer = reached(request(mapping, call, map, &values)?).await?;
    let own = !mapping.api.answers.contains_key(&answer.status.as_u16());
    match answer.status {
        // It is so already.
        StatusCode::CONFLICT if own => Ok(()),
        StatusCode::NOT_FOUND if own => Err(CallError::Refused {
            kind: Kind::RecordNotFound,
            message: "the provider does not know this person".to_owned(),
        }),
        _ => successful(mapping, call, answer).map(drop),
    }
}

fn missing<T>(name: &str) -> Result<T, CallError> {
    Err(CallError::Refused {
        kind: Kind::UnsupportedByProvider,
        message: format!("the account's mapping has no api.{name}"),
    })
}

pub(super) async fn edit(
    mapping: &Mapping,
    call: &Call<'_>,
    message: &SentMessage<'_>,
    text: &str,
) -> Result<(), CallError> {
    let Some(map) = &mapping.api.edit else { return missing("edit") };
    let values = change(mapping, call, message).text(Slot::Text, Some(text));
    made(mapping, call, map, &values).await.map(drop)
}

pub(super) async fn delete(
    mapping: &Mapping,
    call: &Call<'_>,
    message: &SentMessage<'_>,
) -> Result<(), CallError> {
    let Some(map) = &mapping.api.delete else { return missing("delete") };
    made(mapping, call, map, &change(mapping, call, message)).await.map(drop)
}

/// Largest file that goes out in base64, bytes: it is in memory as a whole, and a third larger on the way.
const BASE64_MAX: u64 = 16 * 1024 * 1024;

pub(super) async fn upload(
    mapping: &Mapping,
    call: &Call<'_>,
    file: Upload,
) -> Result<Uploaded, CallError> {
    let Some(map) = &mapping.api.upload else { return missing("upload") };
    let refused = |kind, message: String| CallError::Refused { kind, message };
    let Upload { filename, mimetype, size, body } = file;
    let mimetype = crate::documented_mimetype(&mimetype);
    let values = Values::default()
        .text(Slot::Filename, Some(&filename))
        .text(Slot::Mimetype, Some(mimetype))
        .text(Slot::ChannelId, call.channel_id);
    let request = match &map.form {
        UploadForm::Raw => prepared(mapping, call, &map.call, &values)?
            .header(header::CONTENT_TYPE, mimetype)
            .header(header::CONTENT_LENGTH, size)
            .body(body),
        UploadForm::Form { field, fields } => {
            let part = Part::stream_with_length(body, size)
                .file_name(filename.clone())
                .mime_str(mimetype)
                .map_err(|_| {
                    let why = "the file's media type is none".to_owned();
                    refused(Kind::MediaTypeUnsupported, why)
                })?;
            let form = fields
                .iter()
                .filter_map(|(name, value)| Some((name.clone(), value.fill(&values)?)))
                .fold(Form::new(), |form, (name, value)| form.text(name, value));
            prepared(mapping, call, &map.call, &values)?.multipart(form.part(field.clone(), part))
        }
        UploadForm::Base64 => {
            if size > BASE64_MAX {
                let why = format!(
                    "this provider is given files in base64, at most {} MiB; send a link instead",
                    BASE64_MAX / (1024 * 1024)
                );
                return Err(refused(Kind::MediaTooLarge, why));
            }
            let bytes = body.collect().await.map_err(|_| unavailable("the file broke off"))?;
            let data = STANDARD.encode(bytes.to_bytes());
            let values = values.text(Slot::Data, Some(&data));
            request(mapping, call, &map.call, &values)?
        }
    };
    let answer = body::read(&answered(mapping, call, request).await?).unwrap_or(Value::Null);
    let id = map
        .id
        .text(&answer)
        .filter(|id| id.len() <= FILE_MAX_BYTES)
        .ok_or_else(|| unavailable(&format!("the answer names no file at {}", map.id)))?;
    Ok(Uploaded { id, keeps: map.keeps })
}

/// Longest id or address that a file is named by.
const FILE_MAX_BYTES: usize = 2048;

fn home(mapping: &Mapping, call: &Call<'_>) -> Result<Url, Impossible> {
    let base = call.base_url.filter(|base| !base.trim().is_empty()).ok_or_else(|| {
        Impossible::new(
            AccountState::Disconnected,
            "the account has no base URL; enter the address of the provider's API",
        )
    })?;
    let segments = mapping.api.base_path.fill(&Values::default()).unwrap_or_default();
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    join(base, &segments)
        .map_err(|unusable| Impossible::new(AccountState::Disconnected, unusable.as_str()))
}

fn address(
    mapping: &Mapping,
    call: &Call<'_>,
    map: &CallMap,
    values: &Values<'_>,
) -> Result<Url, Impossible> {
    let segments = map.path.fill(values).ok_or_else(|| {
        Impossible::new(
            AccountState::Disconnected,
            "the path of the mapping needs a value that this account or message does not have",
        )
    })?;
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let home = home(mapping, call)?;
    join(home.as_str(), &segments)
        .map_err(|unusable| Impossible::new(AccountState::Disconnected, unusable.as_str()))
}

/// A call without its body.
fn prepared(
    mapping: &Mapping,
    call: &Call<'_>,
    map: &CallMap,
    values: &Values<'_>,
) -> Result<reqwest::RequestBuilder, Impossible> {
    let url = address(mapping, call, map, values)?;
    let (credential_name, credential) = credential(&mapping.api.auth, call.token)?;
    let mut request = call.http.request(map.method.clone(), url);
    // A mapping that puts something else there has a reason.
    let taken =
        credential_name == REQUEST_ID || map.headers.iter().any(|(name, _)| *name == REQUEST_ID);
    if !taken {
        request = identified(request, call.request_id);
    }
    request = request.header(header::ACCEPT, "application/json").timeout(call.timeout);
    for (name, value) in &map.headers {
        let value = value.fill(values).and_then(|value| HeaderValue::try_from(value).ok());
        if let Some(value) = value {
            request = request.header(name, value);
        }
    }
    Ok(request.header(credential_name, credential))
}

pub(super) fn request(
    mapping: &Mapping,
    call: &Call<'_>,
    map: &CallMap,
    values: &Values<'_>,
) -> Result<reqwest::RequestBuilder, Impossible> {
    let request = prepared(mapping, call, map, values)?;
    Ok(match map.body.as_ref().and_then(|body| body.fill(values)) {
        Some(body) => request.json(&body),
        None if map.method == Method::GET => request,
        None => request.json(&Value::Object(serde_json::Map::new())),
    })
}

fn credential(auth: &Auth, token: &Secret) -> Result<(HeaderName, HeaderValue), Impossible> {
    let (name, value) = match auth {
        Auth::Bearer {} => {
            (header::AUTHORIZATION, sensitive(&format!("Bearer {}", token.expose())))
        }
        Auth::Header { name, prefix } => {
            (name.clone(), sensitive(&format!("{prefix}{}", token.expose())))
        }
    };
    let value =
        value.map_err(|unusable| Impossible::new(AccountState::TokenDead, unusable.as_str()))?;
    Ok((name, value))
}

pub(super) fn unavailable(message: &str) -> CallError {
    CallError::Unavailable { kind: Kind::ProviderUnavailable, message: message.to_owned() }
}

/// The body of a successful answer to a call that is safe to repeat.
async fn made(
    mapping: &Mapping,
    call: &Call<'_>,
    map: &CallMap,
    values: &Values<'_>,
) -> Result<Vec<u8>, CallError> {
    answered(mapping, call, request(mapping, call, map, values)?).await
}

async fn answered(
    mapping: &Mapping,
    call: &Call<'_>,
    request: reqwest::RequestBuilder,
) -> Result<Vec<u8>, CallError> {
    successful(mapping, call, reached(request).await?)
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

pub(super) fn successful(
    mapping: &Mapping,
    call: &Call<'_>,
    answer: Answer,
) -> Result<Vec<u8>, CallError> {
    let status: StatusCode = answer.status;
    if status.is_success() {
        return answer.body.map_err(lost);
    }
    Err(match refusal(mapping, answer, call.token) {
        SendError::RateLimited { retry_after } => CallError::RateLimited { retry_after },
        SendError::AccountDown { state, message } => CallError::AccountDown { state, message },
        SendError::Refused { kind, message } => CallError::Refused { kind, message },
        SendError::NotAccepted { message, .. } => unavailable(&message),
        _ => unavailable(&format!("the provider answered {status}")),
    })
}

#[cfg(test)]
mod tests;
