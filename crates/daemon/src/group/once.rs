//! Idempotency keys of calls about groups: the same key is the same call, which is done once.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use wabridge_domain::Kind;
use wabridge_rpc::Failure;
use wabridge_store::group_call::{self, Known};
use wabridge_store::{Session, StoreError, read};

use super::invalid;
use crate::access;
use crate::accounts::Account;
use crate::failpoint;
use crate::runtime::Runtime;
use crate::send::Caller;

/// Longest key, characters.
const KEY_MAX_CHARS: usize = 200;
/// How long a twin waits for the first.
const TWIN_WAITS: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What a key stands for.
pub(super) enum Begun {
    /// A call that was answered.
    Answered(Answered),
    /// This one.
    Open(Box<Once>),
}

/// What was answered.
pub(super) struct Answered {
    known: Known,
    answer: Value,
}

/// A call that may be done now: while this lives nobody else works on its key.
pub(super) struct Once {
    rt: Arc<Runtime>,
    uid: i32,
    /// None for a call without a key, which nobody repeats.
    key: Option<(String, Vec<u8>, Session)>,
    /// Left by a daemon that ended in the middle of it.
    left: Option<Known>,
}

impl Once {
    /// Looks a call up, before anything of it is read. `params` are as they were given; uid and key do not count.
    ///
    /// # Errors
    /// `idempotency_conflict` where the key stands for another call, `locked` where its first call takes too long.
    pub async fn open(
        rt: &Arc<Runtime>,
        caller: &Caller,
        method: &str,
        key: Option<&str>,
        params: &impl Serialize,
    ) -> Result<Begun, Failure> {
        let uid = caller.user.uid;
        let rt = Arc::clone(rt);
        let Some(key) = key.filter(|_| failpoint::guard(&rt.name, "group.keys")) else {
            return Ok(Begun::Open(Box::new(Self { rt, uid, key: None, left: None })));
        };
        if key.is_empty() || key.chars().count() > KEY_MAX_CHARS || key.contains('\0') {
            return Err(invalid("idempotency_key has 1 to 200 characters, none of them NUL"));
        }
        let fingerprint = fingerprint(method, params);
        if let Some(answered) = look(&rt, uid, key, &fingerprint).await?.and_then(Answered::of) {
            return Ok(Begun::Answered(answered));
        }
        let session = hold(&rt, uid, key).await?;
        let known = look(&rt, uid, key, &fingerprint).await?;
        let known = match known.map(|known| Answered::of(known.clone()).ok_or(known)) {
            Some(Ok(answered)) => return Ok(Begun::Answered(answered)),
            Some(Err(left)) => Some(left),
            None => None,
        };
        let key = Some((key.to_owned(), fingerprint, session));
        Ok(Begun::Open(Box::new(Self { rt, uid, key, left: known })))
    }

    /// True where a call with this key may have reached the provider and nobody knows what came of it.
    pub fn was_begun(&self) -> bool {
        self.left.is_some()
    }

    /// What a call that ended in the middle had done.
    pub fn progress(&self) -> Option<&Value> {
        self.left.as_ref()?.progress.as_ref()
    }

    /// To be called before the provider is.
    pub async fn begin(&self, configuration_id: Option<i32>) -> Result<(), Failure> {
        let Some((key, fingerprint, _)) = &self.key else { return Ok(()) };
        let begun = async {
            let client = self.rt.store.client().await?;
            group_call::begin(&client, self.uid, key, fingerprint, configuration_id).await
        };
        Ok(begun.await.map_err(|error| access::store_refusal(&self.rt, &error))?)
    }

    pub async fn note_progress(&self, progress: &Value) {
        let Some((key, ..)) = &self.key else { return };
        let noted = async {
            let client = self.rt.store.client().await?;
            group_call::note_progress(&client, self.uid, key, progress).await
        };
        self.told(noted.await, "how far it came");
    }

    /// Nothing was done: the same key may be tried again.
    pub async fn forget(&self) {
        let Some((key, ..)) = &self.key else { return };
        let forgotten = async {
            let client = self.rt.store.client().await?;
            group_call::forget(&client, self.uid, key).await
        };
        self.told(forgotten.await, "that nothing was done");
    }

