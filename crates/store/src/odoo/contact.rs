//! `whatsapp_contact` (contact_id, phone, name, pushname, provider, is_wa_contact, opted_out, partner_id,
//! configuration_id, log columns): the people one account knows, owned by the daemon.
//!
//! Lock order: before groups, chats and messages; rows among themselves by account and contact id on
//! insert, by row id on update.

use std::collections::BTreeMap;

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use wabridge_domain::event::Person;

use super::{Text, text};
use crate::{StoreError, identity};

/// What an event tells of a person.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    pub configuration_id: i32,
    pub provider: &'static str,
    pub person: &'a Person,
    /// When it was told, at the provider: of two names the later one stays.
    pub at: Timestamp,
}

/// The row of each person, and which of them were written.
#[derive(Debug, Default)]
pub struct Known {
    /// (account, contact id) -> row id.
    pub ids: BTreeMap<(i32, String), i32>,
    /// (account, row id).
    pub written: Vec<(i32, i32)>,
}

impl Known {
    pub fn id(&self, configuration_id: i32, person: &Person) -> Option<i32> {
        self.ids.get(&(configuration_id, person.contact_id.clone())).copied()
    }
}

/// Finds the rows of `people`, makes the missing ones, and writes what is new of the others: the name they
/// chose, a phone number or address-book name that was unknown. What is known already is only read.
///
/// # Errors
/// The database's.
pub async fn ensure(client: &impl GenericClient, people: &[Seen<'_>]) -> Result<Known, StoreError> {
    let mut known = Known::default();
    let mut wanted = newest(people);
    let mut stale = Vec::new();
    // The second round reads rows that another session made between our look and our insert.
    for round in 0..2 {
        if wanted.is_empty() {
            break;
        }
        let mut missing = Vec::new();
        for (seen, found) in wanted.iter().zip(find(client, &wanted).await?) {
            match found {
                Some((id, changed)) => {
                    known.ids.insert(key(seen), id);
                    if changed {
                        stale.push((id, *seen));
                    }
                }
                None => missing.push(*seen),
            }
        }
        if round == 0 {
            insert(client, &missing, &mut known).await?;
        }
        missing.retain(|seen| !known.ids.contains_key(&key(seen)));
        wanted = missing;
    }
    if !wanted.is_empty() {
        // Deleted between the rounds: another try makes them again.
        return Err(StoreError::Busy(format!(
            "{} contacts vanished while they were written",
            wanted.len()
        )));
    }
    // After the inserts: whoever waits for another's new contact holds no row that the other may want.
    update(client, &stale, &mut known).await?;
    Ok(known)
}

fn key(seen: &Seen<'_>) -> (i32, String) {
    (seen.configuration_id, seen.person.contact_id.clone())
}

/// One entry a person, sorted by key: the latest that has a name, else the latest.
fn newest<'a>(people: &[Seen<'a>]) -> Vec<Seen<'a>> {
    let mut by_key: BTreeMap<(i32, &str), Seen<'a>> = BTreeMap::new();
    for seen in people.iter().filter(|seen| !seen.person.contact_id.is_empty()) {
        let rank = |seen: &Seen<'_>| (seen.person.pushname.is_some(), seen.at);
        by_key
            .entry((seen.configuration_id, seen.person.contact_id.as_str()))
            .and_modify(|kept| {
                if rank(seen) > rank(kept) {
                    *kept = *seen;
                }
            })
            .or_insert(*seen);
    }
    by_key.into_values().collect()
}

fn column<'a, T>(people: &[Seen<'a>], get: impl Fn(&Seen<'a>) -> T) -> Vec<T> {
    people.iter().map(get).collect()
}

fn words<'a>(
    people: &[Seen<'a>],
    get: impl Fn(&'a Person) -> Option<&'a str>,
) -> Vec<Option<Text<'a>>> {
    people.iter().map(|seen| get(seen.person).and_then(text)).collect()
}

