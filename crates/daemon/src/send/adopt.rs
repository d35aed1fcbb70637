//! Door (b): rows that Odoo's transactions committed are taken into the outbox.
//!
//! A row is first understood without touching anything, then its lane is taken, then the row. Whoever holds
//! the lane of a chat is alone with that chat's rows, so their order is the order of their ids, whichever
//! door looks at them first.

mod parameters;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;
use wabridge_domain::error::Refusal;
use wabridge_domain::recipient::Recipient;
use wabridge_domain::{Clock, Kind};
use wabridge_rpc::to::To;
use wabridge_store::lane::{self, Key};
use wabridge_store::odoo::audit_log::{self, Entry};
use wabridge_store::odoo::message_change;
use wabridge_store::odoo::message_out::{self, Rejection};
use wabridge_store::odoo::outbox_in::{self, Row};
use wabridge_store::{StoreError, Tx, idempotency, read, savepoint, tx};

use super::enqueue::{self, Job, Touched};
use super::handed::{self, Handed, Prepared};
use super::target::{self, Target, Wanted};
use super::{Problem, SendRequest, fingerprint, number};
use crate::access;
use crate::accounts::Account;
use crate::failpoint;
use crate::runtime::Runtime;

pub(super) use parameters::recipient;
use parameters::understand;

/// Rows of one adoption.
pub const BATCH: i64 = 100;
/// Committed rows of an account that door (a) looks through at a time for those of its chat.
const LOOK_THROUGH: i64 = 1000;

/// What users may do with accounts, read outside of transactions.
#[derive(Default)]
pub struct Rights {
    known: HashMap<(i32, i32), Result<Arc<Account>, Refusal>>,
    /// Files of rows, by their `whatsapp_media_upload`, kept before the transaction that queues their messages.
    files: HashMap<i32, Result<Prepared, Refusal>>,
}

impl Rights {
    /// Reads the rights of the users whose committed rows an account has.
    pub(super) async fn learn_account(
        &mut self,
        rt: &Runtime,
        configuration_id: i32,
    ) -> Result<(), Refusal> {
        let rows: Result<Vec<Row>, StoreError> = read!(&rt.store, "adopt.look", |client| {
            outbox_in::committed(client, Some(configuration_id), 0, LOOK_THROUGH).await
        });
        let rows = rows.map_err(|error| access::store_refusal(rt, &error))?;
        let users: Vec<i32> = rows.iter().map(uid).collect();
        self.learn(rt, configuration_id, &users).await
    }

    pub(super) async fn learn(
        &mut self,
        rt: &Runtime,
        configuration_id: i32,
        users: &[i32],
    ) -> Result<(), Refusal> {
        for uid in users {
            if self.known.contains_key(&(*uid, configuration_id)) {
                continue;
            }
            let account = access::resolve_account(rt, *uid, Some(configuration_id), None).await;
            if let Err(refusal) = &account
                && refusal.kind.retryable()
            {
                return Err(refusal.clone());
            }
            self.known.insert((*uid, configuration_id), account);
        }
        Ok(())
    }

    /// Keeps the files of rows that have some.
    pub(super) async fn prepare(&mut self, rt: &Runtime, rows: &[Row]) -> Result<(), Refusal> {
        for row in rows {
            // What cannot be understood is refused where it is queued.
            let Ok((request, Some(upload))) = understand(row) else { continue };
            let Some(Ok(account)) = self.of(row) else { continue };
            if self.files.contains_key(&upload) {
                continue;
            }
            let kind = request.content.message_type();
            let prepared = Prepared::of(rt, account.provider, upload, row.message_id, kind).await;
            if let Err(refusal) = &prepared
                && refusal.kind.retryable()
            {
                return Err(refusal.clone());
            }
            self.files.insert(upload, prepared);
            failpoint::hit(&rt.name, "adopt.file_kept").await;
        }
        Ok(())
    }

    /// Removes the files that came to no use; to be called after the commit.
    pub(super) async fn tidy(&self, rt: &Runtime) {
        handed::tidy(rt, self.files.values().flatten()).await;
    }

    fn of(&self, row: &Row) -> Option<&Result<Arc<Account>, Refusal>> {
        self.known.get(&(uid(row), row.configuration_id))
    }
}

/// The user a row is sent for; NULL is the system.
fn uid(row: &Row) -> i32 {
    row.user_id.unwrap_or(access::SYSTEM_UID)
}

/// A row that was understood.
struct Understood {
    target: Target,
    request: SendRequest,
    /// The file that came with it, as a row of `whatsapp_media_upload`.
    upload: Option<i32>,
}

