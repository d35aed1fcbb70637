//! `whatsapp_contact` (all columns but name_edited_at and partner_chosen; synced_at is written by synchronisations only): the people one account knows, owned by the daemon.
//!
//! Which row a person has follows from `wabridge.identity`. Lock order: before groups, chats and messages; rows
//! among themselves by account and contact id on insert, by row id on update.

pub(crate) mod fields;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use deadpool_postgres::GenericClient;
use futures_util::try_join;
use jiff::Timestamp;
use wabridge_domain::event::{ContactUpdate, Person};

use super::{text, twins};
use crate::identity::{self, Key, Note};
use crate::{StoreError, Tx};

/// What an event tells of a person.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    pub configuration_id: i32,
    pub provider: &'static str,
    pub person: &'a Person,
    /// When it was told, at the provider: of two names the later one stays.
    pub at: Timestamp,
}

/// The same, with what only an update of a contact tells.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    pub seen: Seen<'a>,
    pub update: Option<&'a ContactUpdate>,
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

/// Finds the rows of people that a send names, and makes the missing ones. Nothing is learned of who is the same
/// person.
///
/// # Errors
/// The database's.
pub async fn ensure(client: &impl GenericClient, people: &[Seen<'_>]) -> Result<Known, StoreError> {
    let told: Vec<Told<'_>> =
        people.iter().map(|seen| Told { seen: *seen, update: None }).collect();
    let nothing = BTreeSet::new();
    let mut known = Known::default();
    let mut persons = Persons::gather(&told);
    if persons.list.is_empty() {
        return Ok(known);
    }
    let accounts: BTreeSet<i32> = people.iter().map(|seen| seen.configuration_id).collect();
    // Both are on their way at once; the database takes the second when it has done the first.
    try_join!(identity::share(client, &accounts), persons.find(client))?;
    if persons.all_known() {
        persons.write(client, &nothing, &mut known).await?;
        return Ok(known);
    }
    identity::hold(client, &accounts).await?;
    for _ in 0..ROUNDS {
        known = Known::default();
        persons = Persons::gather(&told);
        persons.find(client).await?;
        if persons.write(client, &nothing, &mut known).await? {
            identity::keep(client).await?;
            return Ok(known);
        }
        identity::hold_anew(client, &accounts).await?;
    }
    Err(StoreError::Busy("other sessions keep making the same contacts".into()))
}

/// Whether a row says that the person is blocked.
///
/// # Errors
/// The database's.
pub async fn is_blocked(tx: &Tx<'_>, id: i32) -> Result<bool, StoreError> {
    let sql = "-- odoo::contact::is_blocked
        SELECT coalesce(c.is_blocked, false) FROM public.whatsapp_contact c WHERE c.id = $1";
    Ok(tx.query_one(sql, &[/* contact */ &id]).await?.get(0))
}

/// Finds the rows of people that events name, makes the missing ones, and writes what is new of the others. Rows
/// that turn out to be one person's are made one. What is known already is only read. `also` are rows that the caller
/// changes later: they are locked together with the others.
///
/// # Errors
/// The database's; [`StoreError::Busy`] where other sessions keep making rows of the same people.
pub async fn learn(
    tx: &Tx<'_>,
    told: &[Told<'_>],
    also: &BTreeSet<i32>,
) -> Result<Known, StoreError> {
    let accounts: BTreeSet<i32> = told.iter().map(|told| told.seen.configuration_id).collect();
    if Persons::gather(told).list.is_empty() {
        return Ok(Known::default());
    }
    identity::hold(tx, &accounts).await?;
    for _ in 0..ROUNDS {
        let mut known = Known::default();
        let mut persons = Persons::gather(told);
        persons.find(tx).await?;
        let alone = persons.accounts_with_twins();
        if !alone.is_empty() {
            identity::hold_alone(tx, &accounts, &alone).await?;
            persons = Persons::gather(told);
            persons.find(tx).await?;
            known.written = twins::unite(tx, &persons.twins()).await?;
            persons = Persons::gather(told);
            persons.find(tx).await?;
        }
        if persons.write(tx, also, &mut known).await? {
            return Ok(known);
        }
        // Another session made a row of one of these people meanwhile; it has committed by now.
        identity::hold_anew(tx, &accounts).await?;
    }
    Err(StoreError::Busy("other sessions keep making the same contacts".into()))
}

/// How often [`learn`] begins again.
const ROUNDS: usize = 4;

/// A contact row as it stands.
#[derive(Debug, Clone)]
struct Row {
    id: i32,
    phone: Option<String>,
    lid: Option<String>,
    user_id: Option<String>,
    fields: fields::Values,
}

/// One person of a batch: everything that the batch says of them, and the rows that these names have.
#[derive(Debug)]
struct OnePerson<'a> {
    configuration_id: i32,
    told: Vec<Told<'a>>,
    rows: BTreeMap<i32, Row>,
    /// Rows known by nothing but a username: taken when nothing speaks against it.
    by_username: BTreeMap<i32, Row>,
}

impl OnePerson<'_> {
    fn persons(&self) -> impl Iterator<Item = &Person> {
        self.told.iter().flat_map(|told| {
            let former = told.update.and_then(|update| update.formerly.as_ref());
            std::iter::once(told.seen.person).chain(former)
        })
    }

    /// False where a number or id says that these are two people who had one username.
    fn agrees_with(&self, row: &Row) -> bool {
        let same =
            |a: Option<&str>, b: Option<&str>| !matches!((a, b), (Some(a), Some(b)) if a != b);
        self.persons().all(|person| {
            same(person.phone.as_deref(), row.phone.as_deref())
                && same(person.lid.as_deref(), row.lid.as_deref())
                && same(person.user_id.as_deref(), row.user_id.as_deref())
        }) && self.rows.values().all(|own| {
            same(own.phone.as_deref(), row.phone.as_deref())
                && same(own.lid.as_deref(), row.lid.as_deref())
                && same(own.user_id.as_deref(), row.user_id.as_deref())
        })
    }
}

