//! From a verified webhook to a committed one: who sent it ([`sender`]), whose events it holds ([`route`]),
//! and the writers that commit webhooks in groups ([`batcher`]). Why so: `docs/adr/0004-ingest.md`.

pub mod aside;
mod batcher;
mod look;
pub mod publish;
pub mod route;
pub mod sender;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use wabridge_domain::event::What;
use wabridge_store::ingest::Delivery;

use crate::runtime::Runtime;
use aside::Aside;

/// Webhooks that may wait for one batcher; their bytes are bounded apart, so this only bounds tiny ones.
const QUEUE_LENGTH: usize = 16_384;
/// What a waiting webhook costs beside its body.
const OVERHEAD_BYTES: usize = 1024;

/// A webhook could not be committed: the provider shall repeat it later.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotCommitted {
    #[error("too many webhooks wait for a commit")]
    Full,
    #[error("the journal cannot be written")]
    Journal,
}

/// Where webhooks of one database are handed in.
pub struct IngestHandle {
    senders: Vec<mpsc::Sender<Job>>,
    looks: mpsc::Sender<look::Targets>,
    bytes: Arc<Semaphore>,
    /// Whether applying happens at once or aside.
    pub aside: Aside,
}

/// A webhook that waits for its commit.
struct Job {
    delivery: Delivery,
    done: oneshot::Sender<Result<(), NotCommitted>>,
    _bytes: OwnedSemaphorePermit,
}

impl IngestHandle {
    /// Hands a webhook in and waits for its commit.
    ///
    /// # Errors
    /// [`NotCommitted`]; it may have been committed all the same when the connection broke.
    pub async fn commit(&self, delivery: Delivery) -> Result<(), NotCommitted> {
        let size = u32::try_from(delivery.receipt.body.len() + OVERHEAD_BYTES)
            .map_err(|_| NotCommitted::Full)?;
        let bytes =
            Arc::clone(&self.bytes).try_acquire_many_owned(size).map_err(|_| NotCommitted::Full)?;
        let (done, committed) = oneshot::channel();
        let sender = &self.senders[self.batcher_of(&delivery)];
        sender.try_send(Job { delivery, done, _bytes: bytes }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => NotCommitted::Full,
            mpsc::error::TrySendError::Closed(_) => NotCommitted::Journal,
        })?;
        committed.await.unwrap_or(Err(NotCommitted::Journal))
    }

    /// Has messages looked after once more, soon.
    fn look_again(&self, targets: look::Targets) {
        if !targets.is_empty() && self.looks.try_send(targets).is_err() {
            tracing::trace!("early events wait for their sweep");
        }
    }

    /// The same batcher for the same chat, and for statuses of the same message: two transactions seldom meet at
    /// one row.
    fn batcher_of(&self, delivery: &Delivery) -> usize {
        let mut hasher = DefaultHasher::new();
        delivery.receipt.configuration_id.hash(&mut hasher);
        let about = delivery.items.first().and_then(|item| match &item.what {
            What::Status(status) => Some(status.message_id.as_str()),
            what => route::chat_of(what),
        });
        about.hash(&mut hasher);
        let share = self.senders.len() as u64;
        usize::try_from(hasher.finish() % share).expect("the number of batchers is small")
    }
}

/// Starts the batchers of one database.
pub fn start(rt: &Arc<Runtime>) -> IngestHandle {
    let (senders, receivers): (Vec<_>, Vec<_>) =
        (0..rt.limits.batchers.max(1)).map(|_| mpsc::channel(QUEUE_LENGTH)).unzip();
    for (number, receiver) in receivers.into_iter().enumerate() {
        rt.tasks.spawn(batcher::run(Arc::clone(rt), number, receiver));
    }
    let (looks, commits) = mpsc::channel(look::QUEUE_LENGTH);
    rt.tasks.spawn(look::run(Arc::clone(rt), commits));
    IngestHandle {
        senders,
        looks,
        bytes: Arc::new(Semaphore::new(rt.limits.queue_bytes.min(Semaphore::MAX_PERMITS))),
        aside: Aside::default(),
    }
}

/// Starts the batchers and puts the handle where the public listener finds it.
pub fn spawn(rt: &Arc<Runtime>) {
    if rt.ingest.set(start(rt)).is_err() {
        tracing::error!(db.name = %rt.name, "the batchers of database {} were started twice", rt.name);
    }
}
