//! Pages of an account's groups with their members, compared with `whatsapp_group` and `whatsapp_group_member`.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use wabridge_domain::event::{GroupUpdate, MemberChange, MemberState, Person, Role, What};
use wabridge_domain::sync::SyncKind;

use super::names::{Left, Names, Standing};
use super::{Of, Page, count};
use crate::apply::{self, Changes, Echoes, Item};
use crate::odoo::text;
use crate::{Session, StoreError, Tx, identity};

/// A group as it stands.
#[derive(Debug)]
struct Row {
    id: i32,
    name: Option<String>,
    edited_at: Option<Timestamp>,
    told: Option<(String, Timestamp)>,
    description: Option<String>,
    picture: Option<String>,
    invite_link: Option<String>,
    flags: [Option<bool>; 4],
}

/// Brings a page of groups in. Of lists of members only who came, went or got another role is written.
///
/// # Errors
/// The database's; [`StoreError::Refused`] where it refuses one of them.
pub async fn write(tx: &Tx<'_>, of: &Of, updates: &[GroupUpdate]) -> Result<Page, StoreError> {
    let mut page = Page::default();
    page.counts.read = count(updates.len());
    let mut by_id: BTreeMap<&str, &GroupUpdate> = BTreeMap::new();
    for update in updates.iter().filter(|update| !update.group_id.is_empty()) {
        by_id.insert(&update.group_id, update);
    }
    let updates: Vec<&GroupUpdate> = by_id.into_values().collect();
    let rows = look(tx, of, &updates).await?;
    let mut members = members(tx, of, &updates, &rows).await?;
    let mut names = Names::default();
    let mut news: Vec<GroupUpdate> = Vec::new();
    let mut touched = 0;
    for (update, row) in updates.iter().zip(&rows) {
        // Not as an event that people see in the chat.
        let mut new = GroupUpdate { kind: "info".to_owned(), ..(*update).clone() };
        let Some(row) = row else {
            news.push(new);
            continue;
        };
        let told = row.told.as_ref().map(|(value, at)| (Some(value.as_str()), *at));
        let standing =
            Standing { id: row.id, odoo: row.name.as_deref(), edited_at: row.edited_at, told };
        let provider = update.name.as_deref().filter(|name| !name.is_empty());
        let provider_at = (update.at < of.at).then_some(update.at);
        let left = names.decide(of, SyncKind::Groups, standing, provider, provider_at);
        if left != Left::News {
            new.name = None;
        }
        new.members = members.remove(&row.id).unwrap_or_default();
        new.all_members = false;
        if trim(&mut new, row) {
            news.push(new);
        } else if left == Left::Decided {
            touched += 1;
        }
    }
    let created = rows.iter().filter(|row| row.is_none()).count();
    page.counts.created = count(created);
    page.counts.changed = count(news.len() - created + touched);
    page.counts.unchanged = page.counts.read - page.counts.created - page.counts.changed;
    if !news.is_empty() {
        let items: Vec<Item> = news
            .into_iter()
            .map(|update| Item {
                configuration_id: of.configuration_id,
                provider: of.provider,
                what: What::Group(Box::new(update)),
                person: None,
                received_at: of.at,
            })
            .collect();
        page.changes = apply::apply(tx, &items.iter().collect::<Vec<_>>(), Echoes::MayWait).await?;
    }
    page.changes.groups.extend(names.write(tx, of, SyncKind::Groups).await?);
    page.items = names.items;
    Ok(page)
}

/// Takes away what stands in the row already; true where something is left.
fn trim(update: &mut GroupUpdate, row: &Row) -> bool {
    fn same(told: &mut Option<String>, current: Option<&str>) {
        if told.as_deref().is_some_and(|words| text(words).as_deref() == current) {
            *told = None;
        }
    }
    same(&mut update.name, row.name.as_deref());
    same(&mut update.description, row.description.as_deref());
    same(&mut update.picture, row.picture.as_deref());
    same(&mut update.invite_link, row.invite_link.as_deref());
    let flags = [
        &mut update.only_admins_send,
        &mut update.only_admins_edit,
        &mut update.join_approval,
        &mut update.is_active,
    ];
    let mut left = false;
    for (told, current) in flags.into_iter().zip(row.flags) {
        if *told == current {
            *told = None;
        }
        left |= told.is_some();
    }
    left || update.name.is_some()
        || update.description.is_some()
        || update.picture.is_some()
        || update.invite_link.is_some()
        || !update.members.is_empty()
}