/// For each of `people` its row, and whether something in it would change.
async fn find(
    client: &impl GenericClient,
    people: &[Seen<'_>],
) -> Result<Vec<Option<(i32, bool)>>, StoreError> {
    let sql = "-- odoo::contact::find
        SELECT c.id,
               coalesce(c.pushname IS DISTINCT FROM i.pushname AND i.pushname IS NOT NULL
                        OR c.phone IS NULL AND i.phone IS NOT NULL
                        OR c.name IS NULL AND i.name IS NOT NULL
                        OR i.lid IS NOT NULL AND NOT EXISTS (
                            SELECT 1 FROM wabridge.identity d WHERE d.configuration_id = i.configuration_id
                            AND d.kind = 'lid' AND d.value = i.lid AND d.contact_id = c.id), false)
        FROM unnest($1::int4[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
             WITH ORDINALITY AS i(configuration_id, contact_id, phone, name, pushname, lid, no)
        LEFT JOIN LATERAL (
            SELECT c.id, c.phone, c.name, c.pushname FROM public.whatsapp_contact c
            WHERE c.configuration_id = i.configuration_id AND c.contact_id = i.contact_id
            UNION ALL
            SELECT c.id, c.phone, c.name, c.pushname
            FROM wabridge.identity d JOIN public.whatsapp_contact c
                 ON c.id = d.contact_id AND c.configuration_id = d.configuration_id
            WHERE d.configuration_id = i.configuration_id AND d.kind = 'lid' AND d.value = i.lid
            LIMIT 1) c ON true
        ORDER BY i.no";
    let statement = client.prepare_cached(sql).await?;
    let rows = client
        .query(
            &statement,
            &[
                /* configuration_id */ &column(people, |s| s.configuration_id),
                /* contact_id */ &words(people, |p| Some(&p.contact_id)),
                /* phone */ &words(people, |p| p.phone.as_deref()),
                /* name */ &words(people, |p| p.name.as_deref()),
                /* pushname */ &words(people, |p| p.pushname.as_deref()),
                /* lid */ &words(people, |p| p.lid.as_deref()),
            ],
        )
        .await?;
    Ok(rows.iter().map(|row| row.get::<_, Option<i32>>(0).map(|id| (id, row.get(1)))).collect())
}

async fn insert(
    client: &impl GenericClient,
    people: &[Seen<'_>],
    known: &mut Known,
) -> Result<(), StoreError> {
    if people.is_empty() {
        return Ok(());
    }
    let sql = "-- odoo::contact::insert
        INSERT INTO public.whatsapp_contact (configuration_id, contact_id, phone, name, pushname, provider,
               is_wa_contact, opted_out, partner_id, create_uid, create_date, write_uid, write_date)
        SELECT i.configuration_id, i.contact_id, i.phone, i.name, i.pushname, i.provider, true, false,
               (SELECT min(n.partner_id) FROM public.whatsapp_partner_number n
                JOIN public.whatsapp_configuration a ON a.id = i.configuration_id
                WHERE n.e164 = i.phone
                  AND (n.company_id IS NULL OR a.company_id IS NULL OR n.company_id = a.company_id)),
               1, now() AT TIME ZONE 'UTC', 1, now() AT TIME ZONE 'UTC'
        FROM unnest($1::int4[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
             AS i(configuration_id, contact_id, phone, name, pushname, provider)
        ORDER BY i.configuration_id, i.contact_id
        ON CONFLICT (configuration_id, contact_id) DO NOTHING
        RETURNING configuration_id, contact_id, id";
    let statement = client.prepare_cached(sql).await?;
    let rows = client
        .query(
            &statement,
            &[
                /* configuration_id */ &column(people, |s| s.configuration_id),
                /* contact_id */ &words(people, |p| Some(&p.contact_id)),
                /* phone */ &words(people, |p| p.phone.as_deref()),
                /* name */ &words(people, |p| p.name.as_deref()),
                /* pushname */ &words(people, |p| p.pushname.as_deref()),
                /* provider */ &column(people, |s| s.provider),
            ],
        )
        .await?;
    for row in &rows {
        let (configuration_id, contact_id, id): (i32, String, i32) =
            (row.get(0), row.get(1), row.get(2));
        known.ids.insert((configuration_id, contact_id), id);
        known.written.push((configuration_id, id));
    }
    let named: Vec<_> = people
        .iter()
        .filter_map(|seen| Some((seen.configuration_id, seen.person, *known.ids.get(&key(seen))?)))
        .collect();
    identity::note(client, &named).await
}

async fn update(
    client: &impl GenericClient,
    people: &[(i32, Seen<'_>)],
    known: &mut Known,
) -> Result<(), StoreError> {
    if people.is_empty() {
        return Ok(());
    }
    let ids: Vec<i32> = people.iter().map(|(id, _)| *id).collect();
    let people: Vec<Seen<'_>> = people.iter().map(|(_, seen)| *seen).collect();
    // Locked by a statement of its own: the next one sees the messages of those we waited for.
    let lock = "-- odoo::contact::lock
        SELECT c.id FROM public.whatsapp_contact c WHERE c.id = ANY($1) ORDER BY c.id FOR NO KEY UPDATE";
    client.execute(&client.prepare_cached(lock).await?, &[/* id */ &ids]).await?;
    // A name is taken when no later message of that person is there: every order of arrival ends the same.
    let sql = "-- odoo::contact::update
        WITH input AS (
            SELECT i.*, NOT EXISTS (
                SELECT 1 FROM public.whatsapp_message m WHERE m.contact_id = i.id AND m.direction = 'inbound'
                AND m.timestamp > date_trunc('second', i.at AT TIME ZONE 'UTC')) AS latest
            FROM unnest($1::int4[], $2::text[], $3::text[], $4::text[], $5::timestamptz[])
                 AS i(id, phone, name, pushname, at)),
        target AS MATERIALIZED (
            SELECT c.id, coalesce(c.phone, i.phone) AS phone, coalesce(c.name, i.name) AS name,
                   CASE WHEN i.pushname IS NOT NULL AND (i.latest OR c.pushname IS NULL)
                        THEN i.pushname ELSE c.pushname END AS pushname
            FROM input i JOIN public.whatsapp_contact c ON c.id = i.id
            WHERE c.phone IS NULL AND i.phone IS NOT NULL OR c.name IS NULL AND i.name IS NOT NULL
               OR c.pushname IS DISTINCT FROM i.pushname AND i.pushname IS NOT NULL
                  AND (i.latest OR c.pushname IS NULL)
            ORDER BY c.id FOR NO KEY UPDATE OF c)
        UPDATE public.whatsapp_contact c SET phone = t.phone, name = t.name, pushname = t.pushname,
               write_uid = 1, write_date = now() AT TIME ZONE 'UTC'
        FROM target t WHERE c.id = t.id
        RETURNING c.configuration_id, c.id";
    let statement = client.prepare_cached(sql).await?;
    let rows = client
        .query(
            &statement,
            &[
                /* id */ &ids,
                /* phone */ &words(&people, |p| p.phone.as_deref()),
                /* name */ &words(&people, |p| p.name.as_deref()),
                /* pushname */ &words(&people, |p| p.pushname.as_deref()),
                /* at */ &column(&people, |s| s.at),
            ],
        )
        .await?;
    known.written.extend(rows.iter().map(|row| (row.get::<_, i32>(0), row.get::<_, i32>(1))));
    let named: Vec<_> = people
        .iter()
        .zip(&ids)
        .map(|(seen, id)| (seen.configuration_id, seen.person, *id))
        .collect();
    identity::note(client, &named).await
}
