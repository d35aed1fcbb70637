//! The life of one message, put together from what the tables know: `message.explain` and `wabridge explain`.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use wabridge_rpc::explain::{Step, StepKind};
use wabridge_store::explain::{self as store, Attempt, Message, Waiting};
use wabridge_store::{Database, StoreError, tx};

/// Shorter waits are not worth a step: polling, a commit, the account's pace.
const WAIT_S: i64 = 3;
/// Later than this after it was received, a webhook was applied aside.
const ASIDE_S: f64 = 0.5;

/// The steps of a message, oldest first; what it waits for now comes last.
///
/// # Errors
/// The database's.
pub async fn steps(database: &Database, message: &Message) -> Result<Vec<Step>, StoreError> {
    let mut told = Told::default();
    if message.queued_at.is_some() {
        queued(database, message, &mut told).await?;
    } else {
        arrived(database, message, &mut told).await?;
    }
    let client = database.client().await?;
    for (at, kind, parameters) in store::decisions(&client, message.id).await? {
        let known = StepKind::ALL.iter().find(|known| known.as_str() == kind);
        if let (Some(kind), Value::Object(parameters)) = (known, parameters) {
            told.steps.push(Step { at: Some(at), kind: *kind, parameters });
        }
    }
    for (word, at) in &message.facts {
        told.add(Some(*at), status(word), fact(message, word));
    }
    let receipts = store::receipts(&client, message.id).await?;
    for (kind, (count, last)) in [
        (StepKind::MembersDelivered, receipts.delivered),
        (StepKind::MembersRead, receipts.read),
        (StepKind::MembersPlayed, receipts.played),
        (StepKind::MembersFailed, receipts.failed),
    ] {
        if count > 0 {
            told.add(last, kind, json!({"count": count}));
        }
    }
    for (revision, at) in store::revisions(&client, message.id).await? {
        told.add(at, StepKind::Edited, json!({"revision": revision}));
    }
    if let Some(media) = store::media(&client, message.id).await? {
        let at = media.changed_at;
        match media.state.as_deref() {
            Some("ready") => told.add(
                at,
                StepKind::MediaReady,
                json!({"mimetype": media.mimetype, "bytes": media.size}),
            ),
            Some("failed") => told.add(at, StepKind::MediaFailed, json!({"reason": media.reason})),
            Some("refused") => {
                told.add(at, StepKind::MediaRefused, json!({"reason": media.reason}));
            }
            _ => told.add(at, StepKind::MediaWaiting, json!({})),
        }
    }
    for event in store::events(&client, message.id).await? {
        let (at, name) = (event.changed_at, event.kind);
        match event.phase.as_deref() {
            Some("seen") => told.add(at, StepKind::HandlersRan, json!({"event": name})),
            Some("failed") => told.add(
                at,
                StepKind::HandlersFailed,
                json!({"event": name, "attempts": event.attempts}),
            ),
            _ => told.add(
                at,
                StepKind::HandlersWaiting,
                json!({"event": name, "attempts": event.attempts}),
            ),
        }
    }
    // What is so at this moment comes last; among steps of one moment the kind decides.
    told.steps.sort_by_key(|step| (step.at.is_none(), place(step), step.kind));
    Ok(told.steps)
}

/// Where a step stands in time. Statuses are kept in whole seconds: they come after what is known more finely of theirs.
fn place(step: &Step) -> Option<Timestamp> {
    let at = step.at?;
    let status = (StepKind::StatusPending..=StepKind::StatusDeleted).contains(&step.kind);
    if status && at.subsec_nanosecond() == 0 {
        return at.checked_add(SignedDuration::from_millis(999)).ok();
    }
    Some(at)
}

#[derive(Default)]
struct Told {
    steps: Vec<Step>,
}

impl Told {
    fn add(&mut self, at: Option<Timestamp>, kind: StepKind, parameters: Value) {
        let parameters = match parameters {
            Value::Object(parameters) => parameters,
            _ => Map::new(),
        };
        self.steps.push(Step { at, kind, parameters });
    }
}

/// A message that a webhook brought.
async fn arrived(
    database: &Database,
    message: &Message,
    told: &mut Told,
) -> Result<(), StoreError> {
    let found: Result<_, StoreError> =
        tx!(database, "explain.webhook", |tx| store::webhook(tx, message).await);
    let made = message.created_at;
    let mut at = made;
    match found? {
        Some(line) => {
            at = Some(line.received_at);
            told.add(
                at,
                StepKind::Received,
                json!({"journal_id": line.id, "provider": line.provider, "verified_by": line.verified_by}),
            );
            let later =
                made.map_or(0.0, |made| made.duration_since(line.received_at).as_secs_f64());
            if later > ASIDE_S {
                told.add(made, StepKind::SetAside, json!({"seconds": tenths(later)}));
            }
        }
        None => {
            told.add(made, StepKind::ReceivedBefore, json!({"provider": message.provider}));
        }
    }
    match (message.direction.as_deref(), message.origin.as_deref()) {
        (Some("outbound"), Some("phone")) => told.add(at, StepKind::TypedOnPhone, json!({})),
        (Some("outbound"), _) => told.add(at, StepKind::SentElsewhere, json!({})),
        _ => {}
    }
    Ok(())
}

