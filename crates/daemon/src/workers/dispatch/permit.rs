//! What people and providers allow, looked at when a send is claimed, so that no door leads around it.

use std::sync::Arc;

use serde_json::json;
use tracing::info;
use wabridge_domain::Kind;
use wabridge_domain::content::Content;
use wabridge_store::consent::{self, Asked};
use wabridge_store::odoo::audit_log::{self, Entry};
use wabridge_store::odoo::message_out::{self, Rejection};
use wabridge_store::outbox::{self, Head};
use wabridge_store::{StoreError, Tx};

use crate::accounts::Account;
use crate::runtime::Runtime;
use crate::send::permit::{self, Verdict};

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
            message_id: Some(head.message_id),
            chat_key: &head.chat_key,
            contact_id: None,
            phone: None,
            category: None,
            template: template.as_deref(),
        })
        .collect();
    let about = consent::about(tx, account.id, &asked).await?;
    let verdicts: Vec<Verdict> = about
        .iter()
        .zip(&templates)
        .map(|(about, template)| {
            permit::judge(rt.clock.as_ref(), account, about, template.is_some())
        })
        .collect();
    if verdicts.len() != heads.len() {
        return Err(StoreError::Other(format!("account {} is gone", account.id)));
    }
    let (mut ready, mut parked, mut aside) = (Vec::with_capacity(heads.len()), vec![], false);
    for (head, verdict) in heads.into_iter().zip(verdicts) {
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
    let content = serde_json::from_value::<Content>(head.request.clone()).ok()?;
    permit::template(&content).map(str::to_owned)
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
        let entry = Entry {
            operation: "message.send",
            provider: Some(account.provider.as_str()),
            error_message: Some(code),
            user_id: Some(head.uid),
            configuration_id: Some(account.id),
            request_id: head.request_id.as_deref(),
            ..Entry::default()
        };
        audit_log::insert(tx, &entry).await?;
        let payload = json!({"error_code": code});
        message_out::event(tx, "status_failed", Some(head.message_id), account.id, &payload)
            .await?;
        rt.wakes.events.notify_one();
        info!(db.name = %rt.name, message.id = head.message_id, error.kind = code, "message {} is not sent: {code}", head.message_id);
    }
    Ok(())
}
