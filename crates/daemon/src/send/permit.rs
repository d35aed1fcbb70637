//! What people and providers allow: wishes, the black list, the 24 hours after a customer wrote. One rule for both
//! doors, which refuse what is certain already, and for the claim, which has the last word.

use wabridge_domain::content::Content;
use wabridge_domain::error::Refusal;
use wabridge_domain::event::ChatKind;
use wabridge_domain::window::{self, WindowPolicy};
use wabridge_domain::{Clock, Kind};
use wabridge_store::GenericClient;
use wabridge_store::consent::{self, About, Asked, Objection};

use super::{Problem, Target};
use crate::accounts::Account;

/// What becomes of a send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Goes,
    Fails(Kind, &'static str),
    /// It waits until the customer writes.
    Parks,
}

/// The rule.
pub(crate) fn judge(
    clock: &dyn Clock,
    account: &Account,
    about: &About,
    is_template: bool,
) -> Verdict {
    match about.objection {
        Some(Objection::OptedOut) => {
            let why = "this person does not want to get messages of this category";
            return Verdict::Fails(Kind::RecipientOptedOut, why);
        }
        Some(Objection::Blacklisted) => {
            let why = "this number is on the list of blocked numbers (Phone Blacklist)";
            return Verdict::Fails(Kind::RecipientOptedOut, why);
        }
        None => {}
    }
    if is_template
        || about.is_group
        || !has_window(account)
        || window::left(about.last_inbound_at, clock).is_some()
    {
        return Verdict::Goes;
    }
    match account.window_policy {
        WindowPolicy::Wait => Verdict::Parks,
        _ => Verdict::Fails(
            Kind::OutsideServiceWindow,
            "the customer did not write in the last 24 hours; send an approved template",
        ),
    }
}

/// Whether this account keeps free messages to the 24 hours.
fn has_window(account: &Account) -> bool {
    account.window_policy != WindowPolicy::Provider
        && account.adapter().is_some_and(|adapter| adapter.capabilities().service_window)
}

/// The provider's template that a send names.
pub(crate) fn template(content: &Content) -> Option<&str> {
    match content {
        Content::Template { template, .. } => Some(&template.name),
        _ => None,
    }
}

/// Refuses at a door what certainly will not go. A message for later is not judged by today's 24 hours.
pub(super) async fn check(
    client: &impl GenericClient,
    clock: &dyn Clock,
    target: &Target,
    content: &Content,
    category: Option<&str>,
    scheduled: bool,
) -> Result<(), Problem> {
    let (account, template) = (&target.account, template(content));
    let windowed = has_window(account) && template.is_none() && !scheduled;
    if target.chat.kind == ChatKind::Group
        || (category.is_none() && template.is_none() && !windowed)
    {
        return Ok(());
    }
    let person = target.person.as_ref();
    let asked = Asked {
        message_id: None,
        chat_key: &target.chat.id,
        contact_id: person.map(|person| person.contact_id.as_str()),
        phone: person.and_then(|person| person.phone.as_deref()),
        category,
        template,
    };
    let about = consent::about(client, account.id, &[asked]).await?;
    let Some(about) = about.first() else { return Ok(()) };
    match judge(clock, account, about, template.is_some() || !windowed) {
        Verdict::Goes | Verdict::Parks => Ok(()),
        Verdict::Fails(kind, why) => Err(Refusal::new(kind, why).into()),
    }
}
