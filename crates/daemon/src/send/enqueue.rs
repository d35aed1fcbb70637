//! The shared end of both doors: contact, group and chat rows, the message row, the outbox row.

use futures_util::try_join;
use wabridge_domain::Clock;
use wabridge_domain::content::Content;
use wabridge_domain::event::ChatKind;
use wabridge_store::lane::Key;
use wabridge_store::odoo::message_out::{self, Place};
use wabridge_store::odoo::{chat, contact, group};
use wabridge_store::{StoreError, Tx, outbox};

use super::{New, Target};
use crate::runtime::Runtime;

/// Rows that a transaction wrote, for the live screens, as (account, row id).
#[derive(Debug, Default)]
pub(super) struct Touched {
    pub messages: Vec<(i32, i32)>,
    pub chats: Vec<(i32, i32)>,
    pub contacts: Vec<(i32, i32)>,
    pub groups: Vec<(i32, i32)>,
    /// Rows were written into `whatsapp_event`.
    pub events: bool,
}

impl Touched {
    pub fn append(&mut self, mut other: Self) {
        self.messages.append(&mut other.messages);
        self.chats.append(&mut other.chats);
        self.contacts.append(&mut other.contacts);
        self.groups.append(&mut other.groups);
        self.events |= other.events;
    }

    /// To be called after the commit.
    pub fn tell(&self, rt: &Runtime) {
        for (model, rows) in [
            ("whatsapp.message", &self.messages),
            ("whatsapp.chat", &self.chats),
            ("whatsapp.contact", &self.contacts),
            ("whatsapp.group", &self.groups),
        ] {
            for (configuration_id, id) in rows {
                rt.live.changed(*configuration_id, model, [*id]);
            }
        }
        if !self.messages.is_empty() {
            rt.wakes.outbox.notify_one();
        }
        if self.events {
            rt.wakes.events.notify_one();
        }
    }
}

/// The rows of a chat.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placed {
    pub contact_id: Option<i32>,
    pub group_id: Option<i32>,
}

impl Placed {
    pub fn place<'a>(&self, target: &'a Target) -> Place<'a> {
        Place { chat_id: &target.chat.id, contact_id: self.contact_id, group_id: self.group_id }
    }
}

/// Finds or makes the rows of the chat that each target names.
pub(super) async fn place(
    tx: &Tx<'_>,
    clock: &dyn Clock,
    targets: &[&Target],
    touched: &mut Touched,
) -> Result<Vec<Placed>, StoreError> {
    let at = clock.now();
    let account = |target: &Target| (target.account.id, target.account.provider.as_str());
    let people: Vec<contact::Seen<'_>> = targets
        .iter()
        .filter_map(|target| {
            let (configuration_id, provider) = account(target);
            let person = target.person.as_ref()?;
            Some(contact::Seen { configuration_id, provider, person, at })
        })
        .collect();
    let is_group = |target: &Target| target.chat.kind == ChatKind::Group;
    let groups: Vec<group::Seen<'_>> = targets
        .iter()
        .filter(|target| is_group(target))
        .map(|target| {
            let (configuration_id, provider) = account(target);
            let name = target.chat.name.as_deref();
            group::Seen { configuration_id, provider, group_id: &target.chat.id, name, at }
        })
        .collect();
    let keys = targets.iter().map(|target| (target.account.id, target.chat.id.as_str())).collect();
    // Making contacts may go back to a savepoint: nothing else may write meanwhile.
    let (contacts, looked) = try_join!(contact::ensure(tx, &people), chat::look(tx, &keys))?;
    let groups = group::ensure(tx, &groups).await?;
    let placed: Vec<Placed> = targets
        .iter()
        .map(|target| {
            let id = target.account.id;
            Placed {
                contact_id: target.person.as_ref().and_then(|person| contacts.id(id, person)),
                group_id: is_group(target).then(|| groups.id(id, &target.chat.id)).flatten(),
            }
        })
        .collect();
    let chats: Vec<chat::Seen<'_>> = targets
        .iter()
        .zip(&placed)
        .map(|(target, placed)| chat::Seen {
            configuration_id: target.account.id,
            chat_id: &target.chat.id,
            name: target.chat.name.as_deref(),
            contact_id: placed.contact_id,
            group_id: placed.group_id,
        })
        .collect();
    touched.contacts.extend(contacts.written);
    touched.groups.extend(groups.written);
    touched.chats.extend(chat::ensure_after(tx, &chats, &looked).await?);
    Ok(placed)
}

