//! Fetches the files of messages: at once, from several daemons at a time, until they are here or surely gone.
//!
//! A file is claimed for a lease that is renewed while bytes come in, so that the work of a daemon that died is
//! taken up by another. First by the link of the webhook; where that does not work, and at every later try,
//! by a fresh one of the provider.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;
use wabridge_domain::event::MediaRef;
use wabridge_domain::media::MediaKind;
use wabridge_domain::{Secret, media as told};
use wabridge_providers::{Call, CallError};
use wabridge_store::media::{self, Job};
use wabridge_store::odoo::media::Facts;
use wabridge_store::{StoreError, tx};

use crate::accounts::Account;
use crate::media::blobs::{BlobError, Written};
use crate::media::download::{Downloader, Failed};
use crate::media::{Trouble, discard, examine, folder, lost};
use crate::runtime::{Phase, Runtime};

/// Longest wait between two tries.
const WAIT_MAX: Duration = Duration::from_secs(3600);
/// Wait while our own store or the database cannot take it: costs no try.
const WAIT_FOR_US: Duration = Duration::from_secs(30);
/// A transfer without a single byte for so long is broken off.
const IDLE: Duration = Duration::from_secs(30);
/// Blobs, rows and unfinished writes without use are kept for so long.
const ORPHAN_AGE: Duration = Duration::from_secs(24 * 3600);
const COLLECT_EVERY: Duration = Duration::from_secs(600);
const COLLECT_ROUND: i64 = 500;

/// Starts the loops.
pub fn spawn(rt: &Arc<Runtime>) {
    rt.tasks.spawn(run(Arc::clone(rt)));
    let rt = Arc::clone(rt);
    rt.tasks.clone().spawn(async move { collect(&rt).await });
}

async fn run(rt: Arc<Runtime>) {
    let slots = Arc::new(Semaphore::new(rt.media.settings.concurrency));
    // A copy of a database asks nobody for files.
    while rt.wait_for(Phase::can_send).await {
        if let Err(error) = round(&rt, &slots).await
            && !matches!(error, StoreError::Unavailable(_))
        {
            tracing::warn!(db.name = %rt.name, %error, "files of database {} are fetched later: {error}", rt.name);
        }
        tokio::select! {
            () = rt.wakes.media.notified() => {}
            () = tokio::time::sleep(rt.limits.poll()) => {}
            () = rt.stop.cancelled() => return,
        }
    }
}

fn lease(rt: &Runtime) -> Duration {
    Duration::from_secs(rt.limits.lease_s)
}

/// Claims as many files as there are free slots, and starts them.
async fn round(rt: &Arc<Runtime>, slots: &Arc<Semaphore>) -> Result<(), StoreError> {
    let room = slots.available_permits();
    if room == 0 || rt.stop.is_cancelled() {
        return Ok(());
    }
    let client = rt.store.client().await?;
    let jobs = media::claim(&client, i64::try_from(room).unwrap_or(1), lease(rt)).await?;
    drop(client);
    for job in jobs {
        let Ok(slot) = Arc::clone(slots).acquire_owned().await else { return Ok(()) };
        let rt = Arc::clone(rt);
        rt.tasks.clone().spawn(async move {
            fetch(&rt, &job).await;
            drop(slot);
            // Somebody may wait for the slot.
            rt.wakes.media.notify_one();
        });
    }
    Ok(())
}

