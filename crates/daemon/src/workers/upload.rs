//! Hands files to providers before the sends that need them: once an account and content, from several daemons at
//! a time, streamed. A send waits in its lane meanwhile; nothing of it is an attempt.

use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::Semaphore;
use wabridge_domain::backoff;
use wabridge_domain::error::{Kind, Refusal};
use wabridge_domain::fitting::{Fit, Seen};
use wabridge_providers::{Call, CallError, Upload, Uploaded};
use wabridge_store::media_at_provider::{self as files, Anew, End, Job};
use wabridge_store::{StoreError, tx};

use crate::accounts::Account;
use crate::media::blobs::{BlobError, Stored};
use crate::media::{Trouble, fitting};
use crate::runtime::{Phase, Runtime};

/// Uploads at a time, a database.
const CONCURRENCY: usize = 4;
/// Tries before a file counts as refused; with the growing waits a quarter of an hour and more.
const TRIES: i32 = 12;
/// A transfer that lasts longer is taken for dead.
const WHOLE: Duration = Duration::from_secs(900);
/// Wait where the account or our own store cannot: costs no try.
const WAIT_FOR_US: Duration = Duration::from_secs(30);

/// Starts the loop.
pub fn spawn(rt: &Arc<Runtime>) {
    rt.tasks.spawn(run(Arc::clone(rt)));
}

async fn run(rt: Arc<Runtime>) {
    let slots = Arc::new(Semaphore::new(CONCURRENCY));
    while rt.wait_for(Phase::can_send).await {
        if let Err(error) = round(&rt, &slots).await
            && !matches!(error, StoreError::Unavailable(_))
        {
            tracing::warn!(db.name = %rt.name, %error, "files of database {} are handed to providers later: {error}", rt.name);
        }
        tokio::select! {
            () = rt.wakes.uploads.notified() => {}
            () = tokio::time::sleep(rt.limits.poll()) => {}
            () = rt.stop.cancelled() => return,
        }
    }
}

async fn round(rt: &Arc<Runtime>, slots: &Arc<Semaphore>) -> Result<(), StoreError> {
    let room = slots.available_permits();
    if room == 0 || rt.stop.is_cancelled() {
        return Ok(());
    }
    let accounts: Vec<i32> = rt.accounts().iter().map(|account| account.id).collect();
    let client = rt.store.client().await?;
    let jobs =
        files::claim(&client, &accounts, i64::try_from(room).unwrap_or(1), WHOLE + WAIT_FOR_US)
            .await?;
    drop(client);
    for job in jobs {
        let Ok(slot) = Arc::clone(slots).acquire_owned().await else { return Ok(()) };
        let rt = Arc::clone(rt);
        rt.tasks.clone().spawn(async move {
            let end = tokio::select! {
                end = upload(&rt, &job) => end,
                // What is under way is given back: somebody else begins anew at once.
                () = rt.stop.cancelled() => End::Again { wait: Duration::ZERO, counted: false },
            };
            record(&rt, &job, &end).await;
            drop(slot);
            rt.wakes.uploads.notify_one();
        });
    }
    Ok(())
}

async fn record(rt: &Runtime, job: &Job, end: &End) {
    let outcome = match end {
        End::Ready { .. } => "ready",
        End::Again { .. } => "retry",
        End::Refused { .. } => "refused",
    };
    metrics::counter!("wabridge_media_uploads_total", "database" => rt.name.clone(), "outcome" => outcome)
        .increment(1);
    let stored: Result<bool, StoreError> =
        tx!(&rt.store, "upload.finish", |tx| files::finish(tx, job, end).await);
    match stored {
        Ok(_) => rt.wakes.outbox.notify_one(),
        // Its claim runs out, and it is uploaded once more.
        Err(error) => {
            tracing::warn!(db.name = %rt.name, account.id = job.configuration_id, %error, "account {}: what came of an upload is lost: {error}", job.configuration_id);
        }
    }
}

async fn upload(rt: &Runtime, job: &Job) -> End {
    let later = |wait, counted| End::Again { wait, counted };
    let accounts = rt.accounts();
    let Some(account) = accounts.get(job.configuration_id) else {
        return later(WAIT_FOR_US, false);
    };
    let (file, anew) = match open(rt, account, job).await {
        Ok(Opened::Here { file, anew }) => (file, anew),
        Ok(Opened::There { id, keeps }) => {
            return End::Ready { provider_id: id, keeps, anew: None };
        }
        Ok(Opened::Refused(Refusal { kind, message })) => {
            return End::Refused { kind: kind.as_str(), message };
        }
        Ok(Opened::Gone) => {
            return End::Refused {
                kind: Kind::InvalidContent.as_str(),
                message: "the file is not kept any more; attach it again".to_owned(),
            };
        }
        Err(error) => {
            tracing::warn!(db.name = %rt.name, account.id = account.id, %error, "account {}: a file to be sent cannot be read: {error}", account.id);
            return later(WAIT_FOR_US, false);
        }
    };
    let size = file.size;
    match call(rt, account, job, file).await {
        Ok(Uploaded { id, keeps }) => {
            tracing::debug!(db.name = %rt.name, account.id = account.id, size_bytes = size, "account {}: a file of {size} bytes lies at the provider", account.id);
            End::Ready { provider_id: id, keeps, anew }
        }
        Err(CallError::RateLimited { retry_after }) => {
            later(retry_after.unwrap_or(WAIT_FOR_US), false)
        }
        Err(CallError::AccountDown { .. }) => later(WAIT_FOR_US, false),
        Err(CallError::Refused { kind, message }) => End::Refused { kind: kind.as_str(), message },
        Err(CallError::Unavailable { kind, message }) if job.attempts >= TRIES => {
            End::Refused { kind: kind.as_str(), message }
        }
        Err(CallError::Unavailable { message, .. }) => {
            tracing::info!(db.name = %rt.name, account.id = account.id, "account {}: an upload is tried again: {message}", account.id);
            let attempts = u32::try_from(job.attempts).unwrap_or(1);
            later(backoff::full_jitter(attempts, &mut StdRng::from_os_rng()), true)
        }
    }
}