    /// Keeps the answer for whoever asks again. Without the database the next one is told that it is unknown.
    pub async fn finish(&self, answer: &impl Serialize) {
        self.answer(json!({ "data": answer })).await;
    }

    /// As [`Once::finish`], for a call whose outcome stays unknown.
    pub async fn fail(&self, failure: &Failure) {
        let refusal = &failure.refusal;
        let error = json!({"kind": refusal.kind, "message": refusal.message});
        self.answer(json!({ "error": error })).await;
    }

    async fn answer(&self, answer: Value) {
        let Some((key, ..)) = &self.key else { return };
        let kept = async {
            let client = self.rt.store.client().await?;
            group_call::finish(&client, self.uid, key, &answer).await
        };
        self.told(kept.await, "its answer");
    }

    fn told(&self, result: Result<(), StoreError>, what: &str) {
        if let Err(error) = result {
            tracing::warn!(
                db.name = %self.rt.name, user.id = self.uid, %error,
                "{what} could not be kept with the key of a call about groups: {error}"
            );
        }
    }
}

impl Answered {
    fn of(mut known: Known) -> Option<Self> {
        let answer = known.answer.take()?;
        Some(Self { known, answer })
    }

    /// The account of the first call, where the user may still use it.
    pub async fn account(&self, rt: &Runtime, caller: &Caller) -> Result<Arc<Account>, Failure> {
        let id = self.known.configuration_id;
        Ok(access::account_for(rt, &caller.user, id, None).await?)
    }

    pub fn progress(&self) -> Option<&Value> {
        self.known.progress.as_ref()
    }

    /// The answer as it was given.
    ///
    /// # Errors
    /// The refusal that was answered.
    pub fn data<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        if let Some(error) = self.answer.get("error") {
            let kind = error.get("kind").and_then(|kind| serde_json::from_value(kind.clone()).ok());
            let message = error.get("message").and_then(Value::as_str).unwrap_or_default();
            return Err(Failure::new(kind.unwrap_or(Kind::ProviderTimeout), message));
        }
        let data = self.answer.get("data").cloned().unwrap_or_default();
        serde_json::from_value(data).map_err(|_| {
            let why = "another version of the bridge answered this call; use another key";
            Failure::new(Kind::IdempotencyConflict, why)
        })
    }
}

async fn look(
    rt: &Runtime,
    uid: i32,
    key: &str,
    fingerprint: &[u8],
) -> Result<Option<Known>, Failure> {
    let found: Result<Option<Known>, StoreError> =
        read!(&rt.store, "group.look_up", |client| group_call::find(client, uid, key).await);
    match found.map_err(|error| access::store_refusal(rt, &error))? {
        Some(known) if known.fingerprint != fingerprint => Err(Failure::new(
            Kind::IdempotencyConflict,
            "this idempotency_key was used for a call with other content; use a new key for a new call",
        )),
        known => Ok(known),
    }
}

/// A connection that holds the key.
async fn hold(rt: &Runtime, uid: i32, key: &str) -> Result<Session, Failure> {
    let session = rt.store.session().await.map_err(|error| access::store_refusal(rt, &error))?;
    let end = tokio::time::Instant::now() + TWIN_WAITS;
    loop {
        let held = group_call::try_hold(&session, uid, key).await;
        if held.map_err(|error| access::store_refusal(rt, &error))? {
            return Ok(session);
        }
        if tokio::time::Instant::now() >= end {
            let why = "a call with this idempotency_key is still at work; ask again in a moment";
            return Err(Failure::new(Kind::Locked, why));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// SHA-256 over method and parameters, as they were given.
fn fingerprint(method: &str, params: &impl Serialize) -> Vec<u8> {
    let mut params = serde_json::to_value(params).expect("parameters have string keys only");
    if let Some(fields) = params.as_object_mut() {
        fields.remove("uid");
        fields.remove("idempotency_key");
    }
    Sha256::digest(format!("{method}\n{params}").as_bytes()).to_vec()
}
