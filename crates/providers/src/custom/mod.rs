//! Any other HTTP provider, by configuration alone: `whatsapp_configuration.custom_mapping` says how its
//! webhooks read and how its API is called. Empty is the generic format of `docs/CUSTOM_PROVIDER.md`.

mod client;
mod contact;
mod content;
mod generic;
mod groups;
mod lists;
mod mapping;
mod pointer;
mod sends;
mod template;
mod webhook;

use std::collections::BTreeSet;
use std::sync::{Mutex, OnceLock, PoisonError};

use jiff::Timestamp;
use wabridge_domain::ProviderKind;
use wabridge_domain::capability::{Capabilities, Operation};
use wabridge_domain::content::TEXT_MAX_CHARS;
use wabridge_domain::error::{Kind, Refusal};
use wabridge_domain::event::{Chat, ChatKind, Event, GroupUpdate, MediaRef, Person};
use wabridge_domain::group::{
    Completion, Created, GroupEdit, Joined, MemberOperation, MembersChanged, NewGroup,
};
use wabridge_domain::message::MessageType;
use wabridge_domain::outgoing::{Accepted, Outgoing, SendError};
use wabridge_domain::recipient::Recipient;
use wabridge_domain::webhook::{HmacScheme, Signed};

pub use self::mapping::MappingError;
use self::mapping::{Api, Chats, Mapping};
use self::template::Slot;
use crate::json::ID_MAX_BYTES;
use crate::{
    Call, CallError, CreateError, Health, History, MediaAddress, Page, Parsed, Provider, ReadMark,
    Route, SecretHeader, SentMessage, Unreadable, Upload, Uploaded, WebhookTarget,
};

/// The adapter of one account: it holds the account's mapping.
#[derive(Debug, Clone)]
pub struct Custom {
    mapping: Mapping,
    capabilities: Capabilities,
}

impl Custom {
    /// # Errors
    /// [`MappingError`], which names the key and the cure.
    pub fn new(mapping: &str) -> Result<Self, MappingError> {
        let mapping = Mapping::read(mapping)?;
        let capabilities = Capabilities {
            operations: operations(&mapping.api),
            text_max_chars: TEXT_MAX_CHARS,
            idempotent_sends: false,
            service_window: false,
            default_pace_per_second: 1.0,
        };
        Ok(Self { mapping, capabilities })
    }
}

/// What the mapping has a call for. The same list for the same calls, kept for as long as the process runs.
fn operations(api: &Api) -> &'static [Operation] {
    static KNOWN: OnceLock<Mutex<BTreeSet<&'static [Operation]>>> = OnceLock::new();
    let can = operations_of(api);
    let mut known =
        KNOWN.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(same) = known.get(can.as_slice()) {
        return same;
    }
    let can: &'static [Operation] = can.leak();
    known.insert(can);
    can
}

fn operations_of(api: &Api) -> Vec<Operation> {
    let sends = [
        (Operation::SendImage, MessageType::Image),
        (Operation::SendVideo, MessageType::Video),
        (Operation::SendAudio, MessageType::Audio),
        (Operation::SendVoice, MessageType::Voice),
        (Operation::SendDocument, MessageType::Document),
        (Operation::SendGif, MessageType::Gif),
        (Operation::SendSticker, MessageType::Sticker),
        (Operation::SendLocation, MessageType::Location),
        (Operation::SendContact, MessageType::Contact),
        (Operation::SendPoll, MessageType::Poll),
        (Operation::SendTemplate, MessageType::Template),
        (Operation::SendInteractive, MessageType::Interactive),
        (Operation::React, MessageType::Reaction),
    ];
    let (text, groups, lists) = (api.send_text.as_ref(), &api.groups, &api.lists);
    let quotes = text.is_some_and(|send| send.call.slots().contains(&Slot::QuotedId));
    [
        (Operation::SendText, text.is_some()),
        (Operation::Quote, quotes),
        (Operation::Edit, api.edit.is_some()),
        (Operation::Delete, api.delete.is_some()),
        (Operation::MarkRead, api.mark_read.is_some()),
        (Operation::Health, api.health.is_some()),
        (Operation::GroupCreate, groups.create.is_some()),
        (Operation::GroupUpdate, groups.update.is_some()),
        (Operation::GroupAdd, groups.add.is_some()),
        (Operation::GroupRemove, groups.remove.is_some()),
        (Operation::GroupPromote, groups.promote.is_some() && groups.demote.is_some()),
        (Operation::GroupInvite, groups.invite.is_some()),
        (Operation::GroupJoin, groups.join.is_some()),
        (Operation::GroupLeave, groups.leave.is_some()),
        (Operation::ContactBlock, api.block.is_some() && api.unblock.is_some()),
        (Operation::ContactRefresh, api.contact.is_some()),
        (Operation::ContactSync, lists.contacts.is_some()),
        (Operation::GroupSync, lists.groups.is_some()),
        (Operation::MessageSync, lists.messages.is_some()),
    ]
    .into_iter()
    .chain(sends.into_iter().map(|(operation, of)| (operation, api.send.of(of).is_some())))
    .filter_map(|(operation, can)| can.then_some(operation))
    .collect()
}