/// Checks one row; a refusal becomes the row's end, a problem of the database the transaction's.
async fn check(
    tx: &Tx<'_>,
    clock: &dyn Clock,
    rights: &Rights,
    account: &Arc<Account>,
    row: &Row,
) -> Result<Understood, Problem> {
    let (mut request, upload) = understand(row)?;
    if let Some(id) = upload {
        let prepared =
            rights.files.get(&id).ok_or_else(|| Problem::Unprepared(vec![row.clone()]))?;
        let checksum = prepared.as_ref().map_err(Refusal::clone)?.checksum();
        let source = handed::Source::Kept(checksum.to_owned());
        request.handed = Some(Handed { source, filename: None, mimetype: None });
    }
    let target = target::find(tx, account, &request.to).await?;
    let wanted = Wanted {
        uid: uid(row),
        content: &request.content,
        reply_to: request.reply_to,
        category: request.category.as_deref(),
        scheduled: request.schedule_at.is_some(),
    };
    target::check(tx, clock, &target, &wanted).await?;
    Ok(Understood { target, request, upload })
}

/// Of committed rows, what is to become of each; rows of users whose rights are unknown end the transaction.
async fn sort_out(
    tx: &Tx<'_>,
    clock: &dyn Clock,
    rights: &Rights,
    rows: &[Row],
) -> Result<Vec<Result<Understood, Refusal>>, Problem> {
    let unknown: HashSet<i32> =
        rows.iter().filter(|row| rights.of(row).is_none()).map(uid).collect();
    if !unknown.is_empty() {
        return Err(Problem::UnknownUsers(unknown.into_iter().collect()));
    }
    let mut sorted = Vec::with_capacity(rows.len());
    let mut unprepared = Vec::new();
    for row in rows {
        let understood = match rights.of(row) {
            Some(Ok(account)) => check(tx, clock, rights, account, row).await,
            Some(Err(refusal)) => Err(refusal.clone().into()),
            None => Err(Problem::UnknownUsers(vec![uid(row)])),
        };
        sorted.push(match understood {
            Ok(understood) => Ok(understood),
            Err(Problem::Refused(refusal)) => Err(refusal),
            Err(Problem::Unprepared(rows)) => {
                unprepared.extend(rows);
                continue;
            }
            Err(problem) => return Err(problem),
        });
    }
    if !unprepared.is_empty() {
        return Err(Problem::Unprepared(unprepared));
    }
    Ok(sorted)
}

/// What door (b) committed for the chats of door (a), which holds their lanes.
pub(super) async fn committed(
    tx: &Tx<'_>,
    rt: &Runtime,
    keys: &[Key],
) -> Result<Vec<Row>, StoreError> {
    let mut rows: Vec<Row> = Vec::new();
    if !failpoint::guard(&rt.name, "enqueue.adopts_first") {
        return Ok(rows);
    }
    // Only rows of these very chats; the worker takes care of the others, and of those that name nobody.
    let accounts: BTreeSet<i32> = keys.iter().map(|key| key.configuration_id).collect();
    for account in accounts {
        let mut after = 0;
        loop {
            let page = outbox_in::committed(tx, Some(account), after, LOOK_THROUGH).await?;
            let full = i64::try_from(page.len()).unwrap_or(i64::MAX) >= LOOK_THROUGH;
            after = page.last().map_or(after, |row| row.id);
            rows.extend(page.into_iter().filter(|row| may_be_of(rt, row, keys)));
            if !full {
                break;
            }
        }
    }
    Ok(rows)
}

/// Door (a) takes along what [`committed`] found.
pub(super) async fn adopt_chats(
    tx: &Tx<'_>,
    rt: &Runtime,
    rights: &Rights,
    keys: &[Key],
    rows: &[Row],
) -> Result<Touched, Problem> {
    let mut touched = Touched::default();
    if rows.is_empty() {
        return Ok(touched);
    }
    let sorted = sort_out(tx, rt.clock.as_ref(), rights, rows).await?;
    for (row, understood) in rows.iter().zip(sorted) {
        if let Ok(understood) = &understood
            && keys.contains(&understood.target.key())
        {
            adopt_row(tx, rt, rights, row, Ok(understood), &mut touched).await?;
        }
    }
    Ok(touched)
}

