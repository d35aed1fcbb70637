//! `whatsapp_sync_run_item` (all columns): what a run decided, in words for users. Owned by the daemon.

use wabridge_domain::sync::SyncKind;

use crate::odoo::text;
use crate::{StoreError, Tx};

/// At most so many of one run are kept.
pub const ITEMS_MAX: i64 = 10_000;

/// The word in `decision`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decided {
    Provider,
    Odoo,
    Error,
    Late,
}

impl Decided {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Odoo => "odoo",
            Self::Error => "error",
            Self::Late => "late",
        }
    }
}

/// One decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub kind: SyncKind,
    pub decided: Decided,
    /// Whom it is about.
    pub name: Option<String>,
    pub field: Option<&'static str>,
    pub provider_value: Option<String>,
    pub odoo_value: Option<String>,
    pub reason: Option<String>,
    /// The contact, group or message row.
    pub res_id: Option<i32>,
}

impl Item {
    pub fn new(kind: SyncKind, decided: Decided, reason: impl Into<String>) -> Self {
        Self {
            kind,
            decided,
            name: None,
            field: None,
            provider_value: None,
            odoo_value: None,
            reason: Some(reason.into()),
            res_id: None,
        }
    }
}

/// Adds items to a run, as far as there is room.
///
/// # Errors
/// The database's.
pub async fn add(tx: &Tx<'_>, run_id: i32, items: &[Item]) -> Result<(), StoreError> {
    if items.is_empty() {
        return Ok(());
    }
    let sql = "-- sync::item::add
        INSERT INTO public.whatsapp_sync_run_item (run_id, kind, decision, name, field, provider_value, odoo_value,
               reason, res_id, create_uid, create_date, write_uid, write_date)
        SELECT $1, i.kind, i.decision, i.name, i.field, i.provider_value, i.odoo_value, i.reason, i.res_id,
               1, now() AT TIME ZONE 'UTC', 1, now() AT TIME ZONE 'UTC'
        FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::int4[])
             WITH ORDINALITY
             AS i(kind, decision, name, field, provider_value, odoo_value, reason, res_id, no)
        ORDER BY i.no
        LIMIT greatest($10 - (SELECT count(*) FROM public.whatsapp_sync_run_item k WHERE k.run_id = $1), 0)";
    fn words<'a>(
        items: &'a [Item],
        get: impl Fn(&'a Item) -> Option<&'a str>,
    ) -> Vec<Option<std::borrow::Cow<'a, str>>> {
        items.iter().map(|item| get(item).and_then(text)).collect()
    }
    let statement = tx.prepare_cached(sql).await?;
    tx.execute(
        &statement,
        &[
            /* run */ &run_id,
            /* kind */ &words(items, |i| Some(i.kind.as_str())),
            /* decision */ &words(items, |i| Some(i.decided.as_str())),
            /* name */ &words(items, |i| i.name.as_deref()),
            /* field */ &words(items, |i| i.field),
            /* provider_value */ &words(items, |i| i.provider_value.as_deref()),
            /* odoo_value */ &words(items, |i| i.odoo_value.as_deref()),
            /* reason */ &words(items, |i| i.reason.as_deref()),
            /* res_id */ &items.iter().map(|i| i.res_id).collect::<Vec<_>>(),
            /* most */ &ITEMS_MAX,
        ],
    )
    .await?;
    Ok(())
}
