//! Accounts whose credentials were sealed with a key that is lost: they say so in Odoo until somebody enters them again.

use std::collections::BTreeMap;

use tracing::warn;
use wabridge_domain::account::{AccountId, AccountState};
use wabridge_domain::seal::SealError;
use wabridge_store::StoreError;
use wabridge_store::odoo::account_state;
use wabridge_store::seal::{replica, value};

use crate::accounts::{Account, Accounts};
use crate::runtime::Runtime;

/// What the reason of such an account begins with.
const REASON: &str = "Credentials cannot be opened";

/// A sealed column of an account that does not open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostColumn {
    pub column: &'static str,
    /// The id of its key.
    pub key_id: String,
    /// False where a key of this id is there, but does not fit.
    pub missing: bool,
}

impl LostColumn {
    /// None where the value is damaged, which no key can help.
    pub fn of(column: &'static str, error: &SealError) -> Option<Self> {
        match error {
            SealError::KeyMissing(id) => Some(Self { column, key_id: id.clone(), missing: true }),
            SealError::DoesNotOpen(id) => Some(Self { column, key_id: id.clone(), missing: false }),
            _ => None,
        }
    }
}

/// What the account's state says; None where nothing is lost.
pub fn reason(lost: &[LostColumn]) -> Option<String> {
    let mut by_key: BTreeMap<(&str, bool), Vec<&str>> = BTreeMap::new();
    for one in lost {
        by_key.entry((&one.key_id, one.missing)).or_default().push(one.column);
    }
    let parts: Vec<String> = by_key
        .iter()
        .map(|((key, missing), columns)| {
            let columns = columns.join(", ");
            if *missing {
                format!("{columns} (sealing key {key} is missing)")
            } else {
                format!(
                    "{columns} (sealed with another key than {key}, or for another installation)"
                )
            }
        })
        .collect();
    (!parts.is_empty()).then(|| {
        format!(
            "{REASON}: {}; enter them again with the wizard \"Set credentials\"",
            parts.join(", ")
        )
    })
}

/// Shows in Odoo which accounts must be entered again, and takes it back where that is done.
///
/// # Errors
/// The database's.
pub async fn show(rt: &Runtime, accounts: &Accounts) -> Result<(), StoreError> {
    let client = rt.store.client().await?;
    let shown = value::accounts_that_say(&client, REASON).await?;
    let broken: Vec<&Account> = accounts
        .iter()
        .map(AsRef::as_ref)
        .filter(|account: &&Account| account.active && !account.lost.is_empty())
        .collect();
    if shown.is_empty() && broken.is_empty() {
        return Ok(());
    }
    // Another daemon may hold what this one lacks: then nothing is lost.
    let others = replica::alive(&client).await?;
    let mut lost: BTreeMap<AccountId, String> = BTreeMap::new();
    for account in broken {
        let columns: Vec<_> = account
            .lost
            .iter()
            .filter(|one| !one.missing || !others.iter().any(|other| other.knows(&one.key_id)))
            .cloned()
            .collect();
        if let Some(reason) = reason(&columns) {
            lost.insert(account.id, reason);
        }
    }
    for (id, reason) in &lost {
        if account_state::set(&client, *id, AccountState::TokenDead, Some(reason)).await? {
            warn!(db.name = %rt.name, account.id = id, "account {id}: {reason}");
            rt.live.changed(*id, "whatsapp.configuration", [*id]);
        }
    }
    for id in shown.into_iter().filter(|id| !lost.contains_key(id)) {
        // Its real state is asked for like that of any new account.
        if account_state::set(&client, id, AccountState::New, None).await? {
            rt.live.changed(id, "whatsapp.configuration", [id]);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sentence_names_columns_and_keys() {
        let lost: Vec<LostColumn> = [
            ("token", SealError::KeyMissing("k1".into())),
            ("webhook_secret", SealError::KeyMissing("k1".into())),
            ("app_secret", SealError::DoesNotOpen("k2".into())),
            ("verify_token", SealError::Damaged),
        ]
        .iter()
        .filter_map(|(column, error)| LostColumn::of(column, error))
        .collect();
        let text = reason(&lost).unwrap();
        assert!(text.contains("token, webhook_secret (sealing key k1 is missing)"), "{text}");
        assert!(text.contains("app_secret (sealed with another key than k2"), "{text}");
        assert!(!text.contains("verify_token"), "{text}");
        assert_eq!(reason(&[]), None);
    }
}
