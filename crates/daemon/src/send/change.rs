//! Retry and cancel: what people do with a message that waits, failed or is uncertain.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use wabridge_domain::Kind;
use wabridge_domain::content::Content;
use wabridge_domain::error::Refusal;
use wabridge_domain::message::Status;
use wabridge_rpc::to::To;
use wabridge_store::odoo::message_change::{self, Row};
use wabridge_store::odoo::message_out::Summary;
use wabridge_store::odoo::outbox_in;
use wabridge_store::outbox::{self, Standing};
use wabridge_store::{StoreError, Tx, attempt, lane, read, tx};

use super::enqueue::{self, Job, Touched};
use super::target::{self, Target, Wanted};
use super::{Caller, Problem, not_found};
use crate::access;
use crate::failpoint;
use crate::runtime::Runtime;

fn conflict(why: impl Into<String>) -> Problem {
    Refusal::new(Kind::Conflict, why).into()
}

/// The row of a message of an account that the user may use.
///
/// # Errors
/// `access_denied`, `record_not_found`, `database_unavailable`.
pub async fn usable(rt: &Runtime, uid: i32, id: i32) -> Result<Row, Refusal> {
    let user = access::require_user(rt, uid).await?;
    let row: Result<Option<Row>, StoreError> =
        read!(&rt.store, "change.get", |client| message_change::get(client, id).await);
    let row = row.map_err(|error| access::store_refusal(rt, &error))?;
    let accounts = access::usable_accounts(&user);
    match row {
        Some(row) if accounts.contains(&row.configuration_id) => Ok(row),
        Some(_) => {
            Err(Refusal::new(Kind::AccessDenied, "this user may not see messages of that account"))
        }
        None => Err(not_found(id)),
    }
}

/// Takes a message back before it is sent; one that is cancelled already stays so.
///
/// # Errors
/// `conflict` with the reason once a call was made for it, and those of [`usable`].
pub async fn cancel(rt: &Arc<Runtime>, caller: &Caller, id: i32) -> Result<Summary, Refusal> {
    let row = usable(rt, caller.user.uid, id).await?;
    if row.status != Status::Cancelled {
        let done: Result<(), Problem> =
            tx!(&rt.store, "change.cancel", |tx| cancel_in(tx, rt, &row).await);
        done.map_err(|problem| problem.refusal(rt))?;
        rt.live.changed(row.configuration_id, "whatsapp.message", [id]);
        rt.sends.tell([id]);
    }
    super::read(rt, id).await?.ok_or_else(|| not_found(id))
}

async fn cancel_in(tx: &Tx<'_>, rt: &Runtime, row: &Row) -> Result<(), Problem> {
    if !outbox_in::withdraw(tx, row.id).await?
        && let Some(standing) = hold(tx, rt, row.id).await?
    {
        failpoint::hit(&rt.name, "cancel.lane_locked").await;
        if standing.under_way {
            return Err(conflict(
                "this message is being sent at this moment; it cannot be cancelled any more",
            ));
        }
        if standing.uncertain {
            return Err(conflict(
                "this message may have been sent, which is being found out; it cannot be cancelled",
            ));
        }
        if standing.attempts > 0 {
            return Err(conflict(
                "this message was tried already and is tried again; it cannot be cancelled any more",
            ));
        }
        outbox::delete(tx, &[standing.id]).await?;
    }
    match message_change::lock(tx, row.id).await? {
        Some(Status::Queued | Status::Draft) if row.from_me => {
            Ok(message_change::cancel(tx, row.id).await?)
        }
        Some(Status::Cancelled) => Ok(()),
        Some(_) if !row.from_me => {
            Err(conflict("this message was received; only sends can be cancelled"))
        }
        Some(status) => Err(conflict(format!(
            "this message is {} already; only what waits to be sent can be cancelled",
            status.as_str()
        ))),
        None => Err(not_found(row.id).into()),
    }
}

/// Where a message stands in the outbox, with its lane held: nobody begins to send it meanwhile.
async fn hold(tx: &Tx<'_>, rt: &Runtime, id: i32) -> Result<Option<Standing>, StoreError> {
    let Some(seen) = outbox::standing(tx, id).await? else { return Ok(None) };
    lane::lock(tx, &seen.key).await?;
    if !failpoint::guard(&rt.name, "cancel.rereads") {
        return Ok(Some(seen));
    }
    // A statement after the lock: it sees what whoever had the lane before did.
    outbox::standing(tx, id).await
}

/// Sends a failed or uncertain message again: the row stays, a new series of attempts begins at the end of its chat.
///
/// # Errors
/// `conflict` with the reason for any other message; what a send of the same content is refused for; those of
/// [`usable`].
pub async fn retry(rt: &Arc<Runtime>, caller: &Caller, id: i32) -> Result<Summary, Refusal> {
    let row = usable(rt, caller.user.uid, id).await?;
    check_retriable(&row, row.status)?;
    let account =
        access::resolve_account(rt, caller.user.uid, Some(row.configuration_id), None).await?;
    let content = content(&row)?;
    let to = recipient(&row)?;
    let found: Result<Target, Problem> = read!(&rt.store, "change.target", |client| {
        let target = target::find(client, &account, &to).await?;
        let wanted = Wanted {
            uid: caller.user.uid,
            content: &content,
            reply_to: row.reply_to_id,
            category: row.category.as_deref(),
            scheduled: false,
        };
        target::check(client, rt.clock.as_ref(), &target, &wanted).await?;
        Ok::<_, Problem>(target)
    });
    let again = Again { rt, caller, row: &row, content, target: found.map_err(|p| p.refusal(rt))? };
    let touched: Result<Touched, Problem> =
        tx!(&rt.store, "change.retry", |tx| again.run(tx).await);
    touched.map_err(|problem| problem.refusal(rt))?.tell(rt);
    super::read(rt, id).await?.ok_or_else(|| not_found(id))
}