/// What is to be handed over.
enum Opened {
    Here {
        file: Upload,
        /// Set where it is not the file itself.
        anew: Option<Anew>,
    },
    /// It lies at the provider already, because it was sent as something else.
    There {
        id: String,
        keeps: Option<Duration>,
    },
    /// It does not fit the provider.
    Refused(Refusal),
    Gone,
}

/// The bytes: as a stream, or a picture that was made to fit.
async fn open(rt: &Runtime, account: &Account, job: &Job) -> Result<Opened, Trouble> {
    let Some(installation) = rt.installation() else { return Ok(Opened::Gone) };
    let client = rt.store.client().await?;
    let Some(blob) = wabridge_store::media::blob(&client, &job.checksum).await? else {
        return Ok(Opened::Gone);
    };
    drop(client);
    let stored = match rt.media.blobs.open(&rt.keys, installation, &blob).await {
        Ok(stored) => stored,
        Err(BlobError::Missing) => return Ok(Opened::Gone),
        Err(error) => return Err(error.into()),
    };
    let size = stored.size();
    let filename = job.filename.clone().unwrap_or_else(|| "file".to_owned());
    let seen = Seen { mimetype: &job.mimetype, size, pixels: job.pixels };
    let head = stored.read(0, fitting::HEAD).await?;
    match fitting::look_closer(account.provider, job.kind, seen, &head) {
        Ok(Fit::AsIs) => {
            if let Some((id, keeps)) = files::as_it_is(&rt.store.client().await?, job).await? {
                return Ok(Opened::There { id, keeps });
            }
            let body = reqwest::Body::wrap_stream(stored.stream(0, size));
            let mimetype = job.mimetype.clone();
            Ok(Opened::Here { file: Upload { filename, mimetype, size, body }, anew: None })
        }
        Ok(Fit::Anew) => anew(rt, account, job, &stored, filename).await,
        Err(refusal) => Ok(Opened::Refused(refusal)),
    }
}

async fn anew(
    rt: &Runtime,
    account: &Account,
    job: &Job,
    stored: &Stored,
    filename: String,
) -> Result<Opened, Trouble> {
    let content = stored.read(0, stored.size()).await?;
    let picture = match fitting::anew(content, &job.mimetype, fitting::Target::default()).await {
        Ok(picture) => picture,
        Err(refusal) => return Ok(Opened::Refused(refusal)),
    };
    let size = picture.content.len() as u64;
    tracing::info!(
        db.name = %rt.name, account.id = account.id, size_bytes = stored.size(), fitted_bytes = size,
        "account {}: a picture of {} bytes was made to fit, {size} bytes", account.id, stored.size()
    );
    let name = filename.rsplit_once('.').map_or(filename.as_str(), |(name, _)| name);
    let filename = format!("{name}{}", picture.ending);
    let mimetype = picture.mimetype.to_owned();
    let anew = Anew { mimetype: mimetype.clone(), filename: filename.clone(), size };
    let body = reqwest::Body::from(picture.content);
    Ok(Opened::Here { file: Upload { filename, mimetype, size, body }, anew: Some(anew) })
}

async fn call(
    rt: &Runtime,
    account: &Account,
    job: &Job,
    file: Upload,
) -> Result<Uploaded, CallError> {
    let refused = |kind, message: &str| CallError::Refused { kind, message: message.to_owned() };
    let adapter = account.adapter().ok_or_else(|| {
        refused(Kind::UnsupportedByProvider, "files cannot be sent through this account")
    })?;
    let token = account.token.as_ref().ok_or(CallError::AccountDown {
        state: wabridge_domain::account::AccountState::TokenDead,
        message: "no usable token is set".to_owned(),
    })?;
    let request_id =
        format!("upload-{}-{}", &job.checksum[..job.checksum.len().min(12)], job.attempts);
    let call = Call {
        http: &rt.http,
        base_url: account.base_url.as_deref(),
        token,
        channel_id: account.channel_id.as_deref(),
        request_id: &request_id,
        timeout: WHOLE,
    };
    adapter.upload(&call, file).await
}
