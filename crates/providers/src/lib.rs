//! The providers: one module each (client, webhook, wire types), and the seam in front of them.
//!
//! What belongs here: a provider's own words and ids, its HTTP calls, what its answers mean for a send.
//! What is deliberately absent: SQL, Odoo, queues, repetition. An adapter tells what came of one call and
//! never decides to make a second one (`docs/adr/0002-provider-seam.md`).

mod body;
mod call;
mod custom;
pub mod groups;
mod http;
mod json;
mod list;
#[cfg(test)]
mod mangle;
mod meta;
#[cfg(test)]
mod mock;
mod moment;
mod wassenger;
mod whapi;

use std::sync::Arc;

use jiff::Timestamp;
use wabridge_domain::ProviderKind;
use wabridge_domain::capability::Capabilities;
use wabridge_domain::error::{Kind, Refusal};
use wabridge_domain::event::{Chat, Event, GroupUpdate, MediaRef, Person};
use wabridge_domain::group::{
    Completion, Created, GroupEdit, Joined, MemberOperation, MembersChanged, NewGroup,
};
use wabridge_domain::outgoing::{Accepted, Outgoing, SendError};
use wabridge_domain::recipient::Recipient;
use wabridge_domain::webhook::{HmacScheme, Signed};

pub use crate::call::{
    Broken, CHECK_MAX, Call, CallError, Checked, Handshake, Health, History, MediaAddress, Page,
    Parsed, ProviderTemplate, ReadMark, Route, SecretHeader, SentMessage, Unreadable, Upload,
    Uploaded, WebhookHeader, WebhookTarget,
};
pub use crate::custom::{Custom, MappingError};
pub use crate::groups::CreateError;
pub use crate::http::{HttpClientError, HttpOptions, http_client};
pub use crate::meta::Meta;
pub use crate::wassenger::Wassenger;
pub use crate::whapi::Whapi;

