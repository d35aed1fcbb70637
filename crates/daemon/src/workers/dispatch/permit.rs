//! What people and providers allow: wishes, the black list, the 24 hours after a customer wrote. Looked at when a send
//! is claimed, so that no door leads around it.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::json;
use tracing::info;
use wabridge_domain::Kind;
use wabridge_domain::content::Content;
use wabridge_domain::window::{self, WindowPolicy};
use wabridge_store::consent::{self, About, Asked, Objection};
use wabridge_store::odoo::message_out::{self, Rejection};
use wabridge_store::outbox::{self, Head};
use wabridge_store::{StoreError, Tx};

use crate::accounts::Account;
use crate::runtime::Runtime;

/// What becomes of a send.
enum Verdict {
    Goes,
    Fails(Kind, &'static str),
    Parks,
}

/// The heads that may go; true when others were set aside. The caller holds the lanes.
pub(super) async fn sort_out(
    tx: &Tx<'_>,
    rt: &Runtime,
    account: &Arc<Account>,
    heads: Vec<Head>,
) -> Result<(Vec<Head>, bool), StoreError> {
    if heads.is_empty() {
        return Ok((heads, false));
    }
    let templates: Vec<Option<String>> = heads.iter().map(template).collect();
    let asked: Vec<Asked<'_>> = heads
        .iter()
        .zip(&templates)
        .map(|(head, template)| Asked {
            message_id: head.message_id,
            chat_key: &head.chat_key,
            template: template.as_deref(),
        })
        .collect();
    let about = consent::about(tx, account.id, &asked).await?;
    let about: HashMap<i32, About> =
        about.into_iter().map(|about| (about.message_id, about)).collect();
    let (mut ready, mut parked, mut aside) = (Vec::with_capacity(heads.len()), vec![], false);
    for (head, template) in heads.into_iter().zip(templates) {
        let verdict = match about.get(&head.message_id) {
            Some(about) => judge(rt, account, about, template.is_some()),
            None => Verdict::Goes,
        };
        match verdict {
            Verdict::Goes => ready.push(head),
            Verdict::Parks => parked.push(head.id),
            Verdict::Fails(kind, message) => {
                aside = true;
                fail(tx, rt, account, &head, kind, message).await?;
            }
        }
    }
    if !parked.is_empty() {
        aside = true;
        consent::park(tx, &parked).await?;
    }
    Ok((ready, aside))
}

fn template(head: &Head) -> Option<String> {
    match serde_json::from_value::<Content>(head.request.clone()).ok()? {
        Content::Template { template, .. } => Some(template.name),
        _ => None,
    }
}

fn judge(rt: &Runtime, account: &Account, about: &About, is_template: bool) -> Verdict {
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
    let has_window = account.adapter().is_some_and(|adapter| adapter.capabilities().service_window);
    if !has_window
        || is_template
        || about.is_group
        || account.window_policy == WindowPolicy::Provider
        || window::left(about.last_inbound_at, rt.clock.as_ref()).is_some()
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

async fn fail(
    tx: &Tx<'_>,
    rt: &Runtime,
    account: &Account,
    head: &Head,
    kind: Kind,
    message: &str,
) -> Result<(), StoreError> {
    let code = kind.as_str();
    // False where Odoo holds the row: the next claim meets it again.
    if message_out::reject(tx, head.message_id, &Rejection::Failed { code, message }).await? {
        outbox::delete(tx, &[head.id]).await?;
        let payload = json!({"error_code": code});
        message_out::event(tx, "status_failed", Some(head.message_id), account.id, &payload)
            .await?;
        rt.wakes.events.notify_one();
        info!(db.name = %rt.name, message.id = head.message_id, error.kind = code, "message {} is not sent: {code}", head.message_id);
    }
    Ok(())
}