/// Fetches one file and records what came of it.
async fn fetch(rt: &Runtime, job: &Job) {
    let begin = Instant::now();
    let result = tokio::select! {
        result = attempt(rt, job) => result,
        () = keep(rt, job) => {
            tracing::debug!(db.name = %rt.name, media.id = job.media_id, "file {} is fetched by somebody else by now", job.media_id);
            return;
        }
        // What is under way is given back: somebody else goes on at once.
        () = rt.stop.cancelled() => Err(Outcome::Ours("the daemon stops".into(), Duration::ZERO)),
    };
    let word = match &result {
        Ok(()) => "ready",
        Err(Outcome::Again { .. }) => "retry",
        Err(Outcome::GiveUp { state, .. }) => state,
        Err(Outcome::Ours(..)) => "postponed",
    };
    metrics::counter!("wabridge_media_fetches_total", "database" => rt.name.clone(), "outcome" => word)
        .increment(1);
    metrics::histogram!("wabridge_media_fetch_seconds", "database" => rt.name.clone())
        .record(begin.elapsed().as_secs_f64());
    if let Err(outcome) = result
        && let Err(error) = record(rt, job, outcome).await
    {
        // Its lease runs out, and somebody takes it up again.
        tracing::debug!(db.name = %rt.name, media.id = job.media_id, %error, "what came of file {} is found out again: {error}", job.media_id);
    }
}

/// Renews the lease; returns when the file is somebody else's.
async fn keep(rt: &Runtime, job: &Job) {
    loop {
        tokio::time::sleep(lease(rt) / 3).await;
        let renewed = async { media::renew(&rt.store.client().await?, job, lease(rt)).await }.await;
        match renewed {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                tracing::debug!(db.name = %rt.name, media.id = job.media_id, %error, "the lease of file {} is renewed later: {error}", job.media_id);
            }
        }
    }
}

/// What a try came to, when not to the file.
#[derive(Debug)]
enum Outcome {
    Again {
        reason: String,
        asked: Option<Duration>,
    },
    GiveUp {
        state: &'static str,
        reason: String,
    },
    /// We could not: it costs no try.
    Ours(String, Duration),
}

impl From<Trouble> for Outcome {
    fn from(trouble: Trouble) -> Self {
        Self::Ours(trouble.to_string(), WAIT_FOR_US)
    }
}

impl From<StoreError> for Outcome {
    fn from(error: StoreError) -> Self {
        Trouble::from(error).into()
    }
}

impl From<BlobError> for Outcome {
    fn from(error: BlobError) -> Self {
        Trouble::from(error).into()
    }
}

async fn attempt(rt: &Runtime, job: &Job) -> Result<(), Outcome> {
    let media: MediaRef =
        serde_json::from_value(job.media.clone()).map_err(|error| Outcome::GiveUp {
            state: "failed",
            reason: format!("its reference cannot be read: {error}"),
        })?;
    let accounts = rt.accounts();
    let Some(account) = accounts.get(job.configuration_id) else {
        return Err(Outcome::Ours("its account is not known yet".into(), WAIT_FOR_US));
    };
    let written = download(rt, job, account, &media).await?;
    let location = written.blob.location.clone();
    let kept = store(rt, job, &written, &media).await;
    // Nothing refers to it: the content was there already, or it could not be recorded.
    if !matches!(&kept, Ok(used) if *used == location) {
        discard(rt, &location).await;
    }
    kept.map(drop)
}

/// By the link that came along, then by a fresh one; later tries begin with the latter.
async fn download(
    rt: &Runtime,
    job: &Job,
    account: &Account,
    media: &MediaRef,
) -> Result<Written, Outcome> {
    let adapter =
        account.usable_adapter().map_err(|why| Outcome::Ours(why.to_owned(), WAIT_MAX))?;
    let folder = folder(rt).await?;
    let none = Secret::new("");
    let request_id = format!("media-{}-{}", job.media_id, job.attempts);
    let call = Call {
        http: &rt.http,
        base_url: account.base_url.as_deref(),
        token: account.token.as_ref().unwrap_or(&none),
        channel_id: account.channel_id.as_deref(),
        request_id: &request_id,
        timeout: rt.limits.provider_timeout(),
    };
    let downloader = Downloader {
        own: &rt.http,
        public: &rt.media.public,
        rules: &rt.media.rules,
        blobs: &rt.media.blobs,
        ring: &rt.keys,
        folder: &folder,
        limit: rt.media.settings.limit(MediaKind::of_word(&job.kind)),
        idle: IDLE,
        whole: Duration::from_secs(rt.media.settings.timeout_s),
    };
    let by_link = media.url.is_some() && (job.attempts <= 1 || media.id.is_none());
    let mut first = None;
    if by_link {
        let outcome = match adapter.media_address(&call, media, false).await {
            Ok(address) => match downloader.run(&address).await {
                Ok(written) => return Ok(written),
                Err(failed) => judge(failed),
            },
            Err(error) => no_address(error),
        };
        match outcome {
            // Its size and our own trouble are the same by another link.
            outcome @ (Outcome::Ours(..) | Outcome::Again { .. }) => return Err(outcome),
            Outcome::GiveUp { state: "refused", reason } if media.id.is_none() => {
                return Err(Outcome::GiveUp { state: "refused", reason });
            }
            outcome if media.id.is_none() => return Err(outcome),
            outcome => first = Some(outcome),
        }
    }
    if account.token.is_none() {
        let reason =
            "the account has no usable token; enter it with the wizard \"Set credentials\"";
        return Err(first.unwrap_or(Outcome::Ours(reason.into(), WAIT_MAX)));
    }
    let address = match adapter.media_address(&call, media, true).await {
        Ok(address) => address,
        Err(error) => return Err(no_address(error)),
    };
    downloader.run(&address).await.map_err(judge)
}

