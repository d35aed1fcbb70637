//! `wabridge.consent`: what a person wants of a company by category; the latest word counts. It shows as `opted_out`
//! of `whatsapp_contact`, for every account of the company that knows the number.

use std::collections::BTreeSet;

use deadpool_postgres::GenericClient;
use jiff::Timestamp;

use crate::StoreError;
use crate::odoo::text;

/// The category that `opted_out` stands for.
pub const MARKETING: &str = "marketing";

/// A wish as it was told.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// The contact row of the person at one account.
    pub contact_id: i32,
    pub category: &'a str,
    /// False: does not want them.
    pub allowed: bool,
    /// The provider's words.
    pub reason: Option<&'a str>,
    pub at: Timestamp,
}

/// The contact rows that [`note`] may change, for wishes of people with these numbers.
///
/// # Errors
/// The database's.
pub async fn concerned(
    client: &impl GenericClient,
    numbers: &[&str],
) -> Result<BTreeSet<i32>, StoreError> {
    if numbers.is_empty() {
        return Ok(BTreeSet::new());
    }
    let sql = "-- consent::concerned
        SELECT c.id FROM public.whatsapp_contact c WHERE c.phone = ANY($1) OR c.id IN (
            SELECT d.contact_id FROM wabridge.identity d WHERE d.kind = 'phone' AND d.value = ANY($1))";
    let statement = client.prepare_cached(sql).await?;
    let rows = client.query(&statement, &[/* numbers */ &numbers]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Takes wishes in; (account, row id) of contacts that changed.
///
/// # Errors
/// The database's.
pub async fn note(
    client: &impl GenericClient,
    wishes: &[Wish<'_>],
) -> Result<Vec<(i32, i32)>, StoreError> {
    if wishes.is_empty() {
        return Ok(vec![]);
    }
    let sql = "-- consent::note
        WITH input AS MATERIALIZED (
            SELECT DISTINCT ON (company_id, person, category) coalesce(a.company_id, 0) AS company_id,
                   coalesce(c.phone, c.contact_id) AS person, i.category, i.allowed, i.reason, i.at
            FROM unnest($1::int4[], $2::text[], $3::bool[], $4::text[], $5::timestamptz[])
                 AS i(contact_id, category, allowed, reason, at)
            JOIN public.whatsapp_contact c ON c.id = i.contact_id
            JOIN public.whatsapp_configuration a ON a.id = c.configuration_id
            ORDER BY company_id, person, category, i.at DESC, i.allowed)
        INSERT INTO wabridge.consent AS s (company_id, person, category, allowed, reason, changed_at)
        SELECT i.company_id, i.person, i.category, i.allowed, i.reason, i.at FROM input i
        WHERE NOT EXISTS (
            SELECT 1 FROM wabridge.consent s WHERE s.company_id = i.company_id AND s.person = i.person
            AND s.category = i.category AND (s.changed_at, NOT s.allowed) >= (i.at, NOT i.allowed))
        ORDER BY i.company_id, i.person, i.category
        ON CONFLICT (company_id, person, category) DO UPDATE
        SET allowed = EXCLUDED.allowed, reason = EXCLUDED.reason, changed_at = EXCLUDED.changed_at
        WHERE (s.changed_at, NOT s.allowed) < (EXCLUDED.changed_at, NOT EXCLUDED.allowed)
        RETURNING s.company_id, s.person, s.category, s.allowed";
    let statement = client.prepare_cached(sql).await?;
    let rows = client
        .query(
            &statement,
            &[
                /* contact_id */ &wishes.iter().map(|w| w.contact_id).collect::<Vec<_>>(),
                /* category */ &wishes.iter().map(|w| text(w.category)).collect::<Vec<_>>(),
                /* allowed */ &wishes.iter().map(|w| w.allowed).collect::<Vec<_>>(),
                /* reason */
                &wishes
                    .iter()
                    .map(|w| w.reason.and_then(text).unwrap_or("told by the provider".into()))
                    .collect::<Vec<_>>(),
                /* at */ &wishes.iter().map(|w| w.at).collect::<Vec<_>>(),
            ],
        )
        .await?;
    let marketing: Vec<(i32, String, bool)> = rows
        .iter()
        .filter(|row| row.get::<_, &str>(2) == MARKETING)
        .map(|row| (row.get(0), row.get(1), row.get(3)))
        .collect();
    show(client, &marketing).await
}

/// Writes `opted_out` of everybody whose wish changed: (company, number or contact id, allowed).
async fn show(
    client: &impl GenericClient,
    wishes: &[(i32, String, bool)],
) -> Result<Vec<(i32, i32)>, StoreError> {
    if wishes.is_empty() {
        return Ok(vec![]);
    }
    let sql = "-- consent::show
        WITH input AS MATERIALIZED (
            SELECT i.company_id, i.person, i.allowed
            FROM unnest($1::int4[], $2::text[], $3::bool[]) AS i(company_id, person, allowed)),
        meant AS MATERIALIZED (
            SELECT c.id, c.configuration_id, i.company_id, i.allowed FROM input i
            JOIN public.whatsapp_contact c ON c.phone = i.person
            UNION ALL
            SELECT c.id, c.configuration_id, i.company_id, i.allowed FROM input i
            JOIN public.whatsapp_configuration a ON coalesce(a.company_id, 0) = i.company_id
            JOIN public.whatsapp_contact c ON c.configuration_id = a.id AND c.contact_id = i.person
            WHERE c.phone IS NULL),
        target AS MATERIALIZED (
            SELECT c.id, m.allowed FROM meant m JOIN public.whatsapp_contact c ON c.id = m.id
            JOIN public.whatsapp_configuration a ON a.id = m.configuration_id
                 AND coalesce(a.company_id, 0) = m.company_id
            WHERE coalesce(c.opted_out, false) = m.allowed
            ORDER BY c.id FOR NO KEY UPDATE OF c)
        UPDATE public.whatsapp_contact c SET opted_out = NOT t.allowed, write_uid = 1,
               write_date = now() AT TIME ZONE 'UTC'
        FROM target t WHERE c.id = t.id
        RETURNING c.configuration_id, c.id";
    let statement = client.prepare_cached(sql).await?;
    let rows = client
        .query(
            &statement,
            &[
                /* company_id */ &wishes.iter().map(|w| w.0).collect::<Vec<_>>(),
                /* person */ &wishes.iter().map(|w| w.1.as_str()).collect::<Vec<_>>(),
                /* allowed */ &wishes.iter().map(|w| w.2).collect::<Vec<_>>(),
            ],
        )
        .await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}
