//! Whom a send goes to: account, provider's chat, person.

use std::sync::Arc;

use wabridge_domain::account::AccountId;
use wabridge_domain::capability::{Capabilities, Operation};
use wabridge_domain::content::Content;
use wabridge_domain::error::Refusal;
use wabridge_domain::event::{Chat, Person};
use wabridge_domain::fitting::{self, Seen};
use wabridge_domain::media::MediaKind;
use wabridge_domain::message::MessageType;
use wabridge_domain::recipient::Recipient;
use wabridge_domain::{Clock, Kind};
use wabridge_rpc::to::To;
use wabridge_store::lane::Key;
use wabridge_store::odoo::{media, message_out, recipient};
use wabridge_store::{GenericClient, media_at_provider, read};

use super::{Problem, SendRequest, handed, number, permit};
use crate::access::{self, User};
use crate::accounts::Account;
use crate::runtime::Runtime;

/// Where a send goes.
#[derive(Debug, Clone)]
pub struct Target {
    pub account: Arc<Account>,
    pub chat: Chat,
    /// The person of a direct chat.
    pub person: Option<Person>,
}

impl Target {
    /// Its lane.
    pub fn key(&self) -> Key {
        Key::new(self.account.id, self.chat.id.as_str())
    }

    /// The chat of a recipient at this account, for what sends nothing.
    ///
    /// # Errors
    /// `access_denied`, `invalid_recipient`, `database_unavailable`.
    pub(crate) async fn of(
        rt: &Runtime,
        user: &User,
        account: &Arc<Account>,
        to: &To,
    ) -> Result<Self, Refusal> {
        let found: Result<Self, Problem> = read!(&rt.store, "target.of", |client| {
            let (owner, _) = name(client, to).await?;
            check_owner(user, owner, Some(account.id))?;
            find(client, account, to).await
        });
        found.map_err(|problem| problem.refusal(rt))
    }
}

fn invalid(text: impl Into<String>) -> Refusal {
    Refusal::new(Kind::InvalidRecipient, text)
}

/// Finds account and chat of a call of door (a), and checks what can be checked before anything is stored.
pub(super) async fn resolve(
    rt: &Runtime,
    user: &User,
    request: &SendRequest,
) -> Result<Target, Refusal> {
    // Access comes first: nobody learns of rows through an account that is not his.
    if request.configuration_id.is_some() && !matches!(request.to, To::Text(_)) {
        access::account_for(rt, user, request.configuration_id, None).await?;
    }
    let (owner, text) = match &request.to {
        To::Text(text) => (None, text.clone()),
        to => {
            let named: Result<(Option<AccountId>, String), Problem> =
                read!(&rt.store, "send.recipient", |client| name(client, to).await);
            named.map_err(|problem| problem.refusal(rt))?
        }
    };
    let configuration_id = request.configuration_id.or(owner);
    check_owner(user, owner, configuration_id)?;
    let account = access::account_for(rt, user, configuration_id, Some(&text)).await?;
    let target: Result<Target, Problem> = read!(&rt.store, "send.target", |client| {
        let target = find(client, &account, &request.to).await?;
        let wanted = Wanted {
            uid: user.uid,
            content: &request.content,
            reply_to: request.reply_to,
            category: request.category.as_deref(),
            scheduled: request.schedule_at.is_some(),
        };
        check(client, rt.clock.as_ref(), &target, &wanted).await?;
        Ok::<_, Problem>(target)
    });
    target.map_err(|problem| problem.refusal(rt))
}

/// Whoever may not see an account's people may not write to them through another one either.
fn check_owner(
    user: &User,
    owner: Option<AccountId>,
    through: Option<AccountId>,
) -> Result<(), Refusal> {
    match owner {
        Some(owner)
            if through != Some(owner) && !access::usable_accounts(user).contains(&owner) =>
        {
            Err(Refusal::new(
                Kind::AccessDenied,
                "this user may not use the account that the recipient belongs to",
            ))
        }
        _ => Ok(()),
    }
}

/// The recipient as text, and the account whose row names it.
async fn name(
    client: &impl GenericClient,
    to: &To,
) -> Result<(Option<AccountId>, String), Problem> {
    Ok(match to {
        To::Text(text) => (None, text.clone()),
        To::Contact(id) => {
            let row = contact(client, *id).await?;
            (Some(row.configuration_id), row.contact_id)
        }
        To::Group(id) => {
            let (configuration_id, group_id) = group(client, *id).await?;
            (Some(configuration_id), group_id)
        }
        To::Partner(id) => {
            (None, number::of_partner(client, *id).await?.into_iter().next().unwrap_or_default())
        }
    })
}

/// The chat of a recipient at an account that is known.
pub(super) async fn find(
    client: &impl GenericClient,
    account: &Arc<Account>,
    to: &To,
) -> Result<Target, Problem> {
    let adapter =
        account.usable_adapter().map_err(|why| Refusal::new(Kind::UnsupportedByProvider, why))?;
    let country = account.country.as_deref();
    let text = match to {
        To::Text(text) => text.clone(),
        To::Contact(id) => {
            let row = contact(client, *id).await?;
            // The id of a contact is its own account's word; at another account the number says the same.
            match row.phone {
                Some(phone) if row.configuration_id != account.id => phone,
                None if row.configuration_id != account.id => {
                    return Err(invalid("this contact belongs to another account").into());
                }
                _ => row.contact_id,
            }
        }
        To::Group(id) => {
            let (configuration_id, group_id) = group(client, *id).await?;
            if configuration_id != account.id {
                return Err(invalid("this group belongs to another account").into());
            }
            group_id
        }
        To::Partner(id) => {
            let texts = number::of_partner(client, *id).await?;
            let recipient = number::first(&texts, country)?;
            let chat = number::chat(client, account.id, adapter, &recipient).await?;
            let person = adapter.person(&chat.id);
            return Ok(Target { account: Arc::clone(account), chat, person });
        }
    };
    let recipient = Recipient::parse(&text, country)?;
    let chat = match to {
        To::Contact(_) => number::chat_of_contact(client, account.id, adapter, &recipient).await?,
        _ => number::chat(client, account.id, adapter, &recipient).await?,
    };
    let person = adapter.person(&chat.id);
    Ok(Target { account: Arc::clone(account), chat, person })
}