/// False where a row is certainly of another chat than these; rows named by id are looked up later.
fn may_be_of(rt: &Runtime, row: &Row, keys: &[Key]) -> bool {
    let accounts = rt.accounts();
    let Some(account) = accounts.get(row.configuration_id) else { return false };
    let Some(adapter) = account.adapter() else { return false };
    match recipient(row.recipient.as_deref().unwrap_or_default()) {
        Ok(To::Text(text)) => {
            Recipient::parse(&text, account.country.as_deref()).is_ok_and(|recipient| {
                let own = keys.iter().filter(|key| key.configuration_id == row.configuration_id);
                own.into_iter().any(|key| number::may_be(adapter, &recipient, &key.chat_key))
            })
        }
        Ok(_) => true,
        Err(_) => false,
    }
}

/// What became of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Adopted {
    Done,
    /// Somebody holds its message row: it stays for later.
    Later,
    /// Somebody took it first.
    Gone,
}

/// Takes one row and queues or rejects its message; the caller holds the lane of a row that was understood.
async fn adopt_row(
    tx: &Tx<'_>,
    rt: &Runtime,
    rights: &Rights,
    row: &Row,
    understood: Result<&Understood, &Refusal>,
    touched: &mut Touched,
) -> Result<Adopted, StoreError> {
    savepoint::begin(tx).await?;
    let mut own = Touched::default();
    let outcome = take_row(tx, rt, rights, row, understood, &mut own).await;
    let outcome = match (outcome, understood) {
        (Ok(adopted), _) => Ok(adopted),
        // One bad row blocks no other: it fails visibly.
        (Err(StoreError::Refused(why)), Ok(_)) => {
            tracing::warn!(db.name = %rt.name, message.id = row.message_id, "message {} cannot be queued: {why}", row.message_id);
            savepoint::undo(tx).await?;
            savepoint::begin(tx).await?;
            own = Touched::default();
            let refusal = Refusal::new(Kind::Conflict, "the database refused the message's data");
            take_row(tx, rt, rights, row, Err(&refusal), &mut own).await
        }
        (Err(error), _) => Err(error),
    }?;
    if outcome != Adopted::Done {
        savepoint::undo(tx).await?;
        return Ok(outcome);
    }
    savepoint::keep(tx).await?;
    touched.append(own);
    Ok(outcome)
}

async fn take_row(
    tx: &Tx<'_>,
    rt: &Runtime,
    rights: &Rights,
    row: &Row,
    understood: Result<&Understood, &Refusal>,
    touched: &mut Touched,
) -> Result<Adopted, StoreError> {
    if outbox_in::take(tx, &[row.id]).await?.is_empty() {
        return Ok(Adopted::Gone);
    }
    outbox_in::take_files(tx, row.message_id).await?;
    // Somebody cancelled it before we came: nothing is left to do.
    if !matches!(row.status.as_deref(), Some("queued" | "draft") | None) {
        return Ok(Adopted::Done);
    }
    touched.messages.push((row.configuration_id, row.message_id));
    let understood = match understood {
        Ok(understood) => understood,
        Err(refusal) => {
            touched.events = true;
            return reject(tx, rt, row, refusal).await;
        }
    };
    let Understood { target, request, upload } = understood;
    if let Some(key) = &request.idempotency_key {
        let fingerprint = fingerprint::of(request);
        if !idempotency::claim(tx, uid(row), key, &fingerprint, row.message_id).await? {
            let found = idempotency::find(tx, uid(row), key)
                .await?
                .ok_or_else(|| StoreError::Busy("an idempotency key is changing".into()))?;
            if found.message_id != row.message_id {
                let other = found.fingerprint != fingerprint;
                let rejection = Rejection::Duplicate {
                    of: found.message_id,
                    code: other.then_some(Kind::IdempotencyConflict.as_str()),
                    message: other.then_some("its idempotency key was used for another message"),
                };
                let done = message_out::reject(tx, row.message_id, &rejection).await?;
                return Ok(if done { Adopted::Done } else { Adopted::Later });
            }
        }
    }
    let placed = enqueue::place(tx, rt.clock.as_ref(), &[target], touched).await?;
    let mut content = request.content.clone();
    if let Some(Ok(prepared)) = upload.and_then(|id| rights.files.get(&id))
        && let Some(file) = content.file_mut()
    {
        file.id = prepared.hand_over(tx, target.account.id, uid(row)).await?;
    }
    let media_id = content.file().map(|file| file.id);
    let extra = enqueue::extra_of(&content)?;
    let place = placed[0].place(target);
    let category = request.category.as_deref();
    if !message_out::place(tx, row.message_id, &place, media_id, extra.as_deref(), category).await?
    {
        return Ok(Adopted::Later);
    }
    let job = Job {
        target,
        message_id: row.message_id,
        uid: uid(row),
        content: &content,
        schedule_at: request.schedule_at,
        request_id: row.request_id.as_deref(),
    };
    enqueue::queue(tx, &[job], touched).await?;
    Ok(Adopted::Done)
}

