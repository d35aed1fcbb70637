//! WHAPI.cloud: a linked device behind HTTP. Facts: WHAPI's OpenAPI 1.8.7 and help pages, read in 2025/2026.
//!
//! Ids: a person's chat is `<digits>@s.whatsapp.net`, a group `<digits>@g.us`, a channel `<digits>@newsletter`;
//! somebody whose number WhatsApp hides is `<digits>@lid`. Webhooks are not signed: the account's static
//! header is all there is. Sends have no key that makes them repeatable.

mod client;
mod content;
mod groups;
mod lists;
mod webhook;
mod wire;

use jiff::Timestamp;
use wabridge_domain::ProviderKind;
use wabridge_domain::capability::{Capabilities, Operation};
use wabridge_domain::content::TEXT_MAX_CHARS;
use wabridge_domain::error::{Kind, Refusal};
use wabridge_domain::event::{Chat, ChatKind, Event, GroupUpdate, MediaRef, Person};
use wabridge_domain::group::{
    Completion, Created, GroupEdit, Joined, MemberOperation, MembersChanged, NewGroup,
};
use wabridge_domain::outgoing::{Accepted, Outgoing, SendError};
use wabridge_domain::recipient::Recipient;
use wabridge_domain::webhook::{Encoding, HmacScheme, Signed};

use crate::{
    Call, CallError, Checked, CreateError, Health, History, MediaAddress, Page, Parsed, Provider,
    ReadMark, Route, SentMessage, Unreadable, Upload, Uploaded, WebhookTarget,
};

/// The adapter; it holds nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Whapi;

static CAPABILITIES: Capabilities = Capabilities {
    operations: &[
        Operation::SendText,
        Operation::SendImage,
        Operation::SendVideo,
        Operation::SendAudio,
        Operation::SendVoice,
        Operation::SendDocument,
        Operation::SendGif,
        Operation::SendSticker,
        Operation::SendLocation,
        Operation::SendContact,
        Operation::SendPoll,
        Operation::SendInteractive,
        Operation::React,
        Operation::Edit,
        Operation::Delete,
        Operation::Quote,
        Operation::MarkRead,
        Operation::ContactCheck,
        Operation::ContactBlock,
        Operation::ContactRefresh,
        Operation::ContactSync,
        Operation::MessageSync,
        Operation::GroupCreate,
        Operation::GroupUpdate,
        Operation::GroupAdd,
        Operation::GroupRemove,
        Operation::GroupPromote,
        Operation::GroupInvite,
        Operation::GroupJoin,
        Operation::GroupLeave,
        Operation::GroupSync,
        Operation::RegisterWebhook,
        Operation::Health,
    ],
    text_max_chars: TEXT_MAX_CHARS,
    idempotent_sends: false,
    service_window: false,
    default_pace_per_second: 1.0,
};

#[async_trait::async_trait]
impl Provider for Whapi {
    fn kind(&self) -> ProviderKind {
        ProviderKind::Whapi
    }

    fn capabilities(&self) -> &Capabilities {
        &CAPABILITIES
    }

    /// WHAPI signs nothing; this is for a relay in front of the bridge that does.
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

    fn chat(&self, to: &Recipient) -> Result<Chat, Refusal> {
        let refuse = |why: &str| Err(Refusal::new(Kind::InvalidRecipient, why));
        let id = match to {
            Recipient::Phone(number) => wire::direct_chat_id(number.digits()),
            Recipient::Chat(id) => wire::chat_id(id),
        };
        let Some((local, domain)) = id.split_once('@') else {
            return refuse("the chat id is malformed");
        };
        let digits = |range: std::ops::RangeInclusive<usize>| {
            range.contains(&local.len()) && local.bytes().all(|b| b.is_ascii_digit())
        };
        // Patterns: OpenAPI 1.8.7, ChatID, ContactID, GroupID. Old groups are `<number>-<epoch>@g.us`.
        let kind = match domain {
            wire::DIRECT if digits(7..=15) => ChatKind::Direct,
            wire::GROUP
                if (10..=31).contains(&local.len())
                    && local.bytes().all(|b| b.is_ascii_digit() || b == b'-') =>
            {
                ChatKind::Group
            }
            wire::NEWSLETTER if digits(10..=31) => ChatKind::Channel,
            wire::LID => {
                return refuse(
                    "WHAPI cannot send to a person whose number WhatsApp hides (@lid); use the phone number",
                );
            }
            _ => {
                return refuse(
                    "the chat id is none of WHAPI's; use a phone number with +, <digits>@s.whatsapp.net or <digits>@g.us",
                );
            }
        };
        Ok(Chat { id, kind, name: None })
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
        client::media_address(call, media, fresh)
    }