async fn contact(client: &impl GenericClient, id: i32) -> Result<recipient::Contact, Problem> {
    let row = recipient::contact(client, id).await?;
    row.ok_or_else(|| invalid(format!("there is no contact with id {id}")).into())
}

async fn group(client: &impl GenericClient, id: i32) -> Result<(i32, String), Problem> {
    let row = recipient::group(client, id).await?;
    row.ok_or_else(|| invalid(format!("there is no group with id {id}")).into())
}

/// What somebody wants to send to a target.
pub(super) struct Wanted<'a> {
    pub uid: i32,
    pub content: &'a Content,
    pub reply_to: Option<i32>,
    pub category: Option<&'a str>,
    /// Not now.
    pub scheduled: bool,
}

/// Checks what the provider can do, the quoted message, the person's wish and Meta's 24 hours.
pub(super) async fn check(
    client: &impl GenericClient,
    clock: &dyn Clock,
    target: &Target,
    wanted: &Wanted<'_>,
) -> Result<(), Problem> {
    let Wanted { uid, content, reply_to, category, scheduled } = *wanted;
    if let Some(adapter) = target.account.adapter() {
        // A reaction names its message by itself.
        let quotes = reply_to.is_some() && content.message_type() != MessageType::Reaction;
        check_capabilities(adapter.capabilities(), content, quotes)?;
    }
    if let Some(id) = reply_to
        && !message_out::belongs(client, id, target.account.id).await?
    {
        return Err(Refusal::new(
            Kind::RecordNotFound,
            "the message to reply to does not exist in this account",
        )
        .into());
    }
    if let Some(file) = content.file().filter(|file| file.id != handed::NO_ROW) {
        match media_at_provider::may_send(client, file.id, target.account.id, uid).await? {
            Some(true) => {
                let row = media::get(client, file.id).await?;
                if let Some(mimetype) = row.and_then(|row| row.mimetype) {
                    handed::check_type(content.message_type(), &mimetype)?;
                }
                fits(client, target, content.message_type(), file.id).await?;
            }
            Some(false) => {
                return Err(Refusal::new(
                    Kind::AccessDenied,
                    "this user may not send that file through this account",
                )
                .into());
            }
            None => {
                return Err(Refusal::new(
                    Kind::RecordNotFound,
                    format!("there is no file with id {}", file.id),
                )
                .into());
            }
        }
    }
    permit::check(client, clock, target, content, category, scheduled).await
}

/// Refuses a file that the provider does not take and that cannot be made to fit.
async fn fits(
    client: &impl GenericClient,
    target: &Target,
    message_type: MessageType,
    media_id: i32,
) -> Result<(), Problem> {
    if let Some((mimetype, size, pixels)) = media_at_provider::kept(client, media_id).await? {
        let seen = Seen { mimetype: &mimetype, size, pixels };
        let kind = MediaKind::of_file(message_type, &mimetype);
        fitting::fit(target.account.provider, kind, seen)?;
    }
    Ok(())
}

fn check_capabilities(can: &Capabilities, content: &Content, quotes: bool) -> Result<(), Refusal> {
    let unsupported = |what: &str| {
        Err(Refusal::new(
            Kind::UnsupportedByProvider,
            format!("the provider of this account cannot send {what}"),
        ))
    };
    let operation = operation(content.message_type());
    if operation.is_none_or(|operation| !can.can(operation)) {
        return unsupported(content.message_type().as_str());
    }
    if quotes && !can.can(Operation::Quote) {
        return unsupported("a reply to a certain message");
    }
    let chars = content.body().map_or(0, |body| body.chars().count());
    if chars > can.text_max_chars {
        return Err(Refusal::new(
            Kind::InvalidContent,
            format!(
                "the text has {chars} characters; this provider takes at most {}",
                can.text_max_chars
            ),
        ));
    }
    Ok(())
}

fn operation(message_type: MessageType) -> Option<Operation> {
    Some(match message_type {
        MessageType::Text => Operation::SendText,
        MessageType::Image => Operation::SendImage,
        MessageType::Video => Operation::SendVideo,
        MessageType::Audio => Operation::SendAudio,
        MessageType::Voice => Operation::SendVoice,
        MessageType::Document => Operation::SendDocument,
        MessageType::Gif => Operation::SendGif,
        MessageType::Sticker => Operation::SendSticker,
        MessageType::Location => Operation::SendLocation,
        MessageType::Contact => Operation::SendContact,
        MessageType::Poll => Operation::SendPoll,
        MessageType::Template => Operation::SendTemplate,
        MessageType::Interactive => Operation::SendInteractive,
        MessageType::Reaction => Operation::React,
        MessageType::Order | MessageType::System | MessageType::Unknown => return None,
    })
}