/// A message that we were asked to send.
async fn queued(database: &Database, message: &Message, told: &mut Told) -> Result<(), StoreError> {
    let client = database.client().await?;
    // Of the two the finer one: `queued_at` has whole seconds, and moves when somebody sends again.
    let asked = message.created_at.or(message.queued_at);
    let kind = match message.origin.as_deref() {
        Some("odoo") => StepKind::QueuedByTransaction,
        _ => StepKind::QueuedByCall,
    };
    told.add(asked, kind, json!({"user_id": message.user_id, "request_id": message.request_id}));
    let attempts = store::attempts(&client, message.id).await?;
    let waiting = store::waiting(&client, message.id).await?;
    if let Some(from) = asked {
        let first = attempts.first().map(|attempt| attempt.started_at);
        if let Some(to) = first {
            waited(database, message, from, to, told).await?;
        }
    }
    for attempt in &attempts {
        tell_attempt(attempt, told);
    }
    if let Some(waiting) = waiting {
        tell_waiting(&waiting, told);
    }
    Ok(())
}

/// Why the first call came later than at once.
async fn waited(
    database: &Database,
    message: &Message,
    from: Timestamp,
    to: Timestamp,
    told: &mut Told,
) -> Result<(), StoreError> {
    let seconds = to.duration_since(from).as_secs();
    if seconds < WAIT_S {
        return Ok(());
    }
    let client = database.client().await?;
    let meanwhile = store::meanwhile(&client, message, from, to).await?;
    if meanwhile.of_chat > 0 {
        told.add(Some(to), StepKind::WaitedForChat, json!({"messages": meanwhile.of_chat}));
    }
    for (at, reason, wait_ms) in meanwhile.pauses {
        // Without a length of its own the pause ended at the latest with the call that followed.
        let length = wait_ms.map_or_else(|| to.duration_since(at).as_secs(), |ms| ms / 1000);
        told.add(Some(at), StepKind::AccountPaused, json!({"reason": reason, "seconds": length}));
    }
    told.add(Some(to), StepKind::Waited, json!({"seconds": seconds}));
    Ok(())
}

fn tell_attempt(attempt: &Attempt, told: &mut Told) {
    let number = attempt.number;
    let latency_ms = attempt.latency_ms.map(f64::round);
    let retry_s = attempt
        .retry_ms
        .map(|ms| tenths(f64::from(i32::try_from(ms).unwrap_or(i32::MAX)) / 1000.0));
    let (error_kind, error_message) = (&attempt.error_kind, &attempt.error_message);
    let provider_message_id = &attempt.provider_message_id;
    let ended = attempt.finished_at.or(Some(attempt.started_at));
    let failed = json!({
        "number": number, "latency_ms": latency_ms, "error_kind": error_kind,
        "error_message": error_message, "retry_s": retry_s,
    });
    match attempt.outcome.as_deref() {
        None => told.add(Some(attempt.started_at), StepKind::AttemptOpen, json!({"number": number})),
        Some("accepted") => told.add(
            ended,
            StepKind::AttemptAccepted,
            json!({"number": number, "latency_ms": latency_ms, "provider_message_id": provider_message_id}),
        ),
        Some("not_sent") => told.add(ended, StepKind::AttemptNotSent, failed),
        Some("not_accepted") => told.add(ended, StepKind::AttemptNotAccepted, failed),
        Some("rate_limited") => told.add(ended, StepKind::AttemptRateLimited, failed),
        Some("account_down") => told.add(ended, StepKind::AttemptAccountDown, failed),
        Some("refused") => told.add(ended, StepKind::AttemptRefused, failed),
        Some(_) => {
            // Its end is when it was settled, not when the call ended.
            told.add(Some(attempt.started_at), StepKind::AttemptUncertain, failed);
            if attempt.finished_at.is_some() {
                match provider_message_id {
                    Some(id) => told.add(
                        attempt.finished_at,
                        StepKind::SettledAccepted,
                        json!({"number": number, "provider_message_id": id}),
                    ),
                    None => told.add(
                        attempt.finished_at,
                        StepKind::SettledUnknown,
                        json!({"number": number}),
                    ),
                }
            }
        }
    }
}

fn tell_waiting(waiting: &Waiting, told: &mut Told) {
    if waiting.settling {
        told.add(None, StepKind::WaitsForSettling, json!({}));
    } else if let (false, Some(until)) = (waiting.in_lane, waiting.not_before) {
        told.add(None, StepKind::WaitsForTime, json!({"until": until}));
    } else if let Some(until) = waiting.paused_until {
        told.add(
            None,
            StepKind::WaitsForAccount,
            json!({"reason": waiting.pause_kind, "until": until}),
        );
    } else if waiting.behind {
        told.add(None, StepKind::WaitsForChat, json!({}));
    } else {
        told.add(None, StepKind::WaitsForTurn, json!({}));
    }
}

fn status(word: &str) -> StepKind {
    match word {
        "uncertain" => StepKind::StatusUncertain,
        "pending" => StepKind::StatusPending,
        "sent" => StepKind::StatusSent,
        "delivered" => StepKind::StatusDelivered,
        "read" => StepKind::StatusRead,
        "played" => StepKind::StatusPlayed,
        "failed" => StepKind::StatusFailed,
        "cancelled" => StepKind::StatusCancelled,
        _ => StepKind::StatusDeleted,
    }
}

fn fact(message: &Message, word: &str) -> Value {
    if word == "failed" {
        json!({"error_code": message.error_code, "error_message": message.error_message})
    } else {
        json!({})
    }
}

fn tenths(seconds: f64) -> f64 {
    (seconds * 10.0).round() / 10.0
}