    async fn upload(&self, call: &Call<'_>, file: Upload) -> Result<Uploaded, CallError> {
        client::upload(call, file).await
    }

    async fn mark_read(&self, call: &Call<'_>, read: &ReadMark<'_>) -> Result<(), CallError> {
        client::mark_read(call, read).await
    }

    async fn edit(
        &self,
        call: &Call<'_>,
        message: &SentMessage<'_>,
        text: &str,
    ) -> Result<(), CallError> {
        client::edit(call, message, text).await
    }

    async fn delete(&self, call: &Call<'_>, message: &SentMessage<'_>) -> Result<(), CallError> {
        client::delete(call, message).await
    }

    async fn check_numbers(
        &self,
        call: &Call<'_>,
        numbers: &[&str],
    ) -> Result<Vec<Checked>, CallError> {
        client::check_numbers(call, numbers).await
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

    async fn group_join(&self, call: &Call<'_>, code: &str) -> Result<Joined, CallError> {
        groups::join(call, code).await
    }

    async fn group_leave(&self, call: &Call<'_>, group_id: &str) -> Result<Completion, CallError> {
        groups::leave(call, group_id).await
    }

    async fn list_contacts(
        &self,
        call: &Call<'_>,
        cursor: Option<&str>,
        at: Timestamp,
    ) -> Result<Page<Event>, CallError> {
        lists::contacts(call, cursor, at).await
    }

    async fn list_groups(
        &self,
        call: &Call<'_>,
        cursor: Option<&str>,
        at: Timestamp,
    ) -> Result<Page<GroupUpdate>, CallError> {
        lists::groups(call, cursor, at).await
    }

    async fn list_messages(
        &self,
        call: &Call<'_>,
        history: &History<'_>,
        cursor: Option<&str>,
    ) -> Result<Page<Event>, CallError> {
        lists::messages(call, history, cursor).await
    }

    async fn contact_info(
        &self,
        call: &Call<'_>,
        contact_id: &str,
        at: Timestamp,
    ) -> Result<Event, CallError> {
        lists::contact(call, contact_id, at).await
    }

    async fn contact_block(
        &self,
        call: &Call<'_>,
        contact_id: &str,
        blocked: bool,
    ) -> Result<(), CallError> {
        lists::block(call, contact_id, blocked).await
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
mod tests {
    use super::*;

    fn chat(to: &str) -> Result<(String, ChatKind), Kind> {
        let to = Recipient::parse(to, None).unwrap();
        Whapi.chat(&to).map(|chat| (chat.id, chat.kind)).map_err(|refusal| refusal.kind)
    }

    #[test]
    fn recipients_become_chats() {
        let direct = Ok(("447700900123@s.whatsapp.net".to_owned(), ChatKind::Direct));
        for to in [
            "+44 7700 900123",
            "447700900123",
            "447700900123@c.us",
            "447700900123@s.whatsapp.net",
            "447700900123@S.WhatsApp.net",
            "447700900123:12@s.whatsapp.net",
        ] {
            assert_eq!(chat(to), direct, "{to}");
        }
        for group in ["120363025550100777@g.us", "447700900123-1500000000@g.us"] {
            assert_eq!(chat(group), Ok((group.to_owned(), ChatKind::Group)));
        }
        let channel = "120363025550100777@newsletter";
        assert_eq!(chat(channel), Ok((channel.to_owned(), ChatKind::Channel)));
    }

    #[test]
    fn foreign_ids_are_refused() {
        for to in [
            "183800000000123@lid",
            "status@broadcast",
            "abc@s.whatsapp.net",
            "123@s.whatsapp.net",
            "4477009001234567@s.whatsapp.net",
            "abc@g.us",
            "447700900123@example.com",
        ] {
            assert_eq!(chat(to), Err(Kind::InvalidRecipient), "{to}");
        }
    }

    #[test]
    fn persons_of_direct_chats() {
        let person = Whapi.person("447700900123@c.us").unwrap();
        assert_eq!(person.contact_id, "447700900123@s.whatsapp.net");
        assert_eq!(person.phone.as_deref(), Some("+447700900123"));
        assert_eq!(person.lid, None);
        let hidden = Whapi.person("183800000000123@lid").unwrap();
        assert_eq!(hidden.contact_id, "183800000000123@lid");
        assert_eq!(hidden.lid.as_deref(), Some("183800000000123@lid"));
        assert_eq!(hidden.phone, None);
        for none in ["120363025550100777@g.us", "1@newsletter", "status@broadcast", "", "@lid"] {
            assert_eq!(Whapi.person(none), None, "{none}");
        }
    }
}