/// What goes behind its lane.
pub(super) struct Job<'a> {
    pub target: &'a Target,
    pub message_id: i32,
    pub uid: i32,
    pub content: &'a Content,
    pub schedule_at: Option<jiff::Timestamp>,
    pub request_id: Option<&'a str>,
}

/// Puts messages behind their lanes, whose locks the caller holds, in their order; their rows are there, or are written
/// by a statement that is under way.
pub(super) async fn queue(
    tx: &Tx<'_>,
    jobs: &[Job<'_>],
    touched: &mut Touched,
) -> Result<(), StoreError> {
    let keys: Vec<Key> = jobs.iter().map(|job| job.target.key()).collect();
    let requests = jobs
        .iter()
        .map(|job| serde_json::to_value(job.content))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| StoreError::Other(format!("content cannot be stored: {error}")))?;
    let news: Vec<outbox::New<'_>> = jobs
        .iter()
        .zip(keys.iter().zip(&requests))
        .map(|(job, (key, request))| outbox::New {
            key,
            message_id: job.message_id,
            uid: job.uid,
            request,
            not_before: job.schedule_at,
            undo: job.target.account.undo,
            request_id: job.request_id,
        })
        .collect();
    let messages: Vec<(i32, &str, i32)> = jobs
        .iter()
        .zip(&keys)
        .map(|(job, key)| (key.configuration_id, key.chat_key.as_str(), job.message_id))
        .collect();
    let queued = outbox::insert(tx, &news);
    let ((), chats) = try_join!(queued, message_out::note_last(tx, &messages))?;
    touched.messages.extend(messages.iter().map(|(account, _, id)| (*account, *id)));
    touched.chats.extend(chats);
    Ok(())
}

/// Door (a): message rows with the ids that were drawn for them, where they go, and their places behind the lanes,
/// all on the way at once; the time of each.
pub(super) async fn store(
    tx: &Tx<'_>,
    sends: &[&New],
    ids: &[i32],
    placed: &[Placed],
    touched: &mut Touched,
) -> Result<Vec<jiff::Timestamp>, StoreError> {
    let rows = sends
        .iter()
        .zip(placed)
        .map(|(send, placed)| {
            let New { caller, request, target, .. } = send;
            Ok(message_out::New {
                configuration_id: target.account.id,
                provider: target.account.provider.as_str(),
                place: placed.place(target),
                message_type: request.content.message_type().as_str(),
                content: request.content.body(),
                caption: request.content.caption(),
                media_id: request.content.file().map(|file| file.id),
                location: request.content.location(),
                extra: extra_of(&request.content)?,
                reply_to_id: request.reply_to,
                uid: caller.user.uid,
                user_id: caller.user.stored(),
                res_model: request.res_model.as_deref(),
                res_id: request.res_id,
                category: request.category.as_deref(),
                origin: caller.origin.as_str(),
                request_id: &caller.request_id,
            })
        })
        .collect::<Result<Vec<_>, StoreError>>()?;
    let jobs: Vec<Job<'_>> = sends
        .iter()
        .zip(ids)
        .map(|(send, message_id)| Job {
            target: &send.target,
            message_id: *message_id,
            uid: send.caller.user.uid,
            content: &send.request.content,
            schedule_at: send.request.schedule_at,
            request_id: Some(&send.caller.request_id),
        })
        .collect();
    let (times, ()) = try_join!(message_out::insert(tx, ids, &rows), queue(tx, &jobs, touched))?;
    Ok(times)
}

/// `whatsapp_message.extra` of what is sent.
pub(super) fn extra_of(content: &Content) -> Result<Option<String>, StoreError> {
    let extra = content.extra();
    (!extra.is_empty())
        .then(|| serde_json::to_string(&extra))
        .transpose()
        .map_err(|error| StoreError::Other(format!("content cannot be stored: {error}")))
}
