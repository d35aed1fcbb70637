//! The one transaction of door (a). Callers that come while one is under way share the next: what it costs is
//! mostly the number of its statements, not of its sends.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use futures_util::{StreamExt, stream, try_join};
use jiff::Timestamp;
use wabridge_domain::ProviderKind;
use wabridge_domain::error::Refusal;
use wabridge_store::idempotency::{self, Claim};
use wabridge_store::lane::{self, Key};
use wabridge_store::odoo::message_out;
use wabridge_store::{StoreError, Tx, explain, tx};

use super::enqueue::{self, Placed, Touched};
use super::{Caller, Known, Problem, SendRequest, Target, adopt};
use crate::failpoint;
use crate::runtime::Runtime;

/// Every statement looks a few rows up by their keys: one plan for all calls, by index. To plan each anew costs more than
/// to run it.
const PLANS: &str = "SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off";
/// Several sends wait no longer than this for a row that somebody holds; then each waits for its own rows only.
const PATIENCE_TOGETHER: &str = "; SET LOCAL lock_timeout = '200ms'";
/// Sends that are stored side by side once they could not be stored together.
const SIDE_BY_SIDE: usize = 8;

/// A send that may be stored.
#[derive(Debug)]
pub struct New {
    pub(super) caller: Caller,
    pub(super) request: SendRequest,
    pub(super) fingerprint: Vec<u8>,
    pub(super) target: Target,
}

impl New {
    fn known(&self) -> Known<'_> {
        Known { caller: &self.caller, request: &self.request, fingerprint: &self.fingerprint }
    }

    /// The user and his idempotency key.
    fn key(&self) -> Option<(i32, &str)> {
        Some((self.caller.user.uid, self.request.idempotency_key.as_deref()?))
    }
}

/// The row of a send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    pub id: i32,
    /// Since when it is queued, and at which provider; None where its key stood for a message already.
    pub queued: Option<(Timestamp, ProviderKind)>,
}

/// What became of one send; refused, nothing of it is stored.
pub type Stored = Result<Row, Refusal>;

/// Stores a send, together with those of other callers.
pub(super) async fn together(rt: &Arc<Runtime>, new: New) -> Stored {
    let runtime = Arc::clone(rt);
    let work = move |news| store_of_many(Arc::clone(&runtime), news);
    rt.accepting.ask(new, work).await.unwrap_or_else(|| Err(busy(rt)))
}

fn busy(rt: &Runtime) -> Refusal {
    Problem::Apart.refusal(rt)
}

/// Stores sends of different callers.
async fn store_of_many(rt: Arc<Runtime>, news: Vec<New>) -> Vec<Stored> {
    // Of calls with one key the first is stored, and the others find it.
    let mut keys = HashSet::new();
    let is_first: Vec<bool> =
        news.iter().map(|new| new.key().is_none_or(|key| keys.insert(key))).collect();
    let news: Vec<Arc<New>> = news.into_iter().map(Arc::new).collect();
    let first = news.iter().zip(&is_first).filter(|(_, first)| **first).map(|(new, _)| new);
    let all: Vec<&New> = first.clone().map(AsRef::as_ref).collect();
    let mut stored = match store(&rt, &all).await {
        Some(stored) => stored,
        None => {
            let each: Vec<_> =
                first.map(|new| store_one(Arc::clone(&rt), Arc::clone(new))).collect();
            stream::iter(each).buffered(SIDE_BY_SIDE).collect().await
        }
    }
    .into_iter();
    let mut results = Vec::with_capacity(news.len());
    for (new, first) in news.iter().zip(is_first) {
        let result = if first { stored.next() } else { Some(store_alone(&rt, new).await) };
        results.push(result.unwrap_or_else(|| Err(busy(&rt))));
    }
    results
}

/// Stores sends of one caller in their order; no key stands twice among them. What is wrong with one is its own
/// result.
pub(super) async fn store_in_order(rt: &Arc<Runtime>, news: &[New]) -> Vec<Stored> {
    let all: Vec<&New> = news.iter().collect();
    if let Some(stored) = store(rt, &all).await {
        return stored;
    }
    let mut stored = Vec::with_capacity(news.len());
    for new in all {
        stored.push(store_alone(rt, new).await);
    }
    stored
}