fn judge(failed: Failed) -> Outcome {
    match failed {
        Failed::Gone(_) => Outcome::GiveUp {
            state: "failed",
            reason: "the provider does not keep this file any more, or its link has expired".into(),
        },
        Failed::Refused(refused) => {
            Outcome::GiveUp { state: "refused", reason: refused.to_string() }
        }
        Failed::TooLarge { .. } => Outcome::GiveUp { state: "refused", reason: failed.to_string() },
        Failed::Later { message, retry_after } => {
            Outcome::Again { reason: message, asked: retry_after }
        }
        Failed::Store(error) => error.into(),
    }
}

fn no_address(error: CallError) -> Outcome {
    match error {
        CallError::Refused { message, .. } => Outcome::GiveUp { state: "failed", reason: message },
        CallError::Unavailable { message, .. } => Outcome::Again { reason: message, asked: None },
        CallError::RateLimited { retry_after } => {
            Outcome::Again { reason: "the provider asks to slow down".into(), asked: retry_after }
        }
        CallError::AccountDown { message, .. } => Outcome::Again { reason: message, asked: None },
    }
}

/// Records a file that is here; the location that counts.
async fn store(
    rt: &Runtime,
    job: &Job,
    written: &Written,
    media: &MediaRef,
) -> Result<String, Outcome> {
    let said = media.mimetype.as_deref().and_then(told::mimetype);
    let facts: Facts = examine(rt, written, said.as_deref()).await?;
    let missing = lost(rt, &written.blob.checksum).await?;
    let finished: Result<Option<media::Finished>, StoreError> =
        tx!(&rt.store, "media.finish", |tx| {
            media::finish(tx, job, &written.blob, &facts, missing.as_deref()).await
        });
    let Some(finished) = finished? else {
        return Err(Outcome::Ours("somebody else has it".into(), Duration::ZERO));
    };
    tracing::info!(
        db.name = %rt.name, media.id = finished.media_id, size_bytes = written.blob.size,
        "file {} is here", finished.media_id
    );
    tell(rt, finished.media_id, &finished.messages);
    Ok(finished.location)
}

/// Screens that show the file read again.
pub fn tell(rt: &Runtime, media_id: i32, messages: &[(i32, i32)]) {
    for (account, message) in messages {
        rt.live.changed(*account, "whatsapp.message", [*message]);
        rt.live.changed(*account, "whatsapp.media", [media_id]);
    }
}