fn check_retriable(row: &Row, status: Status) -> Result<(), Refusal> {
    let conflict = |why: String| Err(Refusal::new(Kind::Conflict, why));
    match status {
        _ if !row.is_ours() => {
            conflict("only what was written in Odoo can be sent again".to_owned())
        }
        Status::Failed | Status::Uncertain => Ok(()),
        Status::Queued | Status::Draft => {
            conflict("this message still waits to be sent; there is nothing to repeat".to_owned())
        }
        status => conflict(format!(
            "this message is {}; only failed and uncertain ones can be sent again",
            status.as_str()
        )),
    }
}

/// A message that is to be sent again.
struct Again<'a> {
    rt: &'a Runtime,
    caller: &'a Caller,
    row: &'a Row,
    content: Content,
    target: Target,
}

impl Again<'_> {
    async fn run(&self, tx: &Tx<'_>) -> Result<Touched, Problem> {
        let (id, key) = (self.row.id, self.target.key());
        lane::lock(tx, &key).await?;
        // A statement after the lock.
        let standing = outbox::standing(tx, id).await?;
        if let Some(standing) = &standing {
            if standing.key != key {
                return Err(conflict("the chat of this message changed meanwhile; try again"));
            }
            if standing.under_way || !standing.uncertain {
                return Err(conflict(
                    "this message still waits to be sent; there is nothing to repeat",
                ));
            }
            if let Some(attempt) = standing.open_attempt
                && !attempt::settle(tx, attempt, None).await?
            {
                return Err(conflict(
                    "this message was settled at this moment; look at its status",
                ));
            }
        }
        let mut touched = Touched::default();
        let placed = if standing.is_none() {
            let targets = [&self.target];
            enqueue::place(tx, self.rt.clock.as_ref(), &targets, &mut touched).await?.pop()
        } else {
            None
        };
        let status = message_change::lock(tx, id).await?.ok_or_else(|| not_found(id))?;
        check_retriable(self.row, status)?;
        message_change::renew(tx, id).await?;
        match (standing, placed) {
            (Some(standing), _) => {
                let request_id = &self.caller.request_id;
                outbox::requeue(tx, standing.id, self.caller.user.uid, request_id).await?;
                lane::hurry(tx, &key).await?;
                touched.messages.push((key.configuration_id, id));
            }
            (None, placed) => {
                if let Some(placed) = placed {
                    let place = placed.place(&self.target);
                    super::message_out::place(tx, id, &place, None, None, None).await?;
                }
                let job = Job {
                    target: &self.target,
                    message_id: id,
                    uid: self.caller.user.uid,
                    content: &self.content,
                    schedule_at: None,
                    request_id: Some(&self.caller.request_id),
                };
                enqueue::queue(tx, &[job], &mut touched).await?;
            }
        }
        outbox::begin_series(tx, id).await?;
        Ok(touched)
    }
}

/// Whom a message was for: its chat, or what was given where that could not be understood.
fn recipient(row: &Row) -> Result<To, Refusal> {
    let given = row.extra.get("recipient").and_then(Value::as_str);
    match (&row.chat_id, given) {
        (Some(chat), _) => Ok(To::Text(chat.clone())),
        (None, Some(text)) => super::adopt::recipient(text),
        (None, None) => Err(Refusal::new(
            Kind::InvalidRecipient,
            "it is not known any more whom this message was for; write a new one",
        )),
    }
}

/// The content of a message, back from its row.
fn content(row: &Row) -> Result<Content, Refusal> {
    let extra = |name: &str| row.extra.get(name).cloned();
    let lost = || {
        Refusal::new(
            Kind::InvalidContent,
            "the content of this message is not kept in a form that can be sent again; write a new one",
        )
    };
    let kind = row.message_type.as_str();
    let (part, value) = match kind {
        "text" => {
            let mut text = Map::from_iter([("body".to_owned(), json!(row.content))]);
            text.extend(extra("mentions").map(|mentions| ("mentions".to_owned(), mentions)));
            text.extend(extra("preview").map(|preview| ("preview".to_owned(), preview)));
            ("text", Value::Object(text))
        }
        "location" => ("location", extra("location").ok_or_else(lost)?),
        "contact" => ("contact", row.extra.pointer("/contacts/0").cloned().ok_or_else(lost)?),
        "poll" | "interactive" | "template" => (kind, extra(kind).ok_or_else(lost)?),
        "reaction" => ("reaction", json!({"emoji": row.content})),
        _ => ("media", file(row).ok_or_else(lost)?),
    };
    let mut parts = json!({"type": kind, part: value});
    if kind == "template"
        && let Some(file) = file(row)
    {
        parts["media"] = file;
    }
    let content: Content = serde_json::from_value(parts).map_err(|_| lost())?;
    content.checked()
}

/// `media` of a message that has a file.
fn file(row: &Row) -> Option<Value> {
    let mut media = Map::from_iter([("id".to_owned(), json!(row.media_id?))]);
    media.extend(row.caption.as_ref().map(|text| ("caption".to_owned(), json!(text))));
    media.extend(row.extra.get("filename").map(|name| ("filename".to_owned(), name.clone())));
    Some(Value::Object(media))
}
