//! Delivery of webhooks: at least once, in order, bounded.
//!
//! A *target* is one address that an account's owner registered. It has several lanes, and the
//! events of one chat share a lane, so their order holds and a burst in many chats still flows. A
//! webhook counts as delivered when it was answered exactly 200; until then its lane waits and
//! tries again with linear back-off. The real providers wait seconds and longer; here the steps
//! are short so that nobody's test waits.

use crate::{faults::WebhookEffects, state::AccountId, vendor::Question};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{debug, warn};

const LANES: usize = 8;
const LANE_QUEUE: usize = 10_000;
const MAX_PENDING_BYTES: usize = 256 << 20;
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
const BACKOFF_STEP: Duration = Duration::from_millis(200);
const BACKOFF_MAX: Duration = Duration::from_secs(2);
const GIVE_UP_AFTER: Duration = Duration::from_secs(600);

/// Webhooks to be re-ordered gather until this long nothing came, …
const REORDER_QUIET: Duration = Duration::from_millis(1500);
/// … at most this long, …
const REORDER_LONGEST: Duration = Duration::from_secs(5);
/// … at most so many; then they leave backwards.
const REORDER_MOST: usize = 32;

/// One webhook call, rendered by its vendor.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    /// The target's name among those of its account.
    pub target: String,
    pub method: Method,
    pub url: String,
    /// Headers of this call alone, as a signature of the body.
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Too old after this long.
    pub max_age: Option<Duration>,
}

/// An address an account's owner registered, with the headers he chose.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub name: String,
    pub headers: HeaderMap,
}

#[derive(Debug, Default)]
struct Gauge {
    pending: AtomicUsize,
    pending_bytes: AtomicUsize,
    delivered: AtomicU64,
    failed_attempts: AtomicU64,
    given_up: AtomicU64,
}

/// Counts a webhook as pending for as long as it lives.
struct Ticket {
    gauge: Arc<Gauge>,
    bytes: usize,
}

impl Ticket {
    fn new(gauge: &Arc<Gauge>, bytes: usize) -> Self {
        gauge.pending.fetch_add(1, Ordering::Relaxed);
        gauge.pending_bytes.fetch_add(bytes, Ordering::Relaxed);
        Self { gauge: Arc::clone(gauge), bytes }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.gauge.pending.fetch_sub(1, Ordering::Relaxed);
        self.gauge.pending_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

struct Parcel {
    delivery: Delivery,
    not_before: Instant,
    born: Instant,
    copies: u32,
    reorder: bool,
    _ticket: Ticket,
}

struct OpenTarget {
    lanes: Vec<mpsc::Sender<Parcel>>,
    headers: Arc<Mutex<HeaderMap>>,
    gone: CancellationToken,
}

/// Owner of all targets and their lanes.
pub(crate) struct Deliverer {
    client: reqwest::Client,
    stop: CancellationToken,
    tasks: TaskTracker,
    targets: Mutex<HashMap<(AccountId, String), OpenTarget>>,
    gauge: Arc<Gauge>,
}

impl Deliverer {
    /// # Errors
    /// The HTTP client cannot be built (no usable trust store).
    pub fn new(stop: CancellationToken, tasks: TaskTracker) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .timeout(ATTEMPT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .tcp_nodelay(true)
            .pool_max_idle_per_host(LANES * 2)
            .build()?;
        Ok(Self { client, stop, tasks, targets: Mutex::default(), gauge: Arc::default() })
    }

    /// Makes these the account's targets. What waits for a target that is gone is dropped; new
    /// headers count for what waits too.
    pub fn set_targets(&self, account: AccountId, wanted: &[Target]) {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        targets.retain(|(owner, name), target| {
            let stays = *owner != account || wanted.iter().any(|wanted| wanted.name == *name);
            if !stays {
                target.gone.cancel();
            }
            stays
        });
        for target in wanted {
            let key = (account, target.name.clone());
            if let Some(open) = targets.get(&key) {
                *open.headers.lock().unwrap_or_else(PoisonError::into_inner) =
                    target.headers.clone();
            } else {
                targets.insert(key, self.open(target.headers.clone()));
            }
        }
    }

    fn open(&self, headers: HeaderMap) -> OpenTarget {
        let headers = Arc::new(Mutex::new(headers));
        let gone = self.stop.child_token();
        let lanes = (0..LANES)
            .map(|_| {
                let (sender, receiver) = mpsc::channel(LANE_QUEUE);
                let lane = Lane {
                    client: self.client.clone(),
                    headers: Arc::clone(&headers),
                    gauge: Arc::clone(&self.gauge),
                };
                let gone = gone.clone();
                self.tasks.spawn(async move {
                    tokio::select! {
                        () = gone.cancelled() => {}
                        () = lane.run(receiver) => {}
                    }
                });
                sender
            })
            .collect();
        OpenTarget { lanes, headers, gone }
    }

    /// Asks at an address; true when it answers 200 with what is expected.
    pub async fn ask(&self, question: &Question) -> bool {
        let Ok(mut url) = reqwest::Url::parse(&question.url) else { return false };
        url.query_pairs_mut().extend_pairs(&question.query);
        match self.client.get(url).send().await {
            Ok(answer) if answer.status() == StatusCode::OK => {
                answer.text().await.is_ok_and(|text| text == question.answer)
            }
            _ => false,
        }
    }

    /// Queues a webhook behind those of the same chat.
    pub fn push(
        &self,
        account: AccountId,
        chat: &impl Hash,
        delivery: Delivery,
        effects: WebhookEffects,
    ) {
        if effects.drop {
            return;
        }
        if self.gauge.pending_bytes.load(Ordering::Relaxed) > MAX_PENDING_BYTES {
            self.lost("too many bytes of webhooks wait");
            return;
        }
        let mut hasher = DefaultHasher::new();
        chat.hash(&mut hasher);
        let lane = (hasher.finish() % LANES as u64) as usize;
        let now = Instant::now();
        let key = (account, delivery.target.clone());
        let parcel = Parcel {
            not_before: now + effects.delay,
            born: now,
            copies: effects.copies,
            reorder: effects.reorder,
            _ticket: Ticket::new(&self.gauge, delivery.body.len()),
            delivery,
        };
        let targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(target) = targets.get(&key) else { return };
        if target.lanes[lane].try_send(parcel).is_err() {
            drop(targets);
            self.lost("the queue of its chat is full");
        }
    }

    /// One try without a queue, as a provider's button "test my webhook" does.
    pub fn push_once(&self, delivery: Delivery) {
        let lane = Lane {
            client: self.client.clone(),
            headers: Arc::default(),
            gauge: Arc::clone(&self.gauge),
        };
        let ticket = Ticket::new(&self.gauge, delivery.body.len());
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                outcome = lane.attempt(&delivery) => {
                    debug!(?outcome, "test webhook tried once");
                }
            }
            drop(ticket);
        });
    }

    fn lost(&self, why: &str) {
        if self.gauge.given_up.fetch_add(1, Ordering::Relaxed).is_multiple_of(1000) {
            warn!("webhook dropped: {why}");
        }
    }

    /// Counts for `/_control/state`: tests wait until nothing is pending.
    pub fn describe(&self) -> Value {
        let gauge = &self.gauge;
        json!({
            "pending": gauge.pending.load(Ordering::Relaxed),
            "delivered": gauge.delivered.load(Ordering::Relaxed),
            "failed_attempts": gauge.failed_attempts.load(Ordering::Relaxed),
            "given_up": gauge.given_up.load(Ordering::Relaxed),
        })
    }
}

