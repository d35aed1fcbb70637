//! `wabridge.number_form`: which form of a number with two international forms an account's provider confirmed.
//! Read beside it: `whatsapp_chat` (configuration_id, chat_id, last_inbound_at).

use deadpool_postgres::GenericClient;

use crate::{StoreError, identity};

/// The form of a number that is to be written to: the one that the provider confirmed, else the one that the
/// person wrote from, else the one of a chat that is there. `forms` are (digits, the provider's chat id).
///
/// # Errors
/// The database's.
pub async fn preferred(
    client: &impl GenericClient,
    configuration_id: i32,
    number: &str,
    forms: &[(String, String)],
) -> Result<Option<String>, StoreError> {
    let sql = "-- number_form::preferred
        SELECT coalesce(
            (SELECT f.form FROM wabridge.number_form f WHERE f.configuration_id = $1 AND f.number = $2),
            (SELECT w.form FROM unnest($3::text[], $4::text[]) AS w(form, chat_id)
             JOIN public.whatsapp_chat c ON c.configuration_id = $1 AND c.chat_id = w.chat_id
             ORDER BY c.last_inbound_at DESC NULLS LAST, c.id LIMIT 1))";
    let (digits, chats): (Vec<&str>, Vec<&str>) =
        forms.iter().map(|(form, chat)| (form.as_str(), chat.as_str())).unzip();
    let statement = client.prepare_cached(sql).await?;
    let row = client
        .query_one(
            &statement,
            &[
                /* configuration_id */ &configuration_id,
                /* number */ &number,
                /* forms */ &digits,
                /* chats */ &chats,
            ],
        )
        .await?;
    Ok(row.get(0))
}

/// Remembers forms that the provider confirmed, as (shared name, digits).
///
/// # Errors
/// The database's.
pub async fn confirm(
    client: &impl GenericClient,
    configuration_id: i32,
    forms: &[(String, String)],
) -> Result<(), StoreError> {
    if forms.is_empty() {
        return Ok(());
    }
    let sql = "-- number_form::confirm
        INSERT INTO wabridge.number_form AS f (configuration_id, number, form)
        SELECT DISTINCT ON (w.number) $1, w.number, w.form
        FROM unnest($2::text[], $3::text[]) AS w(number, form) ORDER BY w.number, w.form
        ON CONFLICT (configuration_id, number) DO UPDATE SET form = excluded.form, confirmed_at = now()
        WHERE f.form <> excluded.form";
    let (numbers, digits): (Vec<&str>, Vec<&str>) =
        forms.iter().map(|(number, form)| (number.as_str(), form.as_str())).unzip();
    let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 3] = [
        /* configuration_id */ &configuration_id,
        /* numbers */ &numbers,
        /* forms */ &digits,
    ];
    client.execute(sql, &parameters).await?;
    Ok(())
}

/// Contact rows that have one of these phones (E.164 with plus), as (phone, row id).
///
/// # Errors
/// The database's.
pub async fn contacts(
    client: &impl GenericClient,
    configuration_id: i32,
    phones: &[String],
) -> Result<Vec<(String, i32)>, StoreError> {
    let sql = "-- number_form::contacts
        SELECT d.value, d.contact_id FROM wabridge.identity d
        WHERE d.configuration_id = $1 AND d.kind = $2 AND d.value = ANY($3) AND d.former_at IS NULL";
    let rows = client
        .query(
            sql,
            &[
                /* configuration_id */ &configuration_id,
                /* kind */ &identity::PHONE,
                /* phones */ &phones,
            ],
        )
        .await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// Notes on contact rows that the provider was asked now whether they are on WhatsApp.
///
/// # Errors
/// The database's.
pub async fn checked(client: &impl GenericClient, contacts: &[i32]) -> Result<(), StoreError> {
    if contacts.is_empty() {
        return Ok(());
    }
    let sql = "-- number_form::checked
        WITH target AS MATERIALIZED (
            SELECT c.id FROM public.whatsapp_contact c WHERE c.id = ANY($1) ORDER BY c.id FOR NO KEY UPDATE OF c)
        UPDATE public.whatsapp_contact c
        SET wa_checked_at = date_trunc('second', now() AT TIME ZONE 'UTC'),
            write_uid = 1, write_date = now() AT TIME ZONE 'UTC'
        FROM target t WHERE c.id = t.id";
    client.execute(sql, &[/* contacts */ &contacts]).await?;
    Ok(())
}