/// The row of each of them, None where there is none.
async fn look(
    tx: &Tx<'_>,
    of: &Of,
    updates: &[&GroupUpdate],
) -> Result<Vec<Option<Row>>, StoreError> {
    let sql = "-- sync::groups::look
        SELECT g.id, g.name, g.name_edited_at AT TIME ZONE 'UTC', n.value, n.at AT TIME ZONE 'UTC', g.description,
               g.picture, g.invite_link, g.only_admins_send, g.only_admins_edit, g.join_approval, g.is_active
        FROM unnest($2::text[]) WITH ORDINALITY AS i(group_id, no)
        LEFT JOIN public.whatsapp_group g ON g.configuration_id = $1 AND g.group_id = i.group_id
        LEFT JOIN wabridge.group_fact n ON n.group_id = g.id AND n.field = 'name'
        ORDER BY i.no";
    let statement = tx.prepare_cached(sql).await?;
    let ids: Vec<_> = updates.iter().map(|update| text(&update.group_id)).collect();
    let rows =
        tx.query(&statement, &[/* account */ &of.configuration_id, /* group_id */ &ids]).await?;
    Ok(rows
        .iter()
        .map(|row| {
            let told: Option<String> = row.get(3);
            Some(Row {
                id: row.get::<_, Option<i32>>(0)?,
                name: row.get(1),
                edited_at: row.get(2),
                told: told.zip(row.get(4)),
                description: row.get(5),
                picture: row.get(6),
                invite_link: row.get(7),
                flags: [row.get(8), row.get(9), row.get(10), row.get(11)],
            })
        })
        .collect())
}

/// Of each known group (row id) who came, went, or has another role.
async fn members(
    tx: &Tx<'_>,
    of: &Of,
    updates: &[&GroupUpdate],
    rows: &[Option<Row>],
) -> Result<BTreeMap<i32, Vec<MemberChange>>, StoreError> {
    let mut told: Vec<(i32, &MemberChange)> = Vec::new();
    let mut complete: Vec<i32> = Vec::new();
    for (update, row) in updates.iter().zip(rows) {
        let Some(row) = row else { continue };
        told.extend(update.members.iter().map(|member| (row.id, member)));
        if update.all_members {
            complete.push(row.id);
        }
    }
    let mut changes: BTreeMap<i32, Vec<MemberChange>> = BTreeMap::new();
    if told.is_empty() && complete.is_empty() {
        return Ok(changes);
    }
    let sql = "-- sync::groups::members
        WITH i AS MATERIALIZED (
            SELECT i.no, i.group_id, d.contact_id, i.role, i.state
            FROM unnest($2::int4[], $3::text[], $4::text[], $5::text[]) WITH ORDINALITY
                 AS i(group_id, contact_id, role, state, no)
            LEFT JOIN wabridge.identity d
                 ON d.configuration_id = $1 AND d.kind = $7 AND d.value = i.contact_id)
        SELECT i.no, NULL::int4, NULL::text, NULL::text
        FROM i LEFT JOIN public.whatsapp_group_member m ON m.group_id = i.group_id AND m.contact_id = i.contact_id
        WHERE m.id IS NULL OR m.state IS DISTINCT FROM i.state OR m.role <> coalesce(i.role, m.role)
        UNION ALL
        SELECT 0, m.group_id, c.contact_id, c.phone
        FROM public.whatsapp_group_member m JOIN public.whatsapp_contact c ON c.id = m.contact_id
        WHERE m.group_id = ANY($6) AND m.state = 'joined'
          AND NOT EXISTS (SELECT 1 FROM i WHERE i.group_id = m.group_id AND i.contact_id = m.contact_id)";
    let statement = tx.prepare_cached(sql).await?;
    let found = tx
        .query(
            &statement,
            &[
                /* account */ &of.configuration_id,
                /* group */ &told.iter().map(|(group, _)| *group).collect::<Vec<_>>(),
                /* contact */
                &told.iter().map(|(_, m)| text(&m.person.contact_id)).collect::<Vec<_>>(),
                /* role */
                &told.iter().map(|(_, m)| m.role.map(Role::as_str)).collect::<Vec<_>>(),
                /* state */ &told.iter().map(|(_, m)| m.state.as_str()).collect::<Vec<_>>(),
                /* complete */ &complete,
                /* kind */ &identity::CONTACT_ID,
            ],
        )
        .await?;
    let mut seen = HashSet::new();
    for row in &found {
        let group: Option<i32> = row.get(1);
        if let Some(group) = group {
            let contact_id: String = row.get(2);
            let person = Person { contact_id, phone: row.get(3), ..Person::default() };
            let gone = MemberChange { person, role: None, state: MemberState::Left };
            changes.entry(group).or_default().push(gone);
            continue;
        }
        let place = usize::try_from(row.get::<_, i64>(0) - 1).unwrap_or(usize::MAX);
        if let Some((group, member)) = told.get(place)
            && seen.insert((*group, member.person.contact_id.as_str()))
        {
            changes.entry(*group).or_default().push((*member).clone());
        }
    }
    Ok(changes)
}

