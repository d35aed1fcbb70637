//! Meta's Cloud API: WhatsApp from its maker, with templates, a service window and signed webhooks.
//!
//! Facts: Meta's pages of 2026 and its OpenAPI v23.0. A person's chat is the `wa_id` (digits) or, behind a
//! username, a business-scoped user id (`GB.…`); a group's id is opaque. An account is a phone number id, which
//! stands in the path of its calls and in its webhooks. Sends have no key that makes them repeatable, but our
//! reference comes back with every status.

mod client;
mod content;
mod errors;
mod groups;
mod webhook;
mod wire;

use jiff::Timestamp;
use wabridge_domain::ProviderKind;
use wabridge_domain::Secret;
use wabridge_domain::capability::{Capabilities, Operation};
use wabridge_domain::content::TEXT_MAX_CHARS;
use wabridge_domain::error::{Kind, Refusal};
use wabridge_domain::event::{Chat, ChatKind, GroupUpdate, MediaRef, Person};
use wabridge_domain::group::{
    Completion, Created, GroupEdit, MemberOperation, MembersChanged, NewGroup,
};
use wabridge_domain::outgoing::{Accepted, Outgoing, SendError};
use wabridge_domain::recipient::Recipient;
use wabridge_domain::webhook::{Encoding, HmacScheme, Signed};

use crate::{
    Call, CallError, CreateError, Handshake, Health, MediaAddress, Page, Parsed, Provider,
    ProviderTemplate, ReadMark, Route, Unreadable, Upload, Uploaded, WebhookTarget,
};

/// The adapter; it holds nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Meta;

static CAPABILITIES: Capabilities = Capabilities {
    operations: &[
        Operation::SendText,
        Operation::SendImage,
        Operation::SendVideo,
        Operation::SendAudio,
        Operation::SendVoice,
        Operation::SendDocument,
        Operation::SendSticker,
        Operation::SendLocation,
        Operation::SendContact,
        Operation::SendInteractive,
        Operation::SendTemplate,
        Operation::React,
        Operation::Quote,
        Operation::MarkRead,
        Operation::ContactBlock,
        Operation::GroupCreate,
        Operation::GroupUpdate,
        Operation::GroupRemove,
        Operation::GroupInvite,
        Operation::GroupLeave,
        Operation::GroupSync,
        Operation::RegisterWebhook,
        Operation::Health,
    ],
    text_max_chars: TEXT_MAX_CHARS,
    idempotent_sends: false,
    service_window: true,
    // A number takes 80 messages a second, in and out together: half of it leaves room for answers.
    default_pace_per_second: 40.0,
};

#[async_trait::async_trait]
impl Provider for Meta {
    fn kind(&self) -> ProviderKind {
        ProviderKind::Meta
    }

    fn capabilities(&self) -> &Capabilities {
        &CAPABILITIES
    }

    /// The older `X-Hub-Signature` (SHA-1) is no substitute.
    fn hmac_scheme(&self) -> HmacScheme {
        HmacScheme {
            header: "x-hub-signature-256".to_owned(),
            prefix: "sha256=".to_owned(),
            strict: true,
            encoding: Encoding::Hex,
        }
    }

    fn parse(&self, signed: &Signed<'_>, route: &Route<'_>) -> Result<Parsed, Unreadable> {
        webhook::parse(signed.body(), route)
    }

    fn handshake(&self, query: &[(String, String)]) -> Option<Handshake> {
        let one = |name: &str| {
            let mut values = query.iter().filter(|(key, _)| key == name).map(|(_, value)| value);
            // Told twice is told ambiguously.
            values.next().filter(|value| !value.is_empty()).filter(|_| values.next().is_none())
        };
        one("hub.mode").filter(|mode| *mode == "subscribe")?;
        Some(Handshake {
            verify_token: Secret::new(one("hub.verify_token")?.clone()),
            challenge: one("hub.challenge")?.clone(),
        })
    }