async fn reject(
    tx: &Tx<'_>,
    rt: &Runtime,
    row: &Row,
    refusal: &Refusal,
) -> Result<Adopted, StoreError> {
    let code = refusal.kind.as_str();
    let rejection = Rejection::Failed { code, message: &refusal.message };
    if !message_out::reject(tx, row.message_id, &rejection).await? {
        return Ok(Adopted::Later);
    }
    if let Some(recipient) = row.recipient.as_deref().filter(|to| !to.trim().is_empty()) {
        message_change::keep_recipient(tx, row.message_id, recipient).await?;
    }
    let accounts = rt.accounts();
    let entry = Entry {
        operation: "message.send",
        provider: accounts.get(row.configuration_id).map(|account| account.provider.as_str()),
        success: false,
        error_message: Some(code),
        user_id: row.user_id,
        configuration_id: Some(row.configuration_id),
        request_id: row.request_id.as_deref(),
        ..Entry::default()
    };
    audit_log::insert(tx, &entry).await?;
    let payload = Value::from(serde_json::Map::from_iter([("error_code".to_owned(), code.into())]));
    let message_id = Some(row.message_id);
    message_out::event(tx, "status_failed", message_id, row.configuration_id, &payload).await?;
    tracing::info!(
        db.name = %rt.name,
        message.id = row.message_id,
        error.kind = code,
        "message {} of a transaction is not sent: {code}",
        row.message_id
    );
    Ok(Adopted::Done)
}

/// One batch of the worker: how far it came, and whether there may be more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// The highest id looked at.
    pub last_id: i32,
    pub full: bool,
    pub adopted: usize,
}

/// Adopts up to [`BATCH`] committed rows with ids above `after`.
///
/// # Errors
/// A refusal that stands for a database that is away, locked or does not fit.
pub async fn adopt_batch(rt: &Runtime, after: i32) -> Result<Option<Batch>, Refusal> {
    let rows: Result<Vec<Row>, StoreError> = read!(&rt.store, "adopt.committed", |client| {
        outbox_in::committed(client, None, after, BATCH).await
    });
    let rows = rows.map_err(|error| access::store_refusal(rt, &error))?;
    let Some(last) = rows.last() else { return Ok(None) };
    let last_id = last.id;
    let full = i64::try_from(rows.len()).unwrap_or(i64::MAX) >= BATCH;
    let mut users: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for row in &rows {
        users.entry(row.configuration_id).or_default().push(uid(row));
    }
    let mut rights = Rights::default();
    for (configuration_id, users) in &users {
        rights.learn(rt, *configuration_id, users).await?;
    }
    if let Err(refusal) = rights.prepare(rt, &rows).await {
        rights.tidy(rt).await;
        return Err(refusal);
    }
    let stored: Result<(Touched, usize), Problem> =
        tx!(&rt.store, "adopt.batch", |tx| adopt_rows(tx, rt, &rights, &rows).await);
    rights.tidy(rt).await;
    match stored {
        Ok((touched, adopted)) => {
            touched.tell(rt);
            Ok(Some(Batch { last_id, full, adopted }))
        }
        Err(problem) => Err(problem.refusal(rt)),
    }
}

async fn adopt_rows(
    tx: &Tx<'_>,
    rt: &Runtime,
    rights: &Rights,
    rows: &[Row],
) -> Result<(Touched, usize), Problem> {
    let sorted = sort_out(tx, rt.clock.as_ref(), rights, rows).await?;
    let keys: Vec<Key> =
        sorted.iter().filter_map(|row| row.as_ref().ok()).map(|row| row.target.key()).collect();
    lane::lock_all(tx, &keys).await?;
    failpoint::hit(&rt.name, "adopt.lanes_locked").await;
    let mut touched = Touched::default();
    let mut adopted = 0;
    // Nothing overtakes a row that has to wait.
    let mut waiting: HashSet<Key> = HashSet::new();
    for (row, understood) in rows.iter().zip(&sorted) {
        let key = understood.as_ref().ok().map(|row| row.target.key());
        if key.as_ref().is_some_and(|key| waiting.contains(key)) {
            continue;
        }
        match adopt_row(tx, rt, rights, row, understood.as_ref(), &mut touched).await? {
            Adopted::Done => adopted += 1,
            Adopted::Later => waiting.extend(key),
            Adopted::Gone => {}
        }
    }
    Ok((touched, adopted))
}
