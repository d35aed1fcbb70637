//! Calls to a custom provider, as its mapping says, and what their answers mean.

use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::Value;
use url::Url;
use wabridge_domain::Secret;
use wabridge_domain::account::AccountState;
use wabridge_domain::content::Content;
use wabridge_domain::error::Kind;
use wabridge_domain::event::MediaRef;
use wabridge_domain::message::StatusWord;
use wabridge_domain::outgoing::{Accepted, Outgoing, SendError};

use super::mapping::{Auth, CallMap, Mapping, Meaning};
use super::pointer::text;
use super::template::Values;
use crate::http::{Answer, Failure, Lost, exchange, join, sensitive, words};
use crate::json::ID_MAX_BYTES;
use crate::{Call, CallError, Health, MediaAddress, ReadMark, body};

/// Why a call cannot even be tried.
struct Impossible {
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
    let unsupported = |message: &str| {
        Err(SendError::Refused { kind: Kind::UnsupportedByProvider, message: message.to_owned() })
    };
    let Content::Text { text: content } = &outgoing.content else {
        return unsupported("this version sends only text by a custom provider");
    };
    let Some(map) = &mapping.api.send_text else {
        return unsupported("the account's mapping has no api.send_text");
    };
    let values = Values {
        chat_id: Some(&outgoing.chat_id),
        phone: mapping.chats.digits(&outgoing.chat_id),
        text: Some(&content.body),
        quoted_id: outgoing.quoted_id.as_deref(),
        reference: Some(&outgoing.reference),
        channel_id: call.channel_id,
        ..Values::default()
    };
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
        word => {
            Ok(Accepted { message_id, word: word.unwrap_or(StatusWord::Pending), chat_id: None })
        }
    }
}

fn uncertain(reason: &str) -> SendError {
    SendError::Uncertain { reason: reason.to_owned() }
}

/// What an answer means that is no success: the mapping's word for its status, else what every HTTP service
/// means by it. Where nothing is sure the call may have taken effect.
fn refusal(mapping: &Mapping, answer: Answer, token: &Secret) -> SendError {
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

fn reason(mapping: &Mapping, answer: &Value, token: &Secret) -> Option<String> {
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
    let values = Values { channel_id: call.channel_id, ..Values::default() };
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
    let values = Values { media_id: Some(id), channel_id: call.channel_id, ..Values::default() };
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
    let values = Values {
        chat_id: Some(read.chat_id),
        phone: mapping.chats.digits(read.chat_id),
        message_id: Some(newest),
        channel_id: call.channel_id,
        ..Values::default()
    };
    made(mapping, call, map, &values).await.map(drop)
}

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

fn request(
    mapping: &Mapping,
    call: &Call<'_>,
    map: &CallMap,
    values: &Values<'_>,
) -> Result<reqwest::RequestBuilder, Impossible> {
    let url = address(mapping, call, map, values)?;
    let mut request = call
        .http
        .request(map.method.clone(), url)
        .header(header::ACCEPT, "application/json")
        .timeout(call.timeout);
    for (name, value) in &map.headers {
        let value = value.fill(values).and_then(|value| HeaderValue::try_from(value).ok());
        if let Some(value) = value {
            request = request.header(name, value);
        }
    }
    let (name, value) = credential(&mapping.api.auth, call.token)?;
    request = request.header(name, value);
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

fn unavailable(message: &str) -> CallError {
    CallError::Unavailable { kind: Kind::ProviderUnavailable, message: message.to_owned() }
}

/// The body of a successful answer to a call that is safe to repeat.
async fn made(
    mapping: &Mapping,
    call: &Call<'_>,
    map: &CallMap,
    values: &Values<'_>,
) -> Result<Vec<u8>, CallError> {
    let lost = |lost: Lost| CallError::Unavailable {
        kind: match lost {
            Lost::TimedOut => Kind::ProviderTimeout,
            Lost::Cut | Lost::TooLong => Kind::ProviderUnavailable,
        },
        message: lost.as_str().to_owned(),
    };
    let answer =
        exchange(request(mapping, call, map, values)?).await.map_err(|failure| match failure {
            Failure::NotWritten(reason) => unavailable(reason),
            Failure::Lost(why) => lost(why),
        })?;
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
