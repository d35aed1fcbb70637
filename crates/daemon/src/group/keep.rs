//! Brings what a call came to into Odoo's rows, as webhooks are brought there.

use wabridge_domain::event::{GroupUpdate, What};
use wabridge_rpc::Failure;
use wabridge_store::apply::{self, Changes, Echoes, Item};
use wabridge_store::odoo::group_view::{self, Group};
use wabridge_store::{StoreError, Tx, read, tx};

use super::Work;
use crate::access;
use crate::ingest::publish::publish;

impl Work {
    /// Applies updates of this account's groups in the caller's transaction, which publishes the changes when it is
    /// committed.
    pub(super) async fn apply(
        &self,
        tx: &Tx<'_>,
        updates: &[GroupUpdate],
    ) -> Result<Changes, StoreError> {
        let items: Vec<Item> = updates
            .iter()
            .map(|update| Item {
                configuration_id: self.account.id,
                provider: self.account.provider,
                what: What::Group(Box::new(update.clone())),
                person: None,
                received_at: self.at,
            })
            .collect();
        apply::apply(tx, &items.iter().collect::<Vec<_>>(), Echoes::MayWait).await
    }

    /// Applies updates of one group, and tells its row.
    pub(super) async fn keep(
        &self,
        group_id: &str,
        updates: &[GroupUpdate],
    ) -> Result<Option<Group>, Failure> {
        let kept: Result<(Changes, Option<Group>), StoreError> =
            tx!(&self.rt.store, "group.keep", |tx| {
                let changes = self.apply(tx, updates).await?;
                let row = group_view::group(tx, self.account.id, group_id).await?;
                Ok::<_, StoreError>((changes, row))
            });
        let (changes, row) = kept.map_err(|error| self.not_kept(&error))?;
        publish(&self.rt, &changes);
        Ok(row)
    }

    /// The row of a group, as it stands.
    pub(super) async fn known(&self, group_id: &str) -> Result<Option<Group>, Failure> {
        let row: Result<Option<Group>, StoreError> =
            read!(&self.rt.store, "group.known", |client| {
                group_view::group(client, self.account.id, group_id).await
            });
        Ok(row.map_err(|error| access::store_refusal(&self.rt, &error))?)
    }

    /// What the caller is told where the provider did it and the rows could not be written.
    pub(super) fn not_kept(&self, error: &StoreError) -> Failure {
        let refusal = access::store_refusal(&self.rt, error);
        let why = format!(
            "the provider did it, but Odoo could not be told: {}; a synchronisation brings it",
            refusal.message
        );
        Failure::new(refusal.kind, why)
    }
}