/// A group whose invitation link nobody told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linkless {
    pub id: i32,
    pub group_id: String,
}

/// The next groups of an account, by row id, that have no link; those left out that were refused less than a day ago.
///
/// # Errors
/// The database's.
pub async fn linkless(
    session: &Session,
    configuration_id: i32,
    after: i32,
    limit: i64,
) -> Result<Vec<Linkless>, StoreError> {
    let sql = "-- sync::groups::linkless
        SELECT g.id, g.group_id FROM public.whatsapp_group g
        WHERE g.configuration_id = $1 AND g.id > $2 AND g.invite_link IS NULL AND g.is_active IS NOT false
          AND NOT EXISTS (SELECT 1 FROM wabridge.group_fact f WHERE f.group_id = g.id AND f.field = 'link_refused'
                          AND f.at > now() AT TIME ZONE 'UTC' - interval '23 hours')
        ORDER BY g.id LIMIT $3";
    let statement = session.prepare_cached(sql).await?;
    let rows = session
        .query(
            &statement,
            &[
                /* account */ &configuration_id,
                /* after */ &after,
                /* limit */ &limit,
            ],
        )
        .await?;
    Ok(rows.iter().map(|row| Linkless { id: row.get(0), group_id: row.get(1) }).collect())
}

/// Brings a link in.
///
/// # Errors
/// The database's; [`StoreError::Refused`] where it refuses the link.
pub async fn link(
    tx: &Tx<'_>,
    of: &Of,
    group: &Linkless,
    link: &str,
) -> Result<Changes, StoreError> {
    let update = GroupUpdate {
        group_id: group.group_id.clone(),
        kind: "info".to_owned(),
        at: of.at,
        invite_link: Some(link.to_owned()),
        ..GroupUpdate::default()
    };
    let item = Item {
        configuration_id: of.configuration_id,
        provider: of.provider,
        what: What::Group(Box::new(update)),
        person: None,
        received_at: of.at,
    };
    apply::apply(tx, &[&item], Echoes::MayWait).await
}

/// Notes that the provider does not tell this account the group's link.
///
/// # Errors
/// The database's.
pub async fn link_refused(session: &Session, group: &Linkless) -> Result<(), StoreError> {
    let sql = "-- sync::groups::link_refused
        INSERT INTO wabridge.group_fact (group_id, field, at, event_id)
        VALUES ($1, 'link_refused', date_trunc('second', now() AT TIME ZONE 'UTC'), '')
        ON CONFLICT (group_id, field) DO UPDATE SET at = EXCLUDED.at";
    let statement = session.prepare_cached(sql).await?;
    session.execute(&statement, &[/* group */ &group.id]).await?;
    Ok(())
}
