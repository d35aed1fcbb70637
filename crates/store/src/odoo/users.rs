//! Who may use which account: `res_users`, its groups and companies, and the accounts' own lists. Read only.
//!
//! Groups are followed through what they imply: Odoo 14 stores the closure, 19 only what was given directly.
//! Tables: res_users (id, active, company_id), res_company_users_rel, res_groups_users_rel,
//! res_groups_implied_rel, ir_model_data, res_users_whatsapp_configuration_rel,
//! res_groups_whatsapp_configuration_rel, whatsapp_configuration (id, active, company_id, sequence).

use deadpool_postgres::GenericClient;

use crate::schema::ADDON;
use crate::{Database, StoreError};

/// What a user is entitled to at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entitlement {
    pub uid: i32,
    /// Has the addon's user group, given or implied.
    pub is_user: bool,
    pub is_admin: bool,
    /// The company he works in.
    pub company_id: Option<i32>,
    pub companies: Vec<i32>,
    /// Accounts that name him or one of his groups, archived ones included.
    pub assigned: Vec<i32>,
}

/// Loads the active ones of some users.
///
/// # Errors
/// The database's.
pub async fn load(
    client: &impl GenericClient,
    uids: &[i32],
) -> Result<Vec<Entitlement>, StoreError> {
    let sql = "-- odoo::users::load
        WITH RECURSIVE g(uid, id) AS (
            SELECT r.uid, r.gid FROM public.res_groups_users_rel r WHERE r.uid = ANY ($1)
            UNION
            SELECT g.uid, i.hid FROM public.res_groups_implied_rel i JOIN g ON g.id = i.gid),
        named(uid, name) AS (
            SELECT g.uid, d.name FROM public.ir_model_data d JOIN g ON g.id = d.res_id
            WHERE d.module = $2 AND d.model = 'res.groups'
              AND d.name IN ('group_whatsapp_user', 'group_whatsapp_admin'))
        SELECT u.company_id,
               ARRAY(SELECT c.cid FROM public.res_company_users_rel c WHERE c.user_id = u.id ORDER BY 1),
               EXISTS (SELECT 1 FROM named n WHERE n.uid = u.id AND n.name = 'group_whatsapp_user'),
               EXISTS (SELECT 1 FROM named n WHERE n.uid = u.id AND n.name = 'group_whatsapp_admin'),
               ARRAY(SELECT a.whatsapp_configuration_id FROM public.res_users_whatsapp_configuration_rel a
                     WHERE a.res_users_id = u.id
                     UNION
                     SELECT a.whatsapp_configuration_id FROM public.res_groups_whatsapp_configuration_rel a
                     JOIN g ON g.uid = u.id AND g.id = a.res_groups_id),
               u.id
        FROM public.res_users u WHERE u.id = ANY ($1) AND u.active";
    let statement = client.prepare_cached(sql).await?;
    let rows = client.query(&statement, &[/* uids */ &uids, /* module */ &ADDON]).await?;
    Ok(rows
        .iter()
        .map(|row| Entitlement {
            uid: row.get(5),
            company_id: row.get(0),
            companies: row.get(1),
            is_user: row.get(2),
            is_admin: row.get(3),
            assigned: row.get(4),
        })
        .collect())
}

/// Where an account stands: whose it is, and whether it is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    pub id: i32,
    pub active: bool,
    pub company_id: Option<i32>,
}

/// All accounts in the order of `sequence, id`, archived ones included.
///
/// # Errors
/// The database's.
pub async fn standings(client: &impl GenericClient) -> Result<Vec<Standing>, StoreError> {
    let sql = "-- odoo::users::standings
        SELECT c.id, coalesce(c.active, false), c.company_id FROM public.whatsapp_configuration c
        ORDER BY coalesce(c.sequence, 10), c.id";
    let statement = client.prepare_cached(sql).await?;
    let rows = client.query(&statement, &[]).await?;
    Ok(rows
        .iter()
        .map(|row| Standing { id: row.get(0), active: row.get(1), company_id: row.get(2) })
        .collect())
}

/// Of the (account, chat id) pairs, the account that wrote there last; None when none of them ever did.
///
/// # Errors
/// The database's.
pub async fn last_writer(
    database: &Database,
    accounts: &[i32],
    chats: &[String],
) -> Result<Option<i32>, StoreError> {
    let client = database.client().await?;
    let sql = "-- odoo::users::last_writer
        SELECT p.account FROM unnest($1::int4[], $2::text[]) AS p(account, chat)
        CROSS JOIN LATERAL (
            SELECT m.id, m.timestamp FROM public.whatsapp_message m
            WHERE m.configuration_id = p.account AND m.chat_id = p.chat AND m.from_me
            ORDER BY m.id DESC LIMIT 1) m
        ORDER BY m.timestamp DESC NULLS LAST, m.id DESC LIMIT 1";
    let statement = client.prepare_cached(sql).await?;
    let row = client.query_opt(&statement, &[/* accounts */ &accounts, /* chats */ &chats]).await?;
    Ok(row.map(|row| row.get(0)))
}
