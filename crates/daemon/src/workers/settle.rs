//! Settles sends whose outcome is unknown: by a late answer, by an echo with equal content and a single
//! candidate on both sides, and after `settle_s` by the account's policy.

use std::sync::Arc;
use std::time::Duration;

use tracing::{info, warn};
use wabridge_domain::account::UncertainPolicy;
use wabridge_domain::content::Content;
use wabridge_domain::message::StatusWord;
use wabridge_store::advisory::{Job, try_lock_tx};
use wabridge_store::odoo::message_out::{self, Write};
use wabridge_store::outbox::Uncertain;
use wabridge_store::settle::{self, Echo, Open, trimmed};
use wabridge_store::{StoreError, Tx, attempt, lane, outbox, tx};

use super::dispatch::join_early;
use crate::runtime::{Phase, Runtime};

/// Sends looked at in one round.
const BATCH: i64 = 200;
/// Pause between rounds while something is being settled.
const BUSY: Duration = Duration::from_millis(500);

/// Starts the worker.
pub fn spawn(rt: &Arc<Runtime>) {
    let rt = Arc::clone(rt);
    rt.tasks.clone().spawn(async move { run(&rt).await });
}

async fn run(rt: &Runtime) {
    while rt.wait_for(Phase::can_send).await {
        let wait = match round(rt).await {
            Ok(0) => rt.limits.poll(),
            Ok(_) => BUSY,
            Err(error) => {
                if !matches!(error, StoreError::Unavailable(_)) {
                    warn!(db.name = %rt.name, %error, "unknown outcomes wait: {error}");
                }
                rt.limits.poll()
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = rt.stop.cancelled() => break,
        }
    }
}

/// What one send came to.
#[derive(Debug)]
enum Settled {
    Not,
    Accepted { provider_id: String },
    Held,
    Resend,
}

/// Looks at everything that is uncertain once; how many there are.
async fn round(rt: &Runtime) -> Result<usize, StoreError> {
    let waiting: Result<Vec<Uncertain>, StoreError> =
        tx!(&rt.store, "settle.look", |tx| outbox::uncertain(tx, BATCH).await);
    let waiting = waiting?;
    metrics::gauge!("wabridge_uncertain", "database" => rt.name.clone())
        .set(f64::from(u32::try_from(waiting.len()).unwrap_or(u32::MAX)));
    for job in &waiting {
        if rt.stop.is_cancelled() {
            break;
        }
        // One at a time: a row that Odoo holds delays only itself.
        let settled: Result<Settled, StoreError> =
            tx!(&rt.store, "settle.one", |tx| settle_one(tx, rt, job).await);
        match settled {
            Ok(settled) => tell(rt, job, settled).await?,
            Err(StoreError::Busy(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(waiting.len())
}

async fn settle_one(tx: &Tx<'_>, rt: &Runtime, job: &Uncertain) -> Result<Settled, StoreError> {
    // One daemon settles at a time.
    if !try_lock_tx(tx, Job::Settle).await? {
        return Ok(Settled::Not);
    }
    lane::lock(tx, &job.key).await?;
    let found = match &job.provider_message_id {
        Some(id) => Some(id.clone()),
        None => {
            let echoes = settle::echoes(tx, &job.key).await?;
            let calls = settle::open_calls(tx, &job.key).await?;
            single_candidate(job, &calls, &echoes).map(|echo| echo.message_id.clone())
        }
    };
    if let Some(provider_id) = found {
        return accept(tx, job, provider_id).await;
    }
    if job.for_how_long < Duration::from_secs(rt.limits.settle_s) {
        return Ok(Settled::Not);
    }
    if !attempt::settle(tx, job.attempt_id, None).await? {
        return Ok(Settled::Not);
    }
    let policy = rt
        .accounts()
        .get(job.key.configuration_id)
        .map_or(UncertainPolicy::Hold, |account| account.uncertain_policy);
    match policy {
        UncertainPolicy::Hold => {
            outbox::delete(tx, &[job.id]).await?;
            if !message_out::existing(tx, &[job.message_id]).await?.is_empty() {
                let payload = serde_json::json!({"error_code": "provider_timeout"});
                let (message, account) = (Some(job.message_id), job.key.configuration_id);
                message_out::event(tx, "status_uncertain", message, account, &payload).await?;
            }
            Ok(Settled::Held)
        }
        UncertainPolicy::Resend => {
            outbox::resend(tx, job.id).await?;
            lane::hurry(tx, &job.key).await?;
            Ok(Settled::Resend)
        }
    }
}

/// The echo of this send, where it cannot be another's and no other can be its own.
fn single_candidate<'a>(job: &Uncertain, calls: &[Open], echoes: &'a [Echo]) -> Option<&'a Echo> {
    let content = read(&job.request)?;
    let same_call = |call: &&Open| {
        call.message_id == job.message_id
            || read(&call.request).is_some_and(|other| equal(&other, &content))
    };
    if calls.iter().filter(same_call).count() != 1 {
        return None;
    }
    let mut own = echoes.iter().filter(|echo| {
        echo.first_at >= job.started_at
            && echo.message_type.as_deref() == Some(content.message_type().as_str())
            && trimmed(echo.content.as_deref()) == trimmed(content.body())
    });
    match (own.next(), own.next()) {
        (Some(echo), None) => Some(echo),
        _ => None,
    }
}

fn read(request: &serde_json::Value) -> Option<Content> {
    serde_json::from_value(request.clone()).ok()
}

fn equal(a: &Content, b: &Content) -> bool {
    a.message_type() == b.message_type() && trimmed(a.body()) == trimmed(b.body())
}

async fn accept(tx: &Tx<'_>, job: &Uncertain, provider_id: String) -> Result<Settled, StoreError> {
    let locked = message_out::try_lock(tx, &[job.message_id]).await?;
    let Some(row) = locked.first() else {
        if message_out::existing(tx, &[job.message_id]).await?.is_empty() {
            attempt::settle(tx, job.attempt_id, Some(&provider_id)).await?;
            outbox::delete(tx, &[job.id]).await?;
            return Ok(Settled::Accepted { provider_id });
        }
        // Odoo holds it: next round.
        return Ok(Settled::Not);
    };
    let wanted = [(job.key.configuration_id, provider_id.as_str(), job.message_id)];
    let Some(twins) = message_out::twins(tx, &wanted).await? else { return Ok(Settled::Not) };
    if !attempt::settle(tx, job.attempt_id, Some(&provider_id)).await? {
        return Ok(Settled::Not);
    }
    let mut facts = row.facts;
    let word = job.word.as_deref().and_then(StatusWord::parse).unwrap_or(StatusWord::Pending);
    facts.note(word, row.now);
    if let Some((twin, known)) = twins.get(&job.message_id) {
        facts = super::dispatch::earliest(facts, known);
        message_out::absorb(tx, *twin, job.message_id).await?;
    }
    let write = Write {
        id: job.message_id,
        message_id: Some(provider_id.clone()),
        facts,
        error_code: None,
        error_message: None,
    };
    message_out::write(tx, &[write]).await?;
    outbox::delete(tx, &[job.id]).await?;
    lane::hurry(tx, &job.key).await?;
    Ok(Settled::Accepted { provider_id })
}

async fn tell(rt: &Runtime, job: &Uncertain, settled: Settled) -> Result<(), StoreError> {
    let (id, account) = (job.message_id, job.key.configuration_id);
    let word = match settled {
        Settled::Not => return Ok(()),
        Settled::Accepted { provider_id } => {
            if join_early(rt, &[(account, provider_id)]).await? {
                rt.wakes.events.notify_one();
            }
            "accepted"
        }
        Settled::Held => {
            rt.wakes.events.notify_one();
            "held"
        }
        Settled::Resend => "resend",
    };
    metrics::counter!("wabridge_settled_total", "database" => rt.name.clone(), "result" => word)
        .increment(1);
    info!(
        db.name = %rt.name,
        message.id = id,
        account.id = account,
        settled = word,
        "message {id}, whose outcome was unknown, is settled: {word}"
    );
    rt.live.changed(account, "whatsapp.message", [id]);
    rt.sends.tell([id]);
    rt.wakes.outbox.notify_one();
    Ok(())
}

#[cfg(test)]
mod tests {
    use wabridge_domain::content::Text;

    use super::*;

    fn at(second: i64) -> jiff::Timestamp {
        jiff::Timestamp::from_second(second).unwrap()
    }

    fn request(body: &str) -> serde_json::Value {
        let text = Text { body: body.into(), preview: None, mentions: vec![] };
        serde_json::to_value(Content::text(text).unwrap()).unwrap()
    }

    fn job(body: &str) -> Uncertain {
        Uncertain {
            id: 1,
            key: lane::Key::new(1, "c"),
            message_id: 10,
            uid: 1,
            request: request(body),
            for_how_long: Duration::ZERO,
            attempt_id: 5,
            started_at: at(100),
            provider_message_id: None,
            word: None,
        }
    }

    fn echo(id: &str, body: &str, second: i64) -> Echo {
        Echo {
            message_id: id.into(),
            message_type: Some("text".into()),
            content: Some(body.into()),
            first_at: at(second),
        }
    }

    fn found(job: &Uncertain, others: &[(i32, &str)], echoes: &[Echo]) -> Option<String> {
        let mut calls = vec![Open { message_id: job.message_id, request: job.request.clone() }];
        calls.extend(
            others.iter().map(|(id, body)| Open { message_id: *id, request: request(body) }),
        );
        single_candidate(job, &calls, echoes).map(|echo| echo.message_id.clone())
    }

    #[test]
    fn one_echo_of_one_call() {
        let echoes = [echo("a", "hello ", 101), echo("b", "other", 101)];
        assert_eq!(found(&job("hello"), &[(11, "bye")], &echoes), Some("a".into()));
    }

    #[test]
    fn anything_ambiguous_settles_nothing() {
        let one = [echo("a", "hello", 101)];
        let two = [echo("a", "hello", 101), echo("b", "hello", 102)];
        assert_eq!(found(&job("hello"), &[(11, "hello")], &one), None, "two calls");
        assert_eq!(found(&job("hello"), &[], &two), None, "two echoes");
        assert_eq!(found(&job("hello"), &[], &[echo("a", "hello", 99)]), None, "before the call");
        assert_eq!(found(&job("hello"), &[], &[]), None);
        let mut image = echo("a", "hello", 101);
        image.message_type = Some("image".into());
        assert_eq!(found(&job("hello"), &[], &[image]), None, "another type");
    }
}
