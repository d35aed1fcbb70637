//! Whom a row id stands for: `whatsapp_contact` (id, configuration_id, contact_id, phone),
//! `whatsapp_group` (id, configuration_id, group_id), `whatsapp_partner_number` (partner_id, e164),
//! `res_partner` (id, phone, mobile where it has one, country_id), `res_country` (id, code). Read only.

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

/// What a partner's row says of his numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partner {
    /// As typed: mobile before phone. Odoo 19 has no mobile.
    pub typed: Vec<String>,
    /// ISO code.
    pub country: Option<String>,
    /// E.164, as the addon read them.
    pub normalized: Vec<String>,
}

/// None where there is no such partner.
///
/// # Errors
/// The database's.
pub async fn partner(client: &impl GenericClient, id: i32) -> Result<Option<Partner>, StoreError> {
    let sql = "-- odoo::recipient::has_mobile
        SELECT EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = 'public.res_partner'::regclass
                       AND attname = 'mobile' AND NOT attisdropped)";
    let statement = client.prepare_cached(sql).await?;
    let has_mobile: bool = client.query_one(&statement, &[]).await?.get(0);
    let mobile = if has_mobile { "p.mobile" } else { "NULL" };
    let sql = format!(
        "-- odoo::recipient::partner
        SELECT {mobile}::text, p.phone::text, k.code::text,
               ARRAY(SELECT n.e164::text FROM public.whatsapp_partner_number n
                     WHERE n.partner_id = p.id AND n.e164 IS NOT NULL ORDER BY n.id)
        FROM public.res_partner p LEFT JOIN public.res_country k ON k.id = p.country_id WHERE p.id = $1"
    );
    let statement = client.prepare_cached(&sql).await?;
    let row = client.query_opt(&statement, &[/* id */ &id]).await?;
    Ok(row.map(|row| {
        let typed = [row.get::<_, Option<String>>(0), row.get(1)];
        Partner {
            typed: typed.into_iter().flatten().filter(|text| !text.trim().is_empty()).collect(),
            country: row.get(2),
            normalized: row.get(3),
        }
    }))
}