impl Chats {
    /// A chat id in the provider's own form: bare numbers get the suffix of persons, the spellings of other
    /// libraries become it, the device of `<digits>:<device>@…` goes away.
    fn own(&self, id: &str) -> String {
        let id = id.trim();
        let Some((local, domain)) = id.split_once('@') else {
            let digits = id.strip_prefix('+').unwrap_or(id);
            let number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            return if number { format!("{digits}{}", self.direct_suffix) } else { id.to_owned() };
        };
        let domain = domain.to_ascii_lowercase();
        let local = local.split_once(':').map_or(local, |(local, _device)| local);
        match domain.as_str() {
            "c.us" | "s.whatsapp.net" => format!("{local}{}", self.direct_suffix),
            domain => format!("{local}@{domain}"),
        }
    }

    fn kind(&self, id: &str) -> ChatKind {
        let is = |suffix: &str| !suffix.is_empty() && id.ends_with(suffix);
        if is(&self.group_suffix) || is("@g.us") {
            ChatKind::Group
        } else if is("@newsletter") || is("@broadcast") {
            ChatKind::Channel
        } else {
            ChatKind::Direct
        }
    }

    /// The digits of a direct chat's number.
    fn digits<'a>(&self, id: &'a str) -> Option<&'a str> {
        let digits = id.strip_suffix(self.direct_suffix.as_str())?;
        (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())).then_some(digits)
    }

    /// The person of a direct chat.
    fn person(&self, id: &str) -> Option<Person> {
        let id = self.own(id);
        let local = id.split_once('@').map_or(id.as_str(), |(local, _)| local);
        if local.is_empty() || id.len() > ID_MAX_BYTES || self.kind(&id) != ChatKind::Direct {
            return None;
        }
        let digits = self.digits(&id).filter(|digits| (7..=15).contains(&digits.len()));
        Some(Person {
            phone: digits.map(|digits| format!("+{digits}")),
            lid: id.ends_with("@lid").then(|| id.clone()),
            contact_id: id,
            ..Person::default()
        })
    }
}

