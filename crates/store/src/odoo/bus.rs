//! `bus_bus`, Odoo's mailbox of its web clients. Rows go in one short transaction at a time, in one order:
//! Odoo 14 loses a row that is committed after one with a higher id was seen.
//!
//! Columns: see [`crate::schema::COLUMNS`].

use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::advisory::{Job, lock_tx};
use crate::{Database, StoreError};

/// PostgreSQL takes payloads below 8000 bytes.
const NOTIFY_BYTES: usize = 7000;

/// The partners of everybody who may see the account: its users, the members of its user groups (implied
/// ones included) and the administrators, as far as the account's company is one of theirs.
///
/// # Errors
/// The database's.
pub async fn recipients(
    database: &Database,
    configuration_id: i32,
) -> Result<Vec<i32>, StoreError> {
    let sql = "-- odoo::bus::recipients
        WITH RECURSIVE wanted(id) AS (
            SELECT res_groups_id FROM public.res_groups_whatsapp_configuration_rel WHERE whatsapp_configuration_id = $1
            UNION
            SELECT res_id FROM public.ir_model_data
            WHERE model = 'res.groups' AND module = 'whatsapp_integration' AND name = 'group_whatsapp_admin'
            UNION
            SELECT i.gid FROM public.res_groups_implied_rel i JOIN wanted w ON i.hid = w.id
        ), people(uid) AS (
            SELECT r.uid FROM public.res_groups_users_rel r JOIN wanted w ON w.id = r.gid
            UNION
            SELECT res_users_id FROM public.res_users_whatsapp_configuration_rel WHERE whatsapp_configuration_id = $1
        )
        SELECT DISTINCT u.partner_id
        FROM people p JOIN public.res_users u ON u.id = p.uid AND u.active
        JOIN public.whatsapp_configuration c ON c.id = $1
        WHERE u.partner_id IS NOT NULL
          AND (c.company_id IS NULL OR EXISTS (
                SELECT 1 FROM public.res_company_users_rel k WHERE k.user_id = u.id AND k.cid = c.company_id))
        ORDER BY u.partner_id";
    let rows = database.client().await?.query(sql, &[/* account */ &configuration_id]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// One message for the web clients of one partner.
pub struct Hint {
    pub partner_id: i32,
    pub message: Value,
}

/// Inserts the hints in one transaction that no other bus writer of this database overlaps.
///
/// # Errors
/// The database's.
pub async fn insert(database: &Database, hints: &[Hint]) -> Result<(), StoreError> {
    let channels: Vec<String> = hints
        .iter()
        .map(|hint| ascii(&channel(database.dbname(), hint.partner_id).to_string()))
        .collect();
    let messages: Vec<String> = hints.iter().map(|hint| hint.message.to_string()).collect();
    crate::tx!(database, "bus.insert", |tx| {
        lock_tx(tx, Job::Bus).await?;
        let sql = "-- odoo::bus::insert
            INSERT INTO public.bus_bus (channel, message, create_uid, create_date, write_uid, write_date)
            SELECT c, m, 1, now() AT TIME ZONE 'UTC', 1, now() AT TIME ZONE 'UTC'
            FROM unnest($1::text[], $2::text[]) AS t(c, m)";
        tx.execute(sql, &[/* channels */ &channels, /* messages */ &messages]).await?;
        Ok::<_, StoreError>(())
    })
}

/// Wakes Odoo's listeners; `postgres` is a connection to the database of that name. After the commit only.
///
/// # Errors
/// The database's.
pub async fn notify(postgres: &Client, dbname: &str, partners: &[i32]) -> Result<(), StoreError> {
    let mut list: Vec<Value> = Vec::new();
    let mut bytes = 2;
    for partner in partners {
        let channel = channel(dbname, *partner);
        let size = channel.to_string().len() + 1;
        if bytes + size > NOTIFY_BYTES {
            send(postgres, &std::mem::take(&mut list)).await?;
            bytes = 2;
        }
        bytes += size;
        list.push(channel);
    }
    if !list.is_empty() {
        send(postgres, &list).await?;
    }
    Ok(())
}

/// A payload that is no JSON list of channels stops the listeners of the whole cluster for 50 s: encoder only.
async fn send(postgres: &Client, channels: &[Value]) -> Result<(), StoreError> {
    let sql = "-- odoo::bus::notify
        SELECT pg_notify('imbus', $1)";
    postgres.execute(sql, &[/* channels */ &ascii(&json!(channels).to_string())]).await?;
    Ok(())
}

fn channel(dbname: &str, partner_id: i32) -> Value {
    json!([dbname, "res.partner", partner_id])
}

/// Escapes what is not ASCII as Python's `json.dumps` does: channels are compared as text.
fn ascii(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for unit in json.encode_utf16() {
        match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii() => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\u{unit:04x}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_written_as_python_writes_them() {
        assert_eq!(channel("acme", 3).to_string(), r#"["acme","res.partner",3]"#);
        assert_eq!(
            ascii(&channel("größe", 3).to_string()),
            r#"["gr\u00f6\u00dfe","res.partner",3]"#
        );
    }
}