async fn record(rt: &Runtime, job: &Job, outcome: Outcome) -> Result<(), StoreError> {
    let id = job.media_id;
    match outcome {
        Outcome::Ours(reason, wait) => {
            if !wait.is_zero() {
                tracing::warn!(db.name = %rt.name, media.id = id, "file {id} is fetched later: {reason}");
            }
            media::release(&rt.store.client().await?, job, wait, false).await
        }
        Outcome::Again { reason, asked }
            if u32::try_from(job.attempts).unwrap_or(0) < rt.media.settings.tries =>
        {
            let wait = wait_after(rt, job.attempts, asked);
            tracing::info!(
                db.name = %rt.name, media.id = id, attempt = job.attempts, wait_s = wait.as_secs(),
                "file {id} is tried again in {} s: {reason}", wait.as_secs()
            );
            media::release(&rt.store.client().await?, job, wait, true).await
        }
        Outcome::Again { reason, .. } => {
            give_up(rt, job, "failed", &format!("{reason}; {} tries", job.attempts)).await
        }
        Outcome::GiveUp { state, reason } => give_up(rt, job, state, &reason).await,
    }
}

fn wait_after(rt: &Runtime, attempts: i32, asked: Option<Duration>) -> Duration {
    let steps = u32::try_from(attempts - 1).unwrap_or_default().min(10);
    let own = Duration::from_secs(rt.media.settings.retry_s).saturating_mul(4u32.pow(steps));
    own.max(asked.unwrap_or_default()).min(WAIT_MAX)
}

async fn give_up(rt: &Runtime, job: &Job, state: &str, reason: &str) -> Result<(), StoreError> {
    tracing::warn!(
        db.name = %rt.name, media.id = job.media_id, account.id = job.configuration_id,
        "file {} is {state}: {reason}", job.media_id
    );
    let messages: Result<Option<Vec<(i32, i32)>>, StoreError> =
        tx!(&rt.store, "media.give_up", |tx| media::give_up(tx, job, state, reason).await);
    tell(rt, job.media_id, &messages?.unwrap_or_default());
    Ok(())
}

/// Clears away what nothing refers to: uploads that were never sent, blobs without row, unfinished writes.
async fn collect(rt: &Runtime) {
    while rt.wait_for(Phase::can_send).await {
        if let Err(error) = collect_once(rt, ORPHAN_AGE).await {
            tracing::debug!(db.name = %rt.name, %error, "files without use stay for now: {error}");
        }
        tokio::select! {
            () = tokio::time::sleep(COLLECT_EVERY) => {}
            () = rt.stop.cancelled() => return,
        }
    }
}

/// One round.
///
/// # Errors
/// The database's or the store's.
pub async fn collect_once(rt: &Runtime, age: Duration) -> Result<usize, Trouble> {
    let folder = folder(rt).await?;
    let rows: Result<u64, StoreError> =
        tx!(&rt.store, "media.collect_rows", |tx| media::collect_rows(tx, age).await);
    rows?;
    let mut removed = 0;
    loop {
        let orphans: Result<Vec<String>, StoreError> =
            tx!(&rt.store, "media.collect_blobs", |tx| {
                media::collect_blobs(tx, age, COLLECT_ROUND).await
            });
        let orphans = orphans?;
        // Elsewhere they belong to the database that this one is a copy of.
        for location in orphans.iter().filter(|location| folder.holds(location)) {
            rt.media.blobs.remove(location).await?;
        }
        removed += orphans.len();
        if orphans.is_empty() {
            break;
        }
    }
    // Written, and then the daemon died before it was recorded.
    for some in rt.media.blobs.older_than(&folder, age).await?.chunks(1000) {
        let unknown = media::unknown_locations(&rt.store.client().await?, some).await?;
        for location in &unknown {
            rt.media.blobs.remove(location).await?;
        }
        removed += unknown.len();
    }
    removed += rt.media.blobs.tidy(&folder, age).await?;
    if removed > 0 {
        tracing::info!(db.name = %rt.name, files = removed, "{removed} files without use were removed");
    }
    let (waiting, oldest_s) = media::backlog(&rt.store.client().await?).await?;
    metrics::gauge!("wabridge_media_waiting", "database" => rt.name.clone())
        .set(f64::from(i32::try_from(waiting).unwrap_or(i32::MAX)));
    metrics::gauge!("wabridge_media_oldest_waiting_seconds", "database" => rt.name.clone())
        .set(oldest_s);
    Ok(removed)
}
