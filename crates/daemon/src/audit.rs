//! Audit rows: who did what, with what result; each operation's word is in [`words`]. The rows are proven by
//! [`sealer`], which runs apart from what writes them, and looked over by [`proof`].

pub mod proof;
pub mod sealer;
pub mod words;

use wabridge_domain::Kind;
use wabridge_domain::error::Refusal;
use wabridge_rpc::Identity;
use wabridge_store::odoo::audit_log::{self, Entry};

use crate::runtime::Runtime;

pub use words::REFUSED;

/// Writes a row outside any transaction of the caller. A call that was carried out is not undone because its
/// row could not be written; then the log holds what the row would have said.
pub async fn write(rt: &Runtime, entry: &Entry<'_>) {
    let written = async {
        let client = rt.store.client().await?;
        audit_log::insert(&client, entry).await
    };
    if let Err(error) = written.await {
        tracing::error!(
            db.name = %rt.name,
            audit.operation = entry.operation,
            audit.success = entry.success,
            user.id = entry.user_id,
            account.id = entry.configuration_id,
            request.id = entry.request_id,
            %error,
            "the audit row of {} could not be written: {error}",
            entry.operation
        );
    }
}

/// A signed call outside `/rpc` that was refused.
pub async fn refused(
    rt: &Runtime,
    identity: &Identity,
    what: &str,
    uid: Option<i32>,
    refusal: &Refusal,
) {
    if matches!(refusal.kind, Kind::DatabaseUnavailable | Kind::SchemaMismatch) {
        return;
    }
    let words = format!("{what}: {}", refusal.kind.as_str());
    let entry = Entry {
        operation: REFUSED,
        response_time_ms: identity.received.elapsed().as_secs_f64() * 1000.0,
        error_message: Some(&words),
        user_id: uid,
        request_id: Some(&identity.request_id),
        address: identity.address.as_deref(),
        ..Entry::default()
    };
    write(rt, &entry).await;
}
