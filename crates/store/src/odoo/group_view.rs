//! Groups as they are read for answers: `whatsapp_group` (id, configuration_id, group_id, name, description,
//! invite_link, switches, is_active), `whatsapp_group_member` (group_id, contact_id, role, state), `whatsapp_contact`
//! (id, configuration_id, contact_id, phone, name, pushname). Read only.

use deadpool_postgres::GenericClient;

use crate::StoreError;

/// A group row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub id: i32,
    pub name: Option<String>,
    pub description: Option<String>,
    pub invite_link: Option<String>,
    pub only_admins_send: Option<bool>,
    pub only_admins_edit: Option<bool>,
    pub join_approval: Option<bool>,
}

/// A member row with its contact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub contact_id: String,
    pub phone: Option<String>,
    pub name: Option<String>,
    /// As in `whatsapp_group_member`.
    pub role: String,
    pub state: String,
}

/// A group in which somebody is, as far as the rows tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    pub configuration_id: i32,
    /// The `whatsapp_group` row.
    pub id: i32,
    pub group_id: String,
    pub name: Option<String>,
}

/// # Errors
/// The database's.
pub async fn group(
    client: &impl GenericClient,
    configuration_id: i32,
    group_id: &str,
) -> Result<Option<Group>, StoreError> {
    let sql = "-- odoo::group_view::group
        SELECT g.id, g.name, g.description, g.invite_link, g.only_admins_send, g.only_admins_edit, g.join_approval
        FROM public.whatsapp_group g WHERE g.configuration_id = $1 AND g.group_id = $2";
    let statement = client.prepare_cached(sql).await?;
    let row = client
        .query_opt(
            &statement,
            &[/* configuration_id */ &configuration_id, /* group_id */ &group_id],
        )
        .await?;
    Ok(row.map(|row| Group {
        id: row.get(0),
        name: row.get(1),
        description: row.get(2),
        invite_link: row.get(3),
        only_admins_send: row.get(4),
        only_admins_edit: row.get(5),
        join_approval: row.get(6),
    }))
}

/// Everybody who has a row in a group, by row id.
///
/// # Errors
/// The database's.
pub async fn members(client: &impl GenericClient, group: i32) -> Result<Vec<Member>, StoreError> {
    let sql = "-- odoo::group_view::members
        SELECT c.contact_id, c.phone, coalesce(c.name, c.pushname), m.role, m.state
        FROM public.whatsapp_group_member m JOIN public.whatsapp_contact c ON c.id = m.contact_id
        WHERE m.group_id = $1 ORDER BY m.id";
    let statement = client.prepare_cached(sql).await?;
    let rows = client.query(&statement, &[/* group */ &group]).await?;
    Ok(rows
        .iter()
        .map(|row| Member {
            contact_id: row.get(0),
            phone: row.get(1),
            name: row.get(2),
            role: row.get(3),
            state: row.get(4),
        })
        .collect())
}

/// The groups of accounts in which somebody has joined: (account, the provider's id of the person), or their number.
///
/// # Errors
/// The database's.
pub async fn memberships(
    client: &impl GenericClient,
    people: &[(i32, String, Option<String>)],
) -> Result<Vec<Membership>, StoreError> {
    let sql = "-- odoo::group_view::memberships
        SELECT DISTINCT g.configuration_id, g.id, g.group_id, g.name
        FROM unnest($1::int4[], $2::text[], $3::text[]) AS p(configuration_id, contact_id, phone)
        JOIN public.whatsapp_contact c ON c.configuration_id = p.configuration_id
             AND (c.contact_id = p.contact_id OR c.phone = p.phone)
        JOIN public.whatsapp_group_member m ON m.contact_id = c.id AND m.state = 'joined'
        JOIN public.whatsapp_group g ON g.id = m.group_id AND g.is_active
        ORDER BY g.configuration_id, g.id";
    let statement = client.prepare_cached(sql).await?;
    let rows = client
        .query(
            &statement,
            &[
                /* configuration_id */ &people.iter().map(|p| p.0).collect::<Vec<_>>(),
                /* contact_id */ &people.iter().map(|p| p.1.as_str()).collect::<Vec<_>>(),
                /* phone */ &people.iter().map(|p| p.2.as_deref()).collect::<Vec<_>>(),
            ],
        )
        .await?;
    Ok(rows.iter().map(membership).collect())
}

/// The rows of groups that are named, at these accounts.
///
/// # Errors
/// The database's.
pub async fn named(
    client: &impl GenericClient,
    accounts: &[i32],
    group_ids: &[&str],
) -> Result<Vec<Membership>, StoreError> {
    let sql = "-- odoo::group_view::named
        SELECT g.configuration_id, g.id, g.group_id, g.name FROM public.whatsapp_group g
        WHERE g.configuration_id = ANY($1) AND g.group_id = ANY($2) ORDER BY g.configuration_id, g.id";
    let statement = client.prepare_cached(sql).await?;
    let rows =
        client.query(&statement, &[/* accounts */ &accounts, /* group_ids */ &group_ids]).await?;
    Ok(rows.iter().map(membership).collect())
}

fn membership(row: &tokio_postgres::Row) -> Membership {
    Membership {
        configuration_id: row.get(0),
        id: row.get(1),
        group_id: row.get(2),
        name: row.get(3),
    }
}

/// Numbers of people whom a provider names by ids without one: (id, E.164).
///
/// # Errors
/// The database's.
pub async fn numbers(
    client: &impl GenericClient,
    configuration_id: i32,
    ids: &[&str],
) -> Result<Vec<(String, String)>, StoreError> {
    let sql = "-- odoo::group_view::numbers
        SELECT i.value, c.phone FROM wabridge.identity i JOIN public.whatsapp_contact c ON c.id = i.contact_id
        WHERE i.configuration_id = $1 AND i.kind IN ('contact_id', 'lid', 'user_id') AND i.value = ANY($2)
          AND c.phone IS NOT NULL";
    let statement = client.prepare_cached(sql).await?;
    let rows = client
        .query(&statement, &[/* configuration_id */ &configuration_id, /* ids */ &ids])
        .await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}
