//! Names that are decided by a synchronisation: the provider's over what a user typed, and what the provider told of
//! those that stay.

use jiff::Timestamp;
use wabridge_domain::conflict::{Decision, Reason, Sides, decide};
use wabridge_domain::sync::SyncKind;

use super::Of;
use super::item::{Decided, Item};
use crate::odoo::{second, text};
use crate::{StoreError, Tx};

/// The name of one row as it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing<'a> {
    pub id: i32,
    pub odoo: Option<&'a str>,
    pub edited_at: Option<Timestamp>,
    /// What the provider told last, and when; None: nothing is known of that.
    pub told: Option<(Option<&'a str>, Timestamp)>,
}

/// Names of a page that are decided.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// (row, the name in Odoo, the provider's) where Odoo's gives way.
    taken: Vec<(i32, String, String)>,
    /// (row, what the provider tells).
    told: Vec<(i32, String)>,
    pub items: Vec<Item>,
}

/// What is left to do with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// Nothing is written.
    Nothing,
    /// It goes the way of all news.
    News,
    /// It stands in [`Names`].
    Decided,
}

impl Names {
    /// Decides about one name; `provider_at` as [`Sides::provider_at`].
    pub fn decide(
        &mut self,
        of: &Of,
        kind: SyncKind,
        name: Standing<'_>,
        provider: Option<&str>,
        provider_at: Option<Timestamp>,
    ) -> Left {
        let told = name.told.map(|(value, _)| value);
        let sides = Sides {
            synced: told,
            synced_at: name.told.map(|(_, at)| at).max(of.read_at),
            provider,
            provider_at,
            odoo: name.odoo,
            edited_at: name.edited_at,
        };
        let Some(provider) = provider else { return Left::Nothing };
        let by = |decided, reason: Reason| Item {
            name: name.odoo.map(str::to_owned),
            field: Some("name"),
            provider_value: Some(provider.to_owned()),
            odoo_value: name.odoo.map(str::to_owned),
            res_id: Some(name.id),
            ..Item::new(kind, decided, reason.sentence())
        };
        match decide(of.policy, &sides) {
            Decision::Stays if told.is_some_and(|told| told != Some(provider)) => {
                self.told.push((name.id, provider.to_owned()));
                Left::Decided
            }
            Decision::Stays => Left::Nothing,
            Decision::Follows => Left::News,
            Decision::Provider(reason) => {
                self.items.push(by(Decided::Provider, reason));
                let odoo = name.odoo.unwrap_or_default().to_owned();
                self.taken.push((name.id, odoo, provider.to_owned()));
                self.told.push((name.id, provider.to_owned()));
                Left::Decided
            }
            Decision::Odoo(reason) => {
                self.items.push(by(Decided::Odoo, reason));
                self.told.push((name.id, provider.to_owned()));
                Left::Decided
            }
        }
    }

    /// Writes what was decided: (account, row id) of the rows that changed. A name that a user changed since it was
    /// read stays.
    ///
    /// # Errors
    /// The database's.
    pub async fn write(
        &self,
        tx: &Tx<'_>,
        of: &Of,
        kind: SyncKind,
    ) -> Result<Vec<(i32, i32)>, StoreError> {
        let (put, note) = match kind {
            SyncKind::Contacts => (PUT_CONTACTS, NOTE_CONTACTS),
            SyncKind::Groups => (PUT_GROUPS, NOTE_GROUPS),
            SyncKind::Messages => return Ok(vec![]),
        };
        let mut changed = Vec::new();
        if !self.taken.is_empty() {
            let statement = tx.prepare_cached(put).await?;
            let rows = tx
                .query(
                    &statement,
                    &[
                        /* id */ &self.taken.iter().map(|t| t.0).collect::<Vec<_>>(),
                        /* former */
                        &self.taken.iter().map(|t| text(&t.1)).collect::<Vec<_>>(),
                        /* name */
                        &self.taken.iter().map(|t| text(&t.2)).collect::<Vec<_>>(),
                    ],
                )
                .await?;
            changed.extend(rows.iter().map(|row| (of.configuration_id, row.get(0))));
        }
        if !self.told.is_empty() {
            let statement = tx.prepare_cached(note).await?;
            tx.execute(
                &statement,
                &[
                    /* id */ &self.told.iter().map(|t| t.0).collect::<Vec<_>>(),
                    /* value */ &self.told.iter().map(|t| text(&t.1)).collect::<Vec<_>>(),
                    /* at */ &second(of.at),
                ],
            )
            .await?;
        }
        Ok(changed)
    }
}

macro_rules! put {
    ($table:literal) => {
        concat!(
            "-- sync::names::put
            WITH target AS MATERIALIZED (
                SELECT t.id, i.name
                FROM unnest($1::int4[], $2::text[], $3::text[]) AS i(id, former, name)
                JOIN public.",
            $table,
            " t ON t.id = i.id
                WHERE t.name IS NOT DISTINCT FROM i.former
                ORDER BY t.id FOR NO KEY UPDATE OF t)
            UPDATE public.",
            $table,
            " t SET name = target.name, synced_at = coalesce(wabridge.synced_at(), t.synced_at), write_uid = 1,
                   write_date = now() AT TIME ZONE 'UTC'
            FROM target WHERE t.id = target.id
            RETURNING t.id"
        )
    };
}

const PUT_CONTACTS: &str = put!("whatsapp_contact");
const PUT_GROUPS: &str = put!("whatsapp_group");

const NOTE_CONTACTS: &str = "-- sync::names::note_contacts
    INSERT INTO wabridge.contact_fact (contact_id, field, at, value)
    SELECT i.id, 'name', $3::timestamp, i.value FROM unnest($1::int4[], $2::text[]) AS i(id, value) ORDER BY i.id
    ON CONFLICT (contact_id, field) DO UPDATE SET at = EXCLUDED.at, value = EXCLUDED.value";

const NOTE_GROUPS: &str = "-- sync::names::note_groups
    INSERT INTO wabridge.group_fact (group_id, field, at, event_id, value)
    SELECT i.id, 'name', $3::timestamp, '', i.value FROM unnest($1::int4[], $2::text[]) AS i(id, value) ORDER BY i.id
    ON CONFLICT (group_id, field) DO UPDATE SET at = EXCLUDED.at, event_id = EXCLUDED.event_id, value = EXCLUDED.value";