/// One provider's API. Object-safe: the daemon holds `&dyn Provider` and knows no vendor.
#[async_trait::async_trait]
pub trait Provider: Send + Sync + 'static {
    fn kind(&self) -> ProviderKind;

    fn capabilities(&self) -> &Capabilities;

    /// How the signature travels where an account's mode asks for one; the account's own header name wins.
    fn hmac_scheme(&self) -> HmacScheme;

    /// How a static secret travels where the account's own row names no header.
    fn secret_header(&self) -> SecretHeader {
        SecretHeader::default()
    }

    /// Reads a verified body into events, in the order of the body. A broken event does not lose its
    /// neighbours: it becomes an entry of [`Parsed::broken`].
    ///
    /// # Errors
    /// [`Unreadable`] when the body as a whole is none of this provider's; it is quarantined.
    fn parse(&self, signed: &Signed<'_>, route: &Route<'_>) -> Result<Parsed, Unreadable>;

    /// The question of a subscription handshake (Meta's GET), from the URL-decoded query. None where the
    /// query is none, and for providers without a handshake. The caller compares the token in constant time
    /// with the account's verify token and answers the challenge as it is.
    fn handshake(&self, query: &[(String, String)]) -> Option<Handshake> {
        let _ = query;
        None
    }

    /// The provider's own chat of a recipient.
    ///
    /// # Errors
    /// `invalid_recipient` when the chat id is not one this provider can send to.
    fn chat(&self, to: &Recipient) -> Result<Chat, Refusal>;

    /// The person of a direct chat, with the phone number where the id tells it; None for groups and channels.
    fn person(&self, chat_id: &str) -> Option<Person>;

    /// Makes one call that sends a message. Never repeats it, whatever happens.
    ///
    /// # Errors
    /// What the call came to, as a decision: see [`SendError`].
    async fn send(&self, call: &Call<'_>, outgoing: &Outgoing) -> Result<Accepted, SendError>;

    /// Asks for the state of the account without waking it. A dead token or a logged-out phone is an
    /// answer, not an error.
    ///
    /// # Errors
    /// [`CallError`] when the state stays unknown.
    async fn health(&self, call: &Call<'_>) -> Result<Health, CallError>;

    /// Where the bytes of a message's file are to be had. `fresh` says that the link of `media` did not work:
    /// the provider is asked for a new one by the file's id.
    ///
    /// # Errors
    /// [`CallError`]; `Refused` when the provider does not keep the file any more, or never will give it.
    async fn media_address(
        &self,
        call: &Call<'_>,
        media: &MediaRef,
        fresh: bool,
    ) -> Result<MediaAddress, CallError>;

    /// Hands a file over, to be named in sends. Repeating it wastes nothing but room at the provider.
    ///
    /// # Errors
    /// [`CallError`]; `Refused` when the provider will not take it, whatever is tried.
    async fn upload(&self, call: &Call<'_>, file: Upload) -> Result<Uploaded, CallError> {
        let _ = (call, file);
        unsupported("files cannot be sent through this provider")
    }

    /// Tells the writer that messages were read. Repeating it changes nothing.
    ///
    /// # Errors
    /// [`CallError`]; `Refused` with `unsupported_by_provider` where the provider has no such call.
    async fn mark_read(&self, call: &Call<'_>, read: &ReadMark<'_>) -> Result<(), CallError>;

    /// Puts another text in the place of a message's (the caption, where it is a file). Repeating it changes nothing.
    ///
    /// # Errors
    /// [`CallError`]; `Refused` with `unsupported_by_provider` where the provider has no such call.
    async fn edit(
        &self,
        call: &Call<'_>,
        message: &SentMessage<'_>,
        text: &str,
    ) -> Result<(), CallError> {
        let _ = (call, message, text);
        unsupported("sent messages cannot be edited through this provider")
    }

    /// Deletes a sent message for everybody. Repeating it changes nothing.
    ///
    /// # Errors
    /// As [`Provider::edit`].
    async fn delete(&self, call: &Call<'_>, message: &SentMessage<'_>) -> Result<(), CallError> {
        let _ = (call, message);
        unsupported("sent messages cannot be deleted through this provider")
    }

    /// Asks who of these numbers (digits of E.164, without plus) is on WhatsApp, in their order. At most
    /// [`CHECK_MAX`] of them.
    ///
    /// # Errors
    /// As [`Provider::edit`].
    async fn check_numbers(
        &self,
        call: &Call<'_>,
        numbers: &[&str],
    ) -> Result<Vec<Checked>, CallError> {
        let _ = (call, numbers);
        unsupported("numbers cannot be checked through this provider")
    }

    /// All templates of the account, as they are approved or not.
    ///
    /// # Errors
    /// As [`Provider::edit`].
    async fn templates(&self, call: &Call<'_>) -> Result<Vec<ProviderTemplate>, CallError> {
        let _ = call;
        unsupported("this provider has no templates")
    }

    /// Makes a group. The one call about groups that must not be repeated blindly: twice is two groups.
    ///
    /// # Errors
    /// [`CreateError`], which says whether the group may be there.
    async fn group_create(&self, call: &Call<'_>, new: &NewGroup) -> Result<Created, CreateError> {
        let _ = (call, new);
        unsupported("groups cannot be made through this provider").map_err(CreateError::from)
    }

    /// The group as it is, told at `at`: an update of the kind `info`.
    ///
    /// # Errors
    /// As [`Provider::edit`]; `Refused` with `record_not_found` where the provider knows no such group.
    async fn group_info(
        &self,
        call: &Call<'_>,
        group_id: &str,
        at: Timestamp,
    ) -> Result<GroupUpdate, CallError> {
        let _ = (call, group_id, at);
        unsupported("groups cannot be asked for through this provider")
    }

    /// Changes the group itself. Repeating it changes nothing.
    ///
    /// # Errors
    /// As [`Provider::group_info`]; `Refused` with `provider_rejected` where we are no administrator.
    async fn group_edit(
        &self,
        call: &Call<'_>,
        group_id: &str,
        edit: &GroupEdit,
    ) -> Result<Completion, CallError> {
        let _ = (call, group_id, edit);
        unsupported("groups cannot be changed through this provider")
    }

    /// Adds, removes, promotes or demotes people. Repeating it changes nothing. One that cannot be done for anybody
    /// because we are no administrator is an answer, not an error.
    ///
    /// # Errors
    /// As [`Provider::group_info`]; `Refused` with `invalid_recipient` where the provider refused the call because of
    /// one of several people without saying which: nothing was done, and one after the other tells who it is.
    async fn group_members(
        &self,
        call: &Call<'_>,
        group_id: &str,
        operation: MemberOperation,
        people: &[Person],
    ) -> Result<MembersChanged, CallError> {
        let _ = (call, group_id, operation, people);
        unsupported("members of groups cannot be changed through this provider")
    }

    /// The link by which people join.
    ///
    /// # Errors
    /// As [`Provider::group_edit`].
    async fn group_invite(&self, call: &Call<'_>, group_id: &str) -> Result<String, CallError> {
        let _ = (call, group_id);
        unsupported("this provider has no invitations to groups")
    }

    /// Makes the link worthless; the new one, where the answer tells it.
    ///
    /// # Errors
    /// As [`Provider::group_edit`].
    async fn group_revoke_invite(
        &self,
        call: &Call<'_>,
        group_id: &str,
    ) -> Result<Option<String>, CallError> {
        let _ = (call, group_id);
        unsupported("invitations to groups cannot be revoked through this provider")
    }

    /// Joins by the code of an invitation ([`wabridge_domain::group::invite_code`]). Repeating it changes nothing.
    ///
    /// # Errors
    /// As [`Provider::edit`]; `Refused` with `record_not_found` where the invitation is none any more.
    async fn group_join(&self, call: &Call<'_>, code: &str) -> Result<Joined, CallError> {
        let _ = (call, code);
        unsupported("groups cannot be joined through this provider")
    }

    /// Leaves the group; where a provider knows no leaving, the group is deleted. Repeating it changes nothing.
    ///
    /// # Errors
    /// As [`Provider::group_info`].
    async fn group_leave(&self, call: &Call<'_>, group_id: &str) -> Result<Completion, CallError> {
        let _ = (call, group_id);
        unsupported("groups cannot be left through this provider")
    }

    /// A page of the account's address book and of whom it otherwise knows, told at `at`: events of the kind
    /// [`wabridge_domain::event::What::Contact`]. The list has no promised order and changes while it is read: who is new
    /// may stand anywhere, and somebody may come twice. `cursor` is None for the first page, else [`Page::next`] of the
    /// page before, however long ago; one that is none of this adapter's is refused with `invalid_content`.
    ///
    /// # Errors
    /// As [`Provider::edit`]. A page that failed may be asked for again.
    async fn list_contacts(
        &self,
        call: &Call<'_>,
        cursor: Option<&str>,
        at: Timestamp,
    ) -> Result<Page<Event>, CallError> {
        let _ = (call, cursor, at);
        unsupported("contacts cannot be listed through this provider")
    }

    /// A page of the account's groups with their members, each as [`Provider::group_info`] tells it: an update of the
    /// kind `info` at `at`, with [`GroupUpdate::all_members`] where everybody is told. Where a list names no members
    /// (Wassenger, Meta) they are asked for, a call for each group of the page; a group whose members are refused is told
    /// without them and stands in [`Page::unreadable`] too. Invitation links are no part of lists: see
    /// [`Provider::group_invite`]. Cursors and order as with [`Provider::list_contacts`].
    ///
    /// # Errors
    /// As [`Provider::list_contacts`].
    async fn list_groups(
        &self,
        call: &Call<'_>,
        cursor: Option<&str>,
        at: Timestamp,
    ) -> Result<Page<GroupUpdate>, CallError> {
        let _ = (call, cursor, at);
        unsupported("groups cannot be listed through this provider")
    }

    /// A page of the messages that the provider keeps: events as the webhook tells them, with
    /// the same ids (messages, and words about messages where they stand beside them); whether they are late, and the mark
    /// `history` in [`wabridge_domain::event::Message::extra`], is the caller's to say. The same `history` belongs to all
    /// pages of one reading.
    ///
    /// WHAPI tells the oldest first. Wassenger cannot be asked for a time: it tells the newest first and ends with the page
    /// that holds the first one older than [`History::since`]. So a mark of how far one has read counts when the last
    /// page was read, and not before.
    ///
    /// # Errors
    /// As [`Provider::list_contacts`]; `Refused` with `record_not_found` where [`History::chat`] is unknown.
    async fn list_messages(
        &self,
        call: &Call<'_>,
        history: &History<'_>,
        cursor: Option<&str>,
    ) -> Result<Page<Event>, CallError> {
        let _ = (call, history, cursor);
        unsupported("this provider keeps no messages that can be read again")
    }

    /// What the provider knows of one person now, told at `at`: an event of the kind
    /// [`wabridge_domain::event::What::Contact`], as [`Provider::list_contacts`] tells it. `contact_id` is a
    /// [`wabridge_domain::event::Person::contact_id`]; the answer may name the person in another way.
    ///
    /// # Errors
    /// As [`Provider::edit`]; `Refused` with `record_not_found` where the provider does not know the person, with
    /// `invalid_recipient` where it cannot be asked for them.
    async fn contact_info(
        &self,
        call: &Call<'_>,
        contact_id: &str,
        at: Timestamp,
    ) -> Result<Event, CallError> {
        let _ = (call, contact_id, at);
        unsupported("this provider does not tell what it knows of a person")
    }

    /// Blocks a person for the account, or takes that back. Repeating it changes nothing.
    ///
    /// # Errors
    /// As [`Provider::edit`]; `Refused` with `record_not_found` where the provider does not know the person.
    async fn contact_block(
        &self,
        call: &Call<'_>,
        contact_id: &str,
        blocked: bool,
    ) -> Result<(), CallError> {
        let _ = (call, contact_id, blocked);
        unsupported("people cannot be blocked through this provider")
    }

    /// Makes the provider deliver webhooks to `target.url`. Other webhooks of the account stay as they are;
    /// repeating it changes nothing.
    ///
    /// # Errors
    /// [`CallError`]; nothing was changed then, or the very same as by a repetition.
    async fn register_webhook(
        &self,
        call: &Call<'_>,
        target: &WebhookTarget,
    ) -> Result<(), CallError>;
}

fn unsupported<T>(message: &str) -> Result<T, CallError> {
    Err(CallError::Refused { kind: Kind::UnsupportedByProvider, message: message.to_owned() })
}

/// The adapter of a kind that is the same for all accounts; None for [`Custom`].
pub fn provider(kind: ProviderKind) -> Option<&'static dyn Provider> {
    match kind {
        ProviderKind::Whapi => Some(&Whapi),
        ProviderKind::Meta => Some(&Meta),
        ProviderKind::Wassenger => Some(&Wassenger),
        ProviderKind::Custom => None,
    }
}

/// The adapter of an account with this `custom_mapping`, which only custom providers read.
///
/// # Errors
/// [`MappingError`] where the mapping is wrong.
pub fn adapter(
    kind: ProviderKind,
    mapping: Option<&str>,
) -> Result<Arc<dyn Provider>, MappingError> {
    Ok(match kind {
        ProviderKind::Whapi => Arc::new(Whapi),
        ProviderKind::Meta => Arc::new(Meta),
        ProviderKind::Wassenger => Arc::new(Wassenger),
        ProviderKind::Custom => Arc::new(Custom::new(mapping.unwrap_or_default())?),
    })
}

/// A media type as providers document it: Opus in Ogg is told by its bytes as `audio/opus`, and taken as `audio/ogg`.
fn documented_mimetype(mimetype: &str) -> &str {
    if mimetype == "audio/opus" { "audio/ogg" } else { mimetype }
}
