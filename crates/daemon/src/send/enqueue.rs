//! The shared end of both doors: contact, group and chat rows, the message row, the outbox row.

use wabridge_domain::Clock;
use wabridge_domain::content::Content;
use wabridge_domain::event::ChatKind;
use wabridge_store::lane::{self, Key};
use wabridge_store::odoo::message_out::{self, Place};
use wabridge_store::odoo::{chat, contact, group};
use wabridge_store::{StoreError, Tx, outbox};

use super::{Caller, Problem, SendRequest, Target};
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

/// Finds or makes the rows of the chat that `target` names.
pub(super) async fn place(
    tx: &Tx<'_>,
    clock: &dyn Clock,
    target: &Target,
    touched: &mut Touched,
) -> Result<Placed, StoreError> {
    let configuration_id = target.account.id;
    let provider = target.account.provider.as_str();
    let now = clock.now();
    let mut placed = Placed { contact_id: None, group_id: None };
    if let Some(person) = &target.person {
        let known =
            contact::ensure(tx, &[contact::Seen { configuration_id, provider, person, at: now }])
                .await?;
        placed.contact_id = known.id(configuration_id, person);
        touched.contacts.extend(known.written);
    }
    if target.chat.kind == ChatKind::Group {
        let known = group::ensure(
            tx,
            &[group::Seen {
                configuration_id,
                provider,
                group_id: &target.chat.id,
                name: target.chat.name.as_deref(),
                at: now,
            }],
        )
        .await?;
        placed.group_id = known.id(configuration_id, &target.chat.id);
        touched.groups.extend(known.written);
    }
    let written = chat::ensure(
        tx,
        &[chat::Seen {
            configuration_id,
            chat_id: &target.chat.id,
            name: target.chat.name.as_deref(),
            contact_id: placed.contact_id,
            group_id: placed.group_id,
        }],
    )
    .await?;
    touched.chats.extend(written);
    Ok(placed)
}

/// What goes behind the lane.
pub(super) struct Job<'a> {
    pub message_id: i32,
    pub uid: i32,
    pub content: &'a Content,
    pub schedule_at: Option<jiff::Timestamp>,
    pub request_id: Option<&'a str>,
}

/// Puts a stored message behind its lane, whose lock the caller holds.
pub(super) async fn queue(
    tx: &Tx<'_>,
    target: &Target,
    key: &Key,
    job: &Job<'_>,
    touched: &mut Touched,
) -> Result<(), StoreError> {
    let request = serde_json::to_value(job.content)
        .map_err(|error| StoreError::Other(format!("content cannot be stored: {error}")))?;
    let new = outbox::New {
        key,
        message_id: job.message_id,
        uid: job.uid,
        request: &request,
        not_before: job.schedule_at,
        undo: target.account.undo,
        request_id: job.request_id,
    };
    if outbox::insert(tx, &new).await? {
        lane::open(tx, std::slice::from_ref(key)).await?;
    }
    touched.messages.push((key.configuration_id, job.message_id));
    let chat =
        message_out::note_last(tx, key.configuration_id, &key.chat_key, job.message_id).await?;
    touched.chats.extend(chat.map(|id| (key.configuration_id, id)));
    Ok(())
}

/// Door (a): the message row and its place behind the lane.
pub(super) async fn store(
    tx: &Tx<'_>,
    clock: &dyn Clock,
    target: &Target,
    caller: &Caller,
    request: &SendRequest,
    touched: &mut Touched,
) -> Result<i32, Problem> {
    let key = &target.key();
    let placed = place(tx, clock, target, touched).await?;
    let new = message_out::New {
        configuration_id: key.configuration_id,
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
    };
    let (message_id, _queued_at) = message_out::insert(tx, &new).await?;
    let job = Job {
        message_id,
        uid: caller.user.uid,
        content: &request.content,
        schedule_at: request.schedule_at,
        request_id: Some(&caller.request_id),
    };
    queue(tx, target, key, &job, touched).await?;
    Ok(message_id)
}

/// `whatsapp_message.extra` of what is sent.
pub(super) fn extra_of(content: &Content) -> Result<Option<String>, StoreError> {
    let extra = content.extra();
    (!extra.is_empty())
        .then(|| serde_json::to_string(&extra))
        .transpose()
        .map_err(|error| StoreError::Other(format!("content cannot be stored: {error}")))
}
