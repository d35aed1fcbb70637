//! What has no row of its own: alerts, templates, preferences. Odoo's code is told of each once.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use wabridge_domain::event::What;

use super::Item;
use crate::consent::{self, Wish};
use crate::notice::{self, New};
use crate::odoo::contact::Known;
use crate::{StoreError, Tx};

/// The contacts that [`wishes`] may change.
pub(super) async fn concerned(tx: &Tx<'_>, items: &[&Item]) -> Result<BTreeSet<i32>, StoreError> {
    let numbers: Vec<&str> = items
        .iter()
        .filter_map(|item| match &item.what {
            What::Preference(update) => update.person.phone.as_deref(),
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
    let wishes: Vec<Wish<'_>> = items
        .iter()
        .filter_map(|item| {
            let What::Preference(update) = &item.what else { return None };
            Some(Wish {
                contact_id: contacts.id(item.configuration_id, &update.person)?,
                category: &update.category,
                allowed: update.allowed,
                reason: update.reason.as_deref(),
                at: update.at,
            })
        })
        .collect();
    consent::note(tx, &wishes).await
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