async fn store_one(rt: Arc<Runtime>, new: Arc<New>) -> Stored {
    store_alone(&rt, &new).await
}

async fn store_alone(rt: &Arc<Runtime>, new: &New) -> Stored {
    let stored = store(rt, &[new]).await;
    stored.and_then(|mut stored| stored.pop()).unwrap_or_else(|| Err(busy(rt)))
}

/// Stores sends in one transaction, in their order. None when one of several is in the way of the others: the
/// database refuses it, or somebody holds its rows. Nothing is stored then.
async fn store(rt: &Arc<Runtime>, news: &[&New]) -> Option<Vec<Stored>> {
    if news.is_empty() {
        return Some(vec![]);
    }
    let mut rights = adopt::Rights::default();
    let stored = store_with(rt, news, &mut rights).await;
    rights.tidy(rt).await;
    match stored {
        Ok(stored) => Some(stored),
        Err(Problem::Apart) => None,
        Err(problem) => Some(vec![Err(problem.refusal(rt)); news.len()]),
    }
}

async fn store_with(
    rt: &Arc<Runtime>,
    news: &[&New],
    rights: &mut adopt::Rights,
) -> Result<Vec<Stored>, Problem> {
    let accounts: BTreeSet<i32> = news.iter().map(|new| new.target.account.id).collect();
    // Once more for each set of users and files whose rows stand before ours: a handful of rounds on the busiest
    // chat.
    let mut problem = Problem::UnknownUsers(vec![]);
    for round in 0..5 {
        // Mostly nothing stands before ours, and nothing is to be known of it.
        if round > 0 {
            for account in &accounts {
                rights.learn_account(rt, *account).await?;
            }
        }
        let known = &*rights;
        let stored: Result<(Vec<Stored>, Touched), Problem> = tx!(&rt.store, "send.accept", |tx| {
            let stored = Storing { rt, news, rights: known }.run(tx).await;
            stored.map_err(|problem| if news.len() > 1 { apart(problem) } else { problem })
        });
        match stored {
            Ok((stored, touched)) => {
                touched.tell(rt);
                return Ok(stored);
            }
            Err(Problem::UnknownUsers(users)) => {
                for account in &accounts {
                    rights.learn(rt, *account, &users).await?;
                }
                problem = Problem::UnknownUsers(users);
            }
            Err(Problem::Unprepared(rows)) => {
                rights.prepare(rt, &rows).await?;
                problem = Problem::Unprepared(rows);
            }
            Err(problem) => return Err(problem),
        }
    }
    Err(problem)
}

/// What one of several may have caused.
fn apart(problem: Problem) -> Problem {
    match problem {
        Problem::Store(StoreError::Busy(_) | StoreError::Refused(_)) => Problem::Apart,
        problem => problem,
    }
}

struct Storing<'a> {
    rt: &'a Runtime,
    news: &'a [&'a New],
    rights: &'a adopt::Rights,
}

