//! Whom a row id stands for: `whatsapp_contact` (id, configuration_id, contact_id, phone, opted_out),
//! `whatsapp_group` (id, configuration_id, group_id), `whatsapp_partner_number` (partner_id, e164),
//! `res_partner` (id, phone). Read only.

use deadpool_postgres::GenericClient;

use crate::StoreError;

/// A contact row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    pub configuration_id: i32,
    pub contact_id: String,
    pub phone: Option<String>,
}

/// # Errors
/// The database's.
pub async fn contact(client: &impl GenericClient, id: i32) -> Result<Option<Contact>, StoreError> {
    let sql = "-- odoo::recipient::contact
        SELECT configuration_id, contact_id, phone FROM public.whatsapp_contact WHERE id = $1";
    let row = client.query_opt(sql, &[/* id */ &id]).await?;
    Ok(row.map(|row| Contact {
        configuration_id: row.get(0),
        contact_id: row.get(1),
        phone: row.get(2),
    }))
}

/// Account and the provider's id of a group row.
///
/// # Errors
/// The database's.
pub async fn group(
    client: &impl GenericClient,
    id: i32,
) -> Result<Option<(i32, String)>, StoreError> {
    let sql = "-- odoo::recipient::group
        SELECT configuration_id, group_id FROM public.whatsapp_group WHERE id = $1";
    let row = client.query_opt(sql, &[/* id */ &id]).await?;
    Ok(row.map(|row| (row.get(0), row.get(1))))
}

/// The number of a partner: the first that the addon has normalized, else what was typed into `phone`.
/// None where there is no such partner, `Some(None)` where he has no number.
///
/// # Errors
/// The database's.
pub async fn partner(
    client: &impl GenericClient,
    id: i32,
) -> Result<Option<Option<String>>, StoreError> {
    let sql = "-- odoo::recipient::partner
        SELECT coalesce((SELECT n.e164 FROM public.whatsapp_partner_number n
                         WHERE n.partner_id = p.id AND n.e164 IS NOT NULL ORDER BY n.id LIMIT 1), nullif(p.phone, ''))
        FROM public.res_partner p WHERE p.id = $1";
    let row = client.query_opt(sql, &[/* id */ &id]).await?;
    Ok(row.map(|row| row.get(0)))
}

/// True where the person of this chat does not want marketing.
///
/// # Errors
/// The database's.
pub async fn opted_out(
    client: &impl GenericClient,
    configuration_id: i32,
    contact_id: &str,
) -> Result<bool, StoreError> {
    let sql = "-- odoo::recipient::opted_out
        SELECT EXISTS (SELECT 1 FROM public.whatsapp_contact
                       WHERE configuration_id = $1 AND contact_id = $2 AND opted_out)";
    let row = client
        .query_one(sql, &[/* configuration_id */ &configuration_id, /* contact_id */ &contact_id])
        .await?;
    Ok(row.get(0))
}
