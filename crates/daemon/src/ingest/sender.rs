//! Who sent a webhook, over all databases of this process.

use std::collections::BTreeMap;
use std::sync::Arc;

use wabridge_domain::ProviderKind;
use wabridge_domain::webhook::{Gate, Presented, VerifiedBy};

use crate::accounts::Account;
use crate::runtime::Runtime;

/// An account whose gate let the request through.
#[derive(Clone)]
pub struct Opened {
    pub rt: Arc<Runtime>,
    pub account: Arc<Account>,
    pub verified_by: VerifiedBy,
}

/// The sender of a request, and every account that he may deliver for.
pub struct Sender {
    /// The account that stands for the sender in the journal: the one named in the path, else the first.
    pub own: Opened,
    /// All whose gate the request opens: they share its secret. `own` is among them.
    pub all: Vec<Opened>,
    /// True where the path names `own`.
    pub named: bool,
}

/// Authenticates a request. A token in the path must name an account in any mode, and that account's gate must
/// open. Every gate of the provider is tried, found or not: the time says nothing about tokens.
pub fn authenticate(
    runtimes: &BTreeMap<String, Arc<Runtime>>,
    provider: ProviderKind,
    presented: &dyn Presented,
    body: &[u8],
) -> Option<Sender> {
    let mut all = Vec::new();
    let mut own = None;
    for rt in runtimes.values() {
        let accounts = rt.accounts();
        for account in accounts.of_provider(provider) {
            let named = presented.path_token().is_none_or(|token| names(&account.gate, token));
            let Some((_, verified_by)) = account.gate.check(presented, body) else { continue };
            let opened = Opened { rt: Arc::clone(rt), account: Arc::clone(account), verified_by };
            if named && own.as_ref().is_none_or(|own| better(&opened, own)) {
                own = Some(opened.clone());
            }
            all.push(opened);
        }
    }
    Some(Sender { own: own?, all, named: presented.path_token().is_some() })
}

/// True where the token is the account's own.
pub fn names(gate: &Gate, token: &str) -> bool {
    gate.path_tokens
        .iter()
        .filter(|known| !known.expose().is_empty())
        .fold(false, |found, known| found | known.matches(token.as_bytes()))
}

/// Active before archived; else the first stays.
fn better(new: &Opened, old: &Opened) -> bool {
    new.account.active && !old.account.active
}

/// True where two accounts of one provider have a secret in common: events of the one may come by the other's
/// webhook. For webhooks read back from the journal, whose headers are gone.
pub fn share_a_secret(a: &Gate, b: &Gate) -> bool {
    let common = |a: &[wabridge_domain::Secret], b: &[wabridge_domain::Secret]| {
        a.iter()
            .any(|x| !x.expose().is_empty() && b.iter().any(|y| y.matches(x.expose().as_bytes())))
    };
    common(&a.header_secrets, &b.header_secrets)
        || common(&a.hmac_secrets, &b.hmac_secrets)
        || common(&a.path_tokens, &b.path_tokens)
}