impl Storing<'_> {
    /// Two waves of statements, each on its way at once; what one of them depends on is on the way before it, and
    /// the database takes them in turn.
    async fn run(&self, tx: &Tx<'_>) -> Result<(Vec<Stored>, Touched), Problem> {
        let rt = self.rt;
        // A statement that is not prepared yet would go out later than those behind it.
        for sql in [idempotency::DRAW, lane::LOCK_ALL, message_out::INSERT] {
            tx.prepare_cached(sql).await.map_err(StoreError::from)?;
        }
        let targets: Vec<&Target> = self.news.iter().map(|new| &new.target).collect();
        let keys: BTreeSet<Key> = targets.iter().map(|target| target.key()).collect();
        let keys: Vec<Key> = keys.into_iter().collect();
        let mut touched = Touched::default();
        // The lanes before anything is looked at: from here on nobody else puts anything behind these chats.
        let ((), drawn, (), rows, placed) = try_join!(
            self.settings(tx),
            self.draw(tx),
            lane::lock_all(tx, &keys),
            adopt::committed(tx, rt, &keys),
            enqueue::place(tx, rt.clock.as_ref(), &targets, &mut touched),
        )?;
        failpoint::hit(&rt.name, "enqueue.lane_locked").await;
        let known = self.known(tx, &drawn).await?;
        touched.append(adopt::adopt_chats(tx, rt, self.rights, &keys, &rows).await?);
        let open = |n: &usize| known[*n].is_none();
        let open: Vec<usize> = (0..self.news.len()).filter(open).collect();
        let news: Vec<&New> = open.iter().map(|n| self.news[*n]).collect();
        let ids: Vec<i32> = open.iter().map(|n| drawn[*n].0).collect();
        let placed: Vec<Placed> = open.iter().map(|n| placed[*n]).collect();
        let times = if news.is_empty() {
            vec![]
        } else {
            let stored = enqueue::store(tx, &news, &ids, &placed, &mut touched);
            try_join!(stored, note(tx, &news, &ids))?.0
        };
        failpoint::hit(&rt.name, "enqueue.before_commit").await;
        let mut made =
            news.iter().zip(ids).zip(times).map(|((new, id), at)| {
                Ok(Row { id, queued: Some((at, new.target.account.provider)) })
            });
        let stored = known.into_iter().map(|known| known.or_else(|| made.next()));
        let stored: Option<Vec<Stored>> = stored.collect();
        let stored =
            stored.ok_or_else(|| StoreError::Other("a message was not stored".to_owned()))?;
        Ok((stored, touched))
    }

    async fn settings(&self, tx: &Tx<'_>) -> Result<(), StoreError> {
        let patience = if self.news.len() > 1 { PATIENCE_TOGETHER } else { "" };
        Ok(tx.batch_execute(&format!("{PLANS}{patience}")).await?)
    }

    /// The row id of each send, and whether its key is fresh. A concurrent twin is waited for here.
    async fn draw(&self, tx: &Tx<'_>) -> Result<Vec<(i32, bool)>, StoreError> {
        let claims: Vec<Claim<'_>> = self
            .news
            .iter()
            .map(|new| Claim {
                uid: new.caller.user.uid,
                key: new.request.idempotency_key.as_deref(),
                fingerprint: &new.fingerprint,
            })
            .collect();
        let drawn = idempotency::draw(tx, &claims).await?;
        if drawn.len() < claims.len() {
            return Err(StoreError::Other("the database drew too few ids".to_owned()));
        }
        Ok(drawn)
    }

    /// For each send what its key stands for already.
    async fn known(
        &self,
        tx: &Tx<'_>,
        drawn: &[(i32, bool)],
    ) -> Result<Vec<Option<Stored>>, Problem> {
        let mut known = Vec::with_capacity(self.news.len());
        for (new, (_, fresh)) in self.news.iter().zip(drawn) {
            known.push(match new.key() {
                Some((uid, key)) if !fresh => {
                    let found = idempotency::find(tx, uid, key).await?;
                    // It was collected between the two statements.
                    let gone = || StoreError::Busy("an idempotency key is changing".into());
                    let same = new.known().same(&found.ok_or_else(gone)?);
                    Some(same.map(|id| Row { id, queued: None }))
                }
                _ => None,
            });
        }
        Ok(known)
    }
}

/// Why an account was chosen.
async fn note(tx: &Tx<'_>, news: &[&New], ids: &[i32]) -> Result<(), StoreError> {
    let decisions: Vec<explain::Decision> = news
        .iter()
        .zip(ids)
        .filter(|(new, _)| new.request.configuration_id.is_none())
        .map(|(new, message_id)| {
            let configuration_id = new.target.account.id;
            let what = explain::What::AccountByDefault { configuration_id };
            explain::Decision { message_id: *message_id, what }
        })
        .collect();
    explain::note(tx, &decisions).await
}