#[async_trait::async_trait]
impl Provider for Custom {
    fn kind(&self) -> ProviderKind {
        ProviderKind::Custom
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn hmac_scheme(&self) -> HmacScheme {
        let signature = &self.mapping.webhook.signature;
        HmacScheme {
            header: signature
                .header
                .as_ref()
                .map(|name| name.as_str().to_owned())
                .unwrap_or_default(),
            prefix: signature.prefix.clone(),
            strict: true,
            encoding: signature.encoding,
        }
    }

    fn secret_header(&self) -> SecretHeader {
        let secret = &self.mapping.webhook.secret;
        SecretHeader {
            name: secret.header.as_ref().map(|name| name.as_str().to_owned()),
            prefix: secret.prefix.clone(),
        }
    }

    fn parse(&self, signed: &Signed<'_>, route: &Route<'_>) -> Result<Parsed, Unreadable> {
        webhook::parse(&self.mapping, signed.body(), route)
    }

    fn chat(&self, to: &Recipient) -> Result<Chat, Refusal> {
        let chats = &self.mapping.chats;
        let id = match to {
            Recipient::Phone(number) => chats.own(number.digits()),
            Recipient::Chat(id) => chats.own(id),
        };
        let kind = chats.kind(&id);
        let fits = match kind {
            ChatKind::Direct => {
                id.ends_with("@lid")
                    || chats.digits(&id).is_some_and(|digits| (7..=15).contains(&digits.len()))
            }
            ChatKind::Group | ChatKind::Channel => !id.starts_with('@') && id.len() <= ID_MAX_BYTES,
        };
        if fits {
            return Ok(Chat { id, kind, name: None });
        }
        Err(Refusal::new(
            Kind::InvalidRecipient,
            format!(
                "the chat id is none of this provider's; use a phone number with +, or <group>{}",
                chats.group_suffix
            ),
        ))
    }

    fn person(&self, chat_id: &str) -> Option<Person> {
        self.mapping.chats.person(chat_id)
    }

    async fn send(&self, call: &Call<'_>, outgoing: &Outgoing) -> Result<Accepted, SendError> {
        client::send(&self.mapping, call, outgoing).await
    }

    async fn health(&self, call: &Call<'_>) -> Result<Health, CallError> {
        client::health(&self.mapping, call).await
    }

    async fn media_address(
        &self,
        call: &Call<'_>,
        media: &MediaRef,
        fresh: bool,
    ) -> Result<MediaAddress, CallError> {
        client::media_address(&self.mapping, call, media, fresh)
    }

    async fn mark_read(&self, call: &Call<'_>, read: &ReadMark<'_>) -> Result<(), CallError> {
        client::mark_read(&self.mapping, call, read).await
    }

    async fn upload(&self, call: &Call<'_>, file: Upload) -> Result<Uploaded, CallError> {
        client::upload(&self.mapping, call, file).await
    }

    async fn edit(
        &self,
        call: &Call<'_>,
        message: &SentMessage<'_>,
        text: &str,
    ) -> Result<(), CallError> {
        client::edit(&self.mapping, call, message, text).await
    }

    async fn delete(&self, call: &Call<'_>, message: &SentMessage<'_>) -> Result<(), CallError> {
        client::delete(&self.mapping, call, message).await
    }

    async fn group_create(&self, call: &Call<'_>, new: &NewGroup) -> Result<Created, CreateError> {
        groups::create(&self.mapping, call, new).await
    }

    async fn group_info(
        &self,
        call: &Call<'_>,
        group_id: &str,
        at: Timestamp,
    ) -> Result<GroupUpdate, CallError> {
        groups::info(&self.mapping, call, group_id, at).await
    }

    async fn group_edit(
        &self,
        call: &Call<'_>,
        group_id: &str,
        edit: &GroupEdit,
    ) -> Result<Completion, CallError> {
        groups::edit(&self.mapping, call, group_id, edit).await
    }

    async fn group_members(
        &self,
        call: &Call<'_>,
        group_id: &str,
        operation: MemberOperation,
        people: &[Person],
    ) -> Result<MembersChanged, CallError> {
        groups::members(&self.mapping, call, group_id, operation, people).await
    }

    async fn group_invite(&self, call: &Call<'_>, group_id: &str) -> Result<String, CallError> {
        groups::invite(&self.mapping, call, group_id).await
    }

    async fn group_revoke_invite(
        &self,
        call: &Call<'_>,
        group_id: &str,
    ) -> Result<Option<String>, CallError> {
        groups::revoke_invite(&self.mapping, call, group_id).await
    }

    async fn group_join(&self, call: &Call<'_>, code: &str) -> Result<Joined, CallError> {
        groups::join(&self.mapping, call, code).await
    }

    async fn group_leave(&self, call: &Call<'_>, group_id: &str) -> Result<Completion, CallError> {
        groups::leave(&self.mapping, call, group_id).await
    }

    async fn list_contacts(
        &self,
        call: &Call<'_>,
        cursor: Option<&str>,
        at: Timestamp,
    ) -> Result<Page<Event>, CallError> {
        lists::contacts(&self.mapping, call, cursor, at).await
    }

    async fn list_groups(
        &self,
        call: &Call<'_>,
        cursor: Option<&str>,
        at: Timestamp,
    ) -> Result<Page<GroupUpdate>, CallError> {
        lists::groups(&self.mapping, call, cursor, at).await
    }

    async fn list_messages(
        &self,
        call: &Call<'_>,
        history: &History<'_>,
        cursor: Option<&str>,
    ) -> Result<Page<Event>, CallError> {
        lists::messages(&self.mapping, call, history, cursor).await
    }

    async fn contact_info(
        &self,
        call: &Call<'_>,
        contact_id: &str,
        at: Timestamp,
    ) -> Result<Event, CallError> {
        contact::info(&self.mapping, call, contact_id, at).await
    }

    async fn contact_block(
        &self,
        call: &Call<'_>,
        contact_id: &str,
        blocked: bool,
    ) -> Result<(), CallError> {
        client::block(&self.mapping, call, contact_id, blocked).await
    }

    async fn register_webhook(&self, _: &Call<'_>, _: &WebhookTarget) -> Result<(), CallError> {
        Err(CallError::Refused {
            kind: Kind::UnsupportedByProvider,
            message: "a custom provider takes its webhook address by hand only".to_owned(),
        })
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