struct Lane {
    client: reqwest::Client,
    headers: Arc<Mutex<HeaderMap>>,
    gauge: Arc<Gauge>,
}

impl Lane {
    async fn run(self, mut queue: mpsc::Receiver<Parcel>) {
        let mut pen: Vec<Parcel> = Vec::new();
        let mut newest = Instant::now();
        loop {
            let next = match pen.first() {
                None => queue.recv().await,
                Some(oldest) => {
                    let ripe = (newest + REORDER_QUIET).min(oldest.born + REORDER_LONGEST);
                    tokio::select! {
                        next = queue.recv(), if pen.len() < REORDER_MOST => next,
                        () = sleep_until(ripe) => {
                            self.empty(&mut pen).await;
                            continue;
                        }
                    }
                }
            };
            let Some(parcel) = next else { break };
            if parcel.reorder {
                newest = Instant::now();
                pen.push(parcel);
                if pen.len() >= REORDER_MOST {
                    self.empty(&mut pen).await;
                }
            } else {
                self.deliver(parcel).await;
            }
        }
        self.empty(&mut pen).await;
    }

    /// Delivers what was held back, newest first.
    async fn empty(&self, pen: &mut Vec<Parcel>) {
        while let Some(parcel) = pen.pop() {
            self.deliver(parcel).await;
        }
    }

    async fn deliver(&self, parcel: Parcel) {
        sleep_until(parcel.not_before).await;
        for _ in 0..=parcel.copies {
            self.deliver_one(&parcel).await;
        }
    }

    /// Tries until the answer is 200, or it makes no sense any more.
    async fn deliver_one(&self, parcel: &Parcel) {
        let give_up_after =
            parcel.delivery.max_age.map_or(GIVE_UP_AFTER, |age| age.min(GIVE_UP_AFTER));
        let began = Instant::now();
        for failures in 1u32.. {
            match self.attempt(&parcel.delivery).await {
                Ok(()) => {
                    self.gauge.delivered.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                Err(why) => {
                    self.gauge.failed_attempts.fetch_add(1, Ordering::Relaxed);
                    if failures == 1 || failures.is_multiple_of(30) {
                        warn!(webhook.failures = failures, "webhook not delivered: {why}");
                    }
                }
            }
            let pause = backoff(failures);
            if began.elapsed() + pause > give_up_after {
                self.gauge.given_up.fetch_add(1, Ordering::Relaxed);
                warn!("webhook given up after {failures} tries");
                return;
            }
            sleep(pause).await;
        }
    }

    /// One call. The words of an error name neither the address (its path is a secret) nor content.
    async fn attempt(&self, delivery: &Delivery) -> Result<(), String> {
        let mut headers = HeaderMap::new();
        headers
            .insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
        headers.extend(self.headers.lock().unwrap_or_else(PoisonError::into_inner).clone());
        headers.extend(delivery.headers.clone());
        let sent = self
            .client
            .request(delivery.method.clone(), delivery.url.as_str())
            .headers(headers)
            .body(delivery.body.clone())
            .send()
            .await;
        let mut response = sent.map_err(|error| error.without_url().to_string())?;
        let status = response.status();
        // Read to the end, within reason, so that the connection can be used again.
        let mut read = 0;
        while let Ok(Some(chunk)) = response.chunk().await {
            read += chunk.len();
            if read > 64 << 10 {
                break;
            }
        }
        if status == StatusCode::OK { Ok(()) } else { Err(format!("answered {status}")) }
    }
}

/// The pause after so many failures in a row: linear, as WHAPI does, but in small steps.
fn backoff(failures: u32) -> Duration {
    BACKOFF_STEP.saturating_mul(failures).min(BACKOFF_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_is_linear_and_capped() {
        assert_eq!(backoff(1), Duration::from_millis(200));
        assert_eq!(backoff(3), Duration::from_millis(600));
        assert_eq!(backoff(50), Duration::from_secs(2));
    }
}
