//! Many sends in one call: in their order, a few dozen a transaction.

use std::collections::HashMap;
use std::sync::Arc;

use wabridge_domain::Kind;
use wabridge_domain::error::Refusal;

use super::{Caller, Checked, New, SendRequest, accept, check, note_refusal};
use crate::runtime::Runtime;

/// Sends of one transaction.
const CHUNK: usize = 40;

/// Stores sends; for each its row id, or why it was refused. What is refused stores nothing and touches no other.
pub async fn send_all(
    rt: &Arc<Runtime>,
    caller: &Caller,
    requests: Vec<Result<SendRequest, Refusal>>,
) -> Vec<Result<i32, Refusal>> {
    let began = tokio::time::Instant::now();
    let mut results = Vec::with_capacity(requests.len());
    let mut requests = requests.into_iter();
    loop {
        let chunk: Vec<_> = requests.by_ref().take(CHUNK).collect();
        if chunk.is_empty() {
            break;
        }
        results.extend(send_some(rt, caller, chunk).await);
    }
    for refusal in results.iter().filter_map(|result| result.as_ref().err()) {
        note_refusal(rt, caller, refusal, began.elapsed()).await;
    }
    results
}

/// Where the result of one send comes from.
enum Place {
    Decided(Result<i32, Refusal>),
    /// Of those that are stored.
    Stored(usize),
}

async fn send_some(
    rt: &Arc<Runtime>,
    caller: &Caller,
    requests: Vec<Result<SendRequest, Refusal>>,
) -> Vec<Result<i32, Refusal>> {
    let mut news: Vec<New> = Vec::with_capacity(requests.len());
    let mut keys: HashMap<String, usize> = HashMap::new();
    let mut places = Vec::with_capacity(requests.len());
    for request in requests {
        let checked = match request {
            Ok(request) => check(rt, caller, request).await,
            Err(refusal) => Err(refusal),
        };
        places.push(match checked {
            Err(refusal) => Place::Decided(Err(refusal)),
            Ok(Checked::Known(id)) => Place::Decided(Ok(id)),
            Ok(Checked::New(new)) => place(&mut news, &mut keys, *new),
        });
    }
    let stored = accept::store_in_order(rt, &news).await;
    places
        .into_iter()
        .map(|place| match place {
            Place::Decided(result) => result,
            Place::Stored(at) => stored[at].clone().map(|row| row.id),
        })
        .collect()
}

/// Two with one key are one message, or the second is refused.
fn place(news: &mut Vec<New>, keys: &mut HashMap<String, usize>, new: New) -> Place {
    if let Some(key) = &new.request.idempotency_key {
        if let Some(at) = keys.get(key) {
            if news[*at].fingerprint == new.fingerprint {
                return Place::Stored(*at);
            }
            return Place::Decided(Err(Refusal::new(
                Kind::IdempotencyConflict,
                "another message of this call has the same idempotency_key",
            )));
        }
        keys.insert(key.clone(), news.len());
    }
    news.push(new);
    Place::Stored(news.len() - 1)
}