    fn chat(&self, to: &Recipient) -> Result<Chat, Refusal> {
        let refuse = |why: &str| Err(Refusal::new(Kind::InvalidRecipient, why));
        let id = match to {
            Recipient::Phone(number) => number.digits().to_owned(),
            // People of other providers are written to by their number.
            Recipient::Chat(id) => match id.split_once('@') {
                Some((local, "s.whatsapp.net" | "c.us")) => local.to_owned(),
                Some(_) => {
                    return refuse(
                        "the chat id is none of Meta's; its groups and people have ids without @",
                    );
                }
                None => id.clone(),
            },
        };
        match wire::chat_kind(&id) {
            Some(ChatKind::Direct) if !wire::is_user_id(&id) && wire::phone(&id).is_none() => {
                refuse("the number is none: it has 7 to 15 digits with the country code")
            }
            Some(kind) => Ok(Chat { id, kind, name: None }),
            None => refuse(
                "the chat id is none of Meta's; use a phone number with +, a user id like GB.123, or a group's id",
            ),
        }
    }

    fn person(&self, chat_id: &str) -> Option<Person> {
        wire::person(chat_id)
    }

    async fn send(&self, call: &Call<'_>, outgoing: &Outgoing) -> Result<Accepted, SendError> {
        client::send(call, outgoing).await
    }

    async fn health(&self, call: &Call<'_>) -> Result<Health, CallError> {
        client::health(call).await
    }

    async fn media_address(
        &self,
        call: &Call<'_>,
        media: &MediaRef,
        fresh: bool,
    ) -> Result<MediaAddress, CallError> {
        client::media_address(call, media, fresh).await
    }

    async fn upload(&self, call: &Call<'_>, file: Upload) -> Result<Uploaded, CallError> {
        client::upload(call, file).await
    }

    async fn mark_read(&self, call: &Call<'_>, read: &ReadMark<'_>) -> Result<(), CallError> {
        client::mark_read(call, read).await
    }

    async fn templates(&self, call: &Call<'_>) -> Result<Vec<ProviderTemplate>, CallError> {
        client::templates(call).await
    }

    async fn group_create(&self, call: &Call<'_>, new: &NewGroup) -> Result<Created, CreateError> {
        groups::create(call, new).await
    }

    async fn group_info(
        &self,
        call: &Call<'_>,
        group_id: &str,
        at: Timestamp,
    ) -> Result<GroupUpdate, CallError> {
        groups::info(call, group_id, at).await
    }

    async fn group_edit(
        &self,
        call: &Call<'_>,
        group_id: &str,
        edit: &GroupEdit,
    ) -> Result<Completion, CallError> {
        groups::edit(call, group_id, edit).await
    }

    async fn group_members(
        &self,
        call: &Call<'_>,
        group_id: &str,
        operation: MemberOperation,
        people: &[Person],
    ) -> Result<MembersChanged, CallError> {
        groups::members(call, group_id, operation, people).await
    }

    async fn group_invite(&self, call: &Call<'_>, group_id: &str) -> Result<String, CallError> {
        groups::invite(call, group_id).await
    }

    async fn group_revoke_invite(
        &self,
        call: &Call<'_>,
        group_id: &str,
    ) -> Result<Option<String>, CallError> {
        groups::revoke_invite(call, group_id).await
    }

    async fn group_leave(&self, call: &Call<'_>, group_id: &str) -> Result<Completion, CallError> {
        groups::leave(call, group_id).await
    }

    async fn list_groups(
        &self,
        call: &Call<'_>,
        cursor: Option<&str>,
        at: Timestamp,
    ) -> Result<Page<GroupUpdate>, CallError> {
        groups::list(call, cursor, at).await
    }

    async fn contact_block(
        &self,
        call: &Call<'_>,
        contact_id: &str,
        blocked: bool,
    ) -> Result<(), CallError> {
        groups::block(call, contact_id, blocked).await
    }

    async fn register_webhook(
        &self,
        call: &Call<'_>,
        target: &WebhookTarget,
    ) -> Result<(), CallError> {
        client::register_webhook(call, target).await
    }
}

#[cfg(test)]
mod tests;
