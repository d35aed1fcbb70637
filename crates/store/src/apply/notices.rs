//! What has no row of its own: alerts, templates, preferences. Odoo's code is told of each once.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use wabridge_domain::event::{ChatKind, Message, What};
use wabridge_domain::message::MessageType;
use wabridge_domain::wish;

use super::Item;
use crate::consent::{self, Source, Wish};
use crate::notice::{self, New};
use crate::odoo::contact::Known;
use crate::{StoreError, Tx};

/// The contacts that [`wishes`] may change.
pub(super) async fn concerned(tx: &Tx<'_>, items: &[&Item]) -> Result<BTreeSet<i32>, StoreError> {
    let numbers: Vec<&str> = items
        .iter()
        .filter_map(|item| match &item.what {
            What::Preference(update) => update.person.phone.as_deref(),
            What::Message(message) if may_be_wish(message) => {
                item.person.as_ref().and_then(|person| person.phone.as_deref())
            }
            _ => None,
        })
        .collect();
    consent::concerned(tx, &numbers).await
}

/// Takes wishes in: (account, row id) of contacts that changed.
pub(super) async fn wishes(
    tx: &Tx<'_>,
    items: &[&Item],
    contacts: &Known,
) -> Result<Vec<(i32, i32)>, StoreError> {
    let mut wishes: Vec<Wish<'_>> = items
        .iter()
        .filter_map(|item| {
            let What::Preference(update) = &item.what else { return None };
            Some(Wish {
                contact_id: contacts.id(item.configuration_id, &update.person)?,
                category: &update.category,
                allowed: update.allowed,
                reason: update.reason.as_deref(),
                at: update.at,
                source: Source::Provider,
            })
        })
        .collect();
    let said: Vec<(&Item, &Message)> = items
        .iter()
        .filter_map(|item| match &item.what {
            What::Message(message) if may_be_wish(message) => Some((*item, &**message)),
            _ => None,
        })
        .collect();
    let mut accounts: Vec<i32> = said.iter().map(|(item, _)| item.configuration_id).collect();
    accounts.sort_unstable();
    accounts.dedup();
    let lists = consent::stop_words(tx, &accounts).await?;
    wishes.extend(said.iter().filter_map(|(item, message)| {
        let list = lists.get(&item.configuration_id)?;
        let said = wish::of(message.content.as_deref()?, list.as_deref())?;
        Some(Wish {
            contact_id: contacts.id(item.configuration_id, item.person.as_ref()?)?,
            category: consent::MARKETING,
            allowed: said == wish::Wish::Start,
            reason: Some(BY_WORD),
            at: message.at,
            source: Source::Word,
        })
    }));
    consent::note(tx, &wishes).await
}

/// Why, where a person wrote a word that stops or starts.
const BY_WORD: &str = "wrote so";

/// True for what a person wrote to us directly, and that is short enough.
fn may_be_wish(message: &Message) -> bool {
    !message.from_me
        && message.chat.kind == ChatKind::Direct
        && matches!(message.message_type, MessageType::Text | MessageType::Interactive)
        && message.content.as_deref().is_some_and(wish::may_be)
}

/// Makes rows of `whatsapp_event`; true where there are some.
pub(super) async fn tell(tx: &Tx<'_>, items: &[&Item]) -> Result<bool, StoreError> {
    let notices: Vec<New> = items
        .iter()
        .filter_map(|item| {
            let (kind, payload, at) = notice(item)?;
            // Without a time of its own it counts as new once a day.
            let told_at = at.map_or_else(
                || item.received_at.strftime("%Y-%m-%d").to_string(),
                |at| at.as_second().to_string(),
            );
            Some(New { configuration_id: item.configuration_id, kind, payload, told_at })
        })
        .collect();
    Ok(notice::tell(tx, &notices).await? > 0)
}

fn notice(item: &Item) -> Option<(&'static str, Value, Option<jiff::Timestamp>)> {
    Some(match &item.what {
        What::Alert(alert) => (
            "alert",
            json!({"kind": alert.kind, "detail": alert.detail, "extra": alert.extra}),
            alert.at,
        ),
        What::Template(update) => (
            "template_status",
            json!({
                "kind": update.kind,
                "template_id": update.template_id,
                "name": update.name,
                "language": update.language,
                "value": update.value,
                "reason": update.reason,
            }),
            update.at,
        ),
        What::Preference(update) => (
            "preference",
            json!({
                "contact_id": update.person.contact_id,
                "category": update.category,
                "allowed": update.allowed,
                "reason": update.reason,
            }),
            Some(update.at),
        ),
        _ => return None,
    })
}