struct Persons<'a> {
    list: Vec<OnePerson<'a>>,
    /// Every name in the batch, and whose it is.
    keys: BTreeMap<Key<'a>, Named>,
}

#[derive(Debug, Clone, Copy)]
struct Named {
    person: usize,
    former_at: Option<Timestamp>,
    /// It stands in `wabridge.identity`, as declared.
    noted: bool,
}

impl<'a> Persons<'a> {
    /// Those with a name in common are one person. Usernames change hands: they alone make nobody the same.
    fn gather(told: &[Told<'a>]) -> Self {
        let told: Vec<&Told<'a>> =
            told.iter().filter(|told| text(&told.seen.person.contact_id).is_some()).collect();
        let mut leaders: Vec<usize> = (0..told.len()).collect();
        fn leader(leaders: &[usize], mut of: usize) -> usize {
            while leaders[of] != of {
                of = leaders[of];
            }
            of
        }
        let mut owners: HashMap<Key<'a>, usize> = HashMap::new();
        for (n, one) in told.iter().enumerate() {
            for (key, _) in keys_of(one).filter(|(key, _)| key.1 != identity::USERNAME) {
                let owner = *owners.entry(key).or_insert(n);
                let (a, b) = (leader(&leaders, owner), leader(&leaders, n));
                leaders[a.max(b)] = a.min(b);
            }
        }
        let mut places: BTreeMap<usize, usize> = BTreeMap::new();
        let mut list: Vec<OnePerson<'a>> = Vec::new();
        let mut keys: BTreeMap<Key<'a>, Named> = BTreeMap::new();
        for (n, one) in told.iter().enumerate() {
            let person = *places.entry(leader(&leaders, n)).or_insert_with(|| {
                list.push(OnePerson {
                    configuration_id: one.seen.configuration_id,
                    told: vec![],
                    rows: BTreeMap::new(),
                    by_username: BTreeMap::new(),
                });
                list.len() - 1
            });
            list[person].told.push(**one);
            for (key, former_at) in keys_of(one) {
                let named = keys.entry(key).or_insert(Named { person, former_at, noted: false });
                named.former_at = named.former_at.max(former_at);
            }
        }
        Self { list, keys }
    }

    async fn find(&mut self, client: &impl GenericClient) -> Result<(), StoreError> {
        let sql = "-- odoo::contact::find
            WITH k AS MATERIALIZED (
                SELECT k.configuration_id, k.kind, k.value, k.former_at, k.no
                FROM unnest($1::int4[], $2::text[], $3::text[], $4::timestamptz[])
                     WITH ORDINALITY AS k(configuration_id, kind, value, former_at, no)),
            found AS (
                SELECT k.no, d.contact_id AS id,
                       date_trunc('second', k.former_at AT TIME ZONE 'UTC') IS NULL
                       OR date_trunc('second', k.former_at AT TIME ZONE 'UTC') <= d.former_at AS noted
                FROM k JOIN wabridge.identity d ON d.configuration_id = k.configuration_id AND d.kind = k.kind
                     AND d.value = k.value
                UNION ALL
                SELECT k.no, c.id, false FROM k JOIN public.whatsapp_contact c
                     ON c.configuration_id = k.configuration_id AND c.contact_id = k.value
                WHERE k.kind = 'contact_id' AND NOT EXISTS (
                    SELECT 1 FROM wabridge.identity d WHERE d.configuration_id = k.configuration_id
                    AND d.kind = k.kind AND d.value = k.value))
            SELECT f.no - 1, coalesce(f.noted, false), c.id, c.phone, c.lid, c.wa_user_id, c.name, c.pushname, c.username,
                   c.picture, c.is_business, c.is_blocked, c.is_wa_contact
            FROM found f JOIN public.whatsapp_contact c ON c.id = f.id";
        let statement = client.prepare_cached(sql).await?;
        let rows = client
            .query(
                &statement,
                &[
                    /* configuration_id */
                    &self.keys.keys().map(|k| k.0).collect::<Vec<_>>(),
                    /* kind */ &self.keys.keys().map(|k| k.1).collect::<Vec<_>>(),
                    /* value */ &self.keys.keys().map(|k| &*k.2).collect::<Vec<_>>(),
                    /* former_at */
                    &self.keys.values().map(|named| named.former_at).collect::<Vec<_>>(),
                ],
            )
            .await?;
        let mut keys: Vec<(&Key<'a>, &mut Named)> = self.keys.iter_mut().collect();
        for row in &rows {
            let place = usize::try_from(row.get::<_, i64>(0)).unwrap_or(usize::MAX);
            let Some((key, named)) = keys.get_mut(place) else { continue };
            named.noted = row.get(1);
            let person = &mut self.list[named.person];
            let found = Row {
                id: row.get(2),
                phone: row.get(3),
                lid: row.get(4),
                user_id: row.get(5),
                fields: fields::Values::read(row, 6),
            };
            if key.1 == identity::USERNAME {
                person.by_username.insert(found.id, found);
            } else {
                person.rows.insert(found.id, found);
            }
        }
        for person in &mut self.list {
            for (id, row) in std::mem::take(&mut person.by_username) {
                if person.agrees_with(&row) {
                    person.rows.insert(id, row);
                }
            }
        }
        Ok(())
    }

    /// True where every person has a row and every name is noted.
    fn all_known(&self) -> bool {
        self.list.iter().all(|person| !person.rows.is_empty())
            && self.keys.values().all(|named| named.noted)
    }

    fn accounts_with_twins(&self) -> BTreeSet<i32> {
        self.list.iter().filter(|p| p.rows.len() > 1).map(|p| p.configuration_id).collect()
    }

    /// (the older row, the younger one) of every person with several, in that order.
    fn twins(&self) -> Vec<(i32, i32)> {
        let mut twins = BTreeSet::new();
        for person in &self.list {
            if let Some(oldest) = person.rows.keys().next() {
                twins.extend(person.rows.keys().skip(1).map(|id| (*oldest, *id)));
            }
        }
        twins.into_iter().collect()
    }

    /// Makes what is missing and writes what is new; false where another session was faster with a row or a name.
    ///
    /// Everything that exists and may change is locked at once and first: afterwards this session waits only for
    /// sessions that are past that point too, each time by key.
    async fn write(
        &self,
        client: &impl GenericClient,
        also: &BTreeSet<i32>,
        known: &mut Known,
    ) -> Result<bool, StoreError> {
        let mut ids: Vec<Option<i32>> =
            self.list.iter().map(|person| person.rows.keys().next().copied()).collect();
        let rows: Vec<(i32, &fields::Values, fields::News<'_>)> = self
            .list
            .iter()
            .filter_map(|person| {
                let row = person.rows.values().next()?;
                Some((row.id, &row.fields, fields::News::of(&person.told)))
            })
            .collect();
        let stale = fields::stale(client, &rows).await?;
        let mut locked: BTreeSet<i32> = also | &stale;
        let unnoted = self.keys.values().filter(|named| !named.noted);
        locked.extend(unnoted.filter_map(|named| ids[named.person]));
        if !locked.is_empty() {
            fields::lock(client, &locked.into_iter().collect::<Vec<_>>()).await?;
        }
        let fresh = reserve(client, &mut ids).await?;
        let notes: Vec<Note<'_>> = self
            .keys
            .iter()
            .filter(|(_, named)| !named.noted)
            .filter_map(|(key, named)| {
                Some(Note {
                    key,
                    contact_id: ids[named.person]?,
                    former_at: named.former_at.map(super::second),
                })
            })
            .collect();
        // Whoever makes a row or gives it another id has its name first: only here sessions wait for each other.
        if !identity::note(client, &notes).await? || !self.insert(client, &fresh, known).await? {
            return Ok(false);
        }
        known.written.extend(fields::write(client, &rows, &stale).await?);
        let named: BTreeSet<i32> = notes.iter().map(|note| note.contact_id).collect();
        known
            .written
            .extend(identity::refresh(client, &named.into_iter().collect::<Vec<_>>()).await?);
        for (person, id) in self.list.iter().zip(&ids) {
            let Some(id) = id else {
                // Deleted between two statements: another try makes it again.
                return Err(StoreError::Busy("a contact vanished while it was written".into()));
            };
            for told in &person.told {
                let key = (person.configuration_id, told.seen.person.contact_id.clone());
                known.ids.insert(key, *id);
            }
        }
        known.written.sort_unstable();
        known.written.dedup();
        Ok(true)
    }

    /// Makes the missing rows: (place, row id). False where one of them is there, unknown by name.
    async fn insert(
        &self,
        client: &impl GenericClient,
        fresh: &[(usize, i32)],
        known: &mut Known,
    ) -> Result<bool, StoreError> {
        let missing: Vec<(i32, &Told<'_>, fields::News<'_>)> = fresh
            .iter()
            .filter_map(|(n, id)| {
                let told = &self.list.get(*n)?.told;
                Some((*id, told.iter().max_by_key(|t| t.seen.at)?, fields::News::of(told)))
            })
            .collect();
        if missing.is_empty() {
            return Ok(true);
        }
        let sql = "-- odoo::contact::insert
            INSERT INTO public.whatsapp_contact (id, configuration_id, contact_id, phone, provider, name, pushname,
                   username, picture, is_business, is_blocked, is_wa_contact, opted_out, partner_id, synced_at, create_uid,
                   create_date, write_uid, write_date)
            SELECT i.id, i.configuration_id, i.contact_id, i.phone, i.provider, i.name, i.pushname, i.username, i.picture,
                   i.is_business::boolean, i.is_blocked::boolean, coalesce(i.is_wa_contact::boolean, true),
                   EXISTS (SELECT 1 FROM wabridge.consent s JOIN public.whatsapp_configuration a
                           ON a.id = i.configuration_id AND s.company_id = coalesce(a.company_id, 0)
                           WHERE s.person IN (i.phone, i.contact_id) AND s.category = 'marketing' AND NOT s.allowed),
                   (SELECT CASE WHEN count(DISTINCT n.partner_id) = 1 THEN min(n.partner_id) END
                    FROM public.whatsapp_partner_number n
                    JOIN public.whatsapp_configuration a ON a.id = i.configuration_id
                    WHERE n.e164 = i.phone
                      AND (n.company_id IS NULL OR a.company_id IS NULL OR n.company_id = a.company_id)),
                   wabridge.synced_at(), 1, now() AT TIME ZONE 'UTC', 1, now() AT TIME ZONE 'UTC'
            FROM unnest($1::int4[], $2::int4[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
                        $9::text[], $10::text[], $11::text[], $12::text[])
                 AS i(id, configuration_id, contact_id, phone, provider, name, pushname, username, picture, is_business,
                      is_blocked, is_wa_contact)
            ORDER BY i.configuration_id, i.contact_id
            ON CONFLICT (configuration_id, contact_id) DO NOTHING
            RETURNING configuration_id, id";
        let column = |field: &str| missing.iter().map(|m| m.2.value(field)).collect::<Vec<_>>();
        let statement = client.prepare_cached(sql).await?;
        let rows = client
            .query(
                &statement,
                &[
                    /* id */ &missing.iter().map(|m| m.0).collect::<Vec<_>>(),
                    /* configuration_id */
                    &missing.iter().map(|m| m.1.seen.configuration_id).collect::<Vec<_>>(),
                    /* contact_id */
                    &missing.iter().map(|m| text(&m.1.seen.person.contact_id)).collect::<Vec<_>>(),
                    /* phone */
                    &missing
                        .iter()
                        .map(|m| m.1.seen.person.phone.as_deref().and_then(text))
                        .collect::<Vec<_>>(),
                    /* provider */
                    &missing.iter().map(|m| m.1.seen.provider).collect::<Vec<_>>(),
                    /* name */ &column(fields::NAME),
                    /* pushname */ &column(fields::PUSHNAME),
                    /* username */ &column(fields::USERNAME),
                    /* picture */ &column(fields::PICTURE),
                    /* is_business */ &column(fields::IS_BUSINESS),
                    /* is_blocked */ &column(fields::IS_BLOCKED),
                    /* is_wa_contact */ &column(fields::IS_WA_CONTACT),
                ],
            )
            .await?;
        known.written.extend(rows.iter().map(|row| (row.get::<_, i32>(0), row.get::<_, i32>(1))));
        let news: Vec<(i32, &fields::News<'_>)> = missing.iter().map(|m| (m.0, &m.2)).collect();
        fields::note(client, &news).await?;
        Ok(rows.len() == missing.len())
    }
}

/// Draws ids for people without a row: (place, row id).
async fn reserve(
    client: &impl GenericClient,
    ids: &mut [Option<i32>],
) -> Result<Vec<(usize, i32)>, StoreError> {
    let missing: Vec<usize> =
        ids.iter().enumerate().filter(|(_, id)| id.is_none()).map(|(n, _)| n).collect();
    if missing.is_empty() {
        return Ok(vec![]);
    }
    let sql = "-- odoo::contact::reserve
        SELECT nextval('public.whatsapp_contact_id_seq')::int4 FROM generate_series(1, $1)";
    let count = i32::try_from(missing.len()).unwrap_or(i32::MAX);
    let statement = client.prepare_cached(sql).await?;
    let rows = client.query(&statement, &[/* how many */ &count]).await?;
    let fresh: Vec<(usize, i32)> =
        missing.into_iter().zip(rows.iter().map(|row| row.get(0))).collect();
    for (n, id) in &fresh {
        ids[*n] = Some(*id);
    }
    Ok(fresh)
}

/// The names that are told of a person, those of before with the time they were given up.
fn keys_of<'a>(told: &Told<'a>) -> impl Iterator<Item = (Key<'a>, Option<Timestamp>)> {
    let account = told.seen.configuration_id;
    let current: Vec<Key<'a>> = identity::names(account, told.seen.person).collect();
    let former: Vec<Key<'a>> = told
        .update
        .and_then(|update| update.formerly.as_ref())
        .into_iter()
        .flat_map(|person| identity::names(account, person))
        .filter(|key| !current.contains(key))
        .collect();
    let at = told.seen.at;
    current
        .into_iter()
        .map(|key| (key, None))
        .chain(former.into_iter().map(move |key| (key, Some(at))))
}

/// Links contacts without a partner whose number exactly one partner of the account's company has, unless a user said
/// whose they are or that they are nobody's. Returns (account, row id).
///
/// # Errors
/// The database's.
pub async fn link_partners(
    client: &impl GenericClient,
    limit: i64,
) -> Result<Vec<(i32, i32)>, StoreError> {
    let sql = "-- odoo::contact::link_partners
        WITH sole AS MATERIALIZED (
            SELECT c.id, min(n.partner_id) AS partner_id
            FROM public.whatsapp_contact c
            JOIN public.whatsapp_configuration a ON a.id = c.configuration_id
            JOIN public.whatsapp_partner_number n ON n.e164 = c.phone
                 AND (n.company_id IS NULL OR a.company_id IS NULL OR n.company_id = a.company_id)
            WHERE c.partner_id IS NULL AND c.partner_chosen IS NOT TRUE
            GROUP BY c.id HAVING count(DISTINCT n.partner_id) = 1
            ORDER BY c.id LIMIT $1),
        target AS MATERIALIZED (
            SELECT c.id, s.partner_id FROM sole s JOIN public.whatsapp_contact c ON c.id = s.id
            WHERE c.partner_id IS NULL AND c.partner_chosen IS NOT TRUE
            ORDER BY c.id FOR NO KEY UPDATE OF c SKIP LOCKED)
        UPDATE public.whatsapp_contact c SET partner_id = t.partner_id, write_uid = 1,
               write_date = now() AT TIME ZONE 'UTC'
        FROM target t WHERE c.id = t.id
        RETURNING c.configuration_id, c.id";
    let statement = client.prepare_cached(sql).await?;
    let rows = client.query(&statement, &[/* limit */ &limit]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}
