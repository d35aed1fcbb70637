//! `wabridge.consent`: what a person wants of a company by category; the latest word counts. It shows as `opted_out`
//! of `whatsapp_contact`, for every account of the company that knows the number.

use std::collections::{BTreeSet, HashMap};

use deadpool_postgres::GenericClient;
use jiff::Timestamp;

use crate::odoo::text;
use crate::{StoreError, Tx};

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
    /// The provider's or the user's words.
    pub reason: Option<&'a str>,
    pub at: Timestamp,
    pub source: Source,
}

/// Who told a wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Provider,
    /// The person, by a word that stops or starts.
    Word,
    /// An Odoo user.
    User(i32),
}

impl Source {
    fn word(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Word => "word",
            Self::User(_) => "user",
        }
    }

    fn uid(self) -> Option<i32> {
        match self {
            Self::User(uid) => Some(uid),
            Self::Provider | Self::Word => None,
        }
    }
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
                   coalesce(c.phone, c.contact_id) AS person, i.category, i.allowed, i.reason, i.at, i.source, i.uid
            FROM unnest($1::int4[], $2::text[], $3::bool[], $4::text[], $5::timestamptz[], $6::text[], $7::int4[])
                 AS i(contact_id, category, allowed, reason, at, source, uid)
            JOIN public.whatsapp_contact c ON c.id = i.contact_id
            JOIN public.whatsapp_configuration a ON a.id = c.configuration_id
            ORDER BY company_id, person, category, i.at DESC, i.allowed),
        noted AS (
        INSERT INTO wabridge.consent AS s
               (company_id, person, category, allowed, reason, changed_at, source, changed_by)
        SELECT i.company_id, i.person, i.category, i.allowed, i.reason, i.at, i.source, i.uid FROM input i
        WHERE NOT EXISTS (
            SELECT 1 FROM wabridge.consent s WHERE s.company_id = i.company_id AND s.person = i.person
            AND s.category = i.category AND (s.changed_at, NOT s.allowed) >= (i.at, NOT i.allowed))
        ORDER BY i.company_id, i.person, i.category
        ON CONFLICT (company_id, person, category) DO UPDATE
        SET allowed = EXCLUDED.allowed, reason = EXCLUDED.reason, changed_at = EXCLUDED.changed_at,
            source = EXCLUDED.source, changed_by = EXCLUDED.changed_by
        WHERE (s.changed_at, NOT s.allowed) < (EXCLUDED.changed_at, NOT EXCLUDED.allowed)
        RETURNING s.company_id, s.person, s.category, s.allowed, s.reason, s.changed_at, s.source, s.changed_by),
        trace AS (
        INSERT INTO wabridge.consent_change
               (company_id, person, category, allowed, reason, changed_at, source, changed_by)
        SELECT company_id, person, category, allowed, reason, changed_at, source, changed_by FROM noted)
        SELECT company_id, person, category, allowed, reason, changed_at FROM noted";
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
                /* source */ &wishes.iter().map(|w| w.source.word()).collect::<Vec<_>>(),
                /* uid */ &wishes.iter().map(|w| w.source.uid()).collect::<Vec<_>>(),
            ],
        )
        .await?;
    let marketing: Vec<Shown> = rows
        .iter()
        .filter(|row| row.get::<_, &str>(2) == MARKETING)
        .map(|row| Shown {
            company_id: row.get(0),
            person: row.get(1),
            allowed: row.get(3),
            reason: row.get(4),
            at: row.get(5),
        })
        .collect();
    show(client, &marketing).await
}

/// A wish about marketing that changed. `person`: number or contact id.
struct Shown {
    company_id: i32,
    person: String,
    allowed: bool,
    reason: String,
    at: Timestamp,
}

/// Writes `opted_out` of everybody whose wish changed.
async fn show(
    client: &impl GenericClient,
    wishes: &[Shown],
) -> Result<Vec<(i32, i32)>, StoreError> {
    if wishes.is_empty() {
        return Ok(vec![]);
    }
    let sql = "-- consent::show
        WITH input AS MATERIALIZED (
            SELECT i.company_id, i.person, i.allowed, i.reason, i.at
            FROM unnest($1::int4[], $2::text[], $3::bool[], $4::text[], $5::timestamptz[])
                 AS i(company_id, person, allowed, reason, at)),
        meant AS MATERIALIZED (
            SELECT c.id, c.configuration_id, i.company_id, i.allowed, i.reason, i.at FROM input i
            JOIN public.whatsapp_contact c ON c.phone = i.person
            UNION ALL
            SELECT c.id, c.configuration_id, i.company_id, i.allowed, i.reason, i.at FROM input i
            JOIN public.whatsapp_configuration a ON coalesce(a.company_id, 0) = i.company_id
            JOIN public.whatsapp_contact c ON c.configuration_id = a.id AND c.contact_id = i.person
            WHERE c.phone IS NULL),
        target AS MATERIALIZED (
            SELECT c.id, m.allowed, m.reason, m.at FROM meant m JOIN public.whatsapp_contact c ON c.id = m.id
            JOIN public.whatsapp_configuration a ON a.id = m.configuration_id
                 AND coalesce(a.company_id, 0) = m.company_id
            WHERE coalesce(c.opted_out, false) = m.allowed
            ORDER BY c.id FOR NO KEY UPDATE OF c)
        UPDATE public.whatsapp_contact c SET opted_out = NOT t.allowed, write_uid = 1,
               opted_out_at = CASE WHEN NOT t.allowed THEN date_trunc('second', t.at AT TIME ZONE 'UTC') END,
               opted_out_reason = CASE WHEN NOT t.allowed THEN t.reason END,
               write_date = now() AT TIME ZONE 'UTC'
        FROM target t WHERE c.id = t.id
        RETURNING c.configuration_id, c.id";
    let statement = client.prepare_cached(sql).await?;
    let rows = client
        .query(
            &statement,
            &[
                /* company_id */ &wishes.iter().map(|w| w.company_id).collect::<Vec<_>>(),
                /* person */ &wishes.iter().map(|w| w.person.as_str()).collect::<Vec<_>>(),
                /* allowed */ &wishes.iter().map(|w| w.allowed).collect::<Vec<_>>(),
                /* reason */ &wishes.iter().map(|w| w.reason.as_str()).collect::<Vec<_>>(),
                /* at */ &wishes.iter().map(|w| w.at).collect::<Vec<_>>(),
            ],
        )
        .await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// True where the person of a contact row wants messages of a category, as far as is known.
///
/// # Errors
/// The database's.
pub async fn allowed(
    client: &impl GenericClient,
    contact_id: i32,
    category: &str,
) -> Result<bool, StoreError> {
    let sql = "-- consent::allowed
        SELECT coalesce((SELECT s.allowed FROM wabridge.consent s
                         WHERE s.company_id = coalesce(a.company_id, 0) AND s.category = $2
                           AND s.person = coalesce(c.phone, c.contact_id)), NOT coalesce(c.opted_out AND $2 = 'marketing', false))
        FROM public.whatsapp_contact c JOIN public.whatsapp_configuration a ON a.id = c.configuration_id
        WHERE c.id = $1";
    let row =
        client.query_opt(sql, &[/* contact_id */ &contact_id, /* category */ &category]).await?;
    Ok(row.is_none_or(|row| row.get(0)))
}

/// The contact rows of a contact's person in its company, in their order.
///
/// # Errors
/// The database's.
pub async fn same_person(
    client: &impl GenericClient,
    contact_id: i32,
) -> Result<Vec<i32>, StoreError> {
    let sql = "-- consent::same_person
        SELECT o.id FROM public.whatsapp_contact c
        JOIN public.whatsapp_configuration a ON a.id = c.configuration_id
        JOIN public.whatsapp_configuration b ON coalesce(b.company_id, 0) = coalesce(a.company_id, 0)
        JOIN public.whatsapp_contact o ON o.configuration_id = b.id
             AND (o.id = c.id OR o.phone = c.phone OR c.phone IS NULL AND o.contact_id = c.contact_id)
        WHERE c.id = $1 ORDER BY o.id";
    let rows = client.query(sql, &[/* contact_id */ &contact_id]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// The stop words of accounts: None where the account's own list is empty. Accounts that do not heed them are left
/// out.
///
/// # Errors
/// The database's.
pub async fn stop_words(
    client: &impl GenericClient,
    accounts: &[i32],
) -> Result<HashMap<i32, Option<String>>, StoreError> {
    if accounts.is_empty() {
        return Ok(HashMap::new());
    }
    let sql = "-- consent::stop_words
        SELECT id, nullif(trim(stop_words), '') FROM public.whatsapp_configuration
        WHERE id = ANY($1) AND coalesce(stop_words_enabled, true)";
    let statement = client.prepare_cached(sql).await?;
    let rows = client.query(&statement, &[/* accounts */ &accounts]).await?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}

/// A send that is about to go, or that somebody asks for.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Its row, once there is one.
    pub message_id: Option<i32>,
    pub chat_key: &'a str,
    /// The person of the chat, as far as is known without a row.
    pub contact_id: Option<&'a str>,
    pub phone: Option<&'a str>,
    /// Beside the row's; the stricter one counts.
    pub category: Option<&'a str>,
    /// The provider's template that it names.
    pub template: Option<&'a str>,
}

/// What keeps a send back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    pub is_group: bool,
    pub last_inbound_at: Option<Timestamp>,
    pub objection: Option<Objection>,
}

/// Why a person does not get it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Objection {
    /// `whatsapp_contact.opted_out`, or a wish of the person in the account's company.
    OptedOut,
    /// An active row of `phone.blacklist`.
    Blacklisted,
}

/// What stands in the way of these sends, in their order. Who gets it is told by the chat; whom the message's row names
/// beside that is asked as well, so that no row that somebody wrote leads around a wish.
///
/// # Errors
/// The database's.
pub async fn about(
    client: &impl GenericClient,
    configuration_id: i32,
    asked: &[Asked<'_>],
) -> Result<Vec<About>, StoreError> {
    let sql = "-- consent::about
        SELECT g.id IS NOT NULL, h.last_inbound_at AT TIME ZONE 'UTC',
               CASE WHEN g.id IS NOT NULL THEN NULL
                    WHEN k.marketing AND p.opted_out THEN 'opted_out'
                    WHEN EXISTS (SELECT 1 FROM wabridge.consent s
                                 WHERE s.company_id = coalesce(a.company_id, 0) AND s.person = ANY(n.names)
                                   AND s.category = ANY(k.categories) AND NOT s.allowed)
                    THEN 'opted_out'
                    WHEN k.marketing AND EXISTS (
                        SELECT 1 FROM public.phone_blacklist b WHERE b.active AND b.number = ANY(n.names))
                    THEN 'blacklisted' END
        FROM unnest($2::int4[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
             WITH ORDINALITY AS i(message_id, chat_key, contact_id, phone, category, template, n)
        JOIN public.whatsapp_configuration a ON a.id = $1
        LEFT JOIN public.whatsapp_message m ON m.id = i.message_id
        LEFT JOIN public.whatsapp_group g ON g.configuration_id = $1 AND g.group_id = i.chat_key
        LEFT JOIN public.whatsapp_chat h ON h.configuration_id = $1 AND h.chat_id = i.chat_key
        CROSS JOIN LATERAL (
            SELECT array_agg(c.word) AS categories, 'marketing' = ANY(array_agg(c.word)) AS marketing
            FROM (SELECT lower(btrim(w)) AS word FROM unnest(ARRAY[m.category, i.category]) AS w
                  UNION ALL
                  SELECT 'marketing' FROM public.whatsapp_message_template t
                  WHERE t.configuration_id = $1 AND t.name = i.template AND lower(t.category) = 'marketing') c
        ) k
        CROSS JOIN LATERAL (
            SELECT coalesce(bool_or(c.opted_out), false) AS opted_out,
                   coalesce(array_agg(c.phone), '{}') || coalesce(array_agg(c.contact_id), '{}') AS names
            FROM public.whatsapp_contact c WHERE c.id IN (
                m.contact_id,
                (SELECT o.id FROM public.whatsapp_contact o
                 WHERE o.configuration_id = $1 AND o.contact_id = i.chat_key),
                (SELECT o.id FROM public.whatsapp_contact o
                 WHERE o.configuration_id = $1 AND o.contact_id = i.contact_id))
        ) p
        CROSS JOIN LATERAL (
            SELECT p.names || ARRAY[i.chat_key, i.contact_id, i.phone,
                       '+' || substring(i.chat_key FROM '^([0-9]{6,15})(@|$)')]::text[] AS names
        ) n
        ORDER BY i.n";
    let statement = client.prepare_cached(sql).await?;
    let rows = client
        .query(
            &statement,
            &[
                /* configuration_id */ &configuration_id,
                /* messages */ &asked.iter().map(|one| one.message_id).collect::<Vec<_>>(),
                /* chats */ &asked.iter().map(|one| one.chat_key).collect::<Vec<_>>(),
                /* contacts */ &asked.iter().map(|one| one.contact_id).collect::<Vec<_>>(),
                /* phones */ &asked.iter().map(|one| one.phone).collect::<Vec<_>>(),
                /* categories */ &asked.iter().map(|one| one.category).collect::<Vec<_>>(),
                /* templates */ &asked.iter().map(|one| one.template).collect::<Vec<_>>(),
            ],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| About {
            is_group: row.get(0),
            last_inbound_at: row.get(1),
            objection: match row.get::<_, Option<&str>>(2) {
                Some("blacklisted") => Some(Objection::Blacklisted),
                Some(_) => Some(Objection::OptedOut),
                None => None,
            },
        })
        .collect())
}

/// Takes sends out of their lanes until the customer writes. The caller holds the lanes.
///
/// # Errors
/// The database's.
pub async fn park(tx: &Tx<'_>, outbox: &[i64]) -> Result<(), StoreError> {
    let sql = "-- consent::park
        UPDATE wabridge.outbox SET position = NULL, not_before = NULL, parked = 'window' WHERE id = ANY($1)";
    let statement = tx.prepare_cached(sql).await?;
    tx.execute(&statement, &[/* ids */ &outbox]).await?;
    Ok(())
}

/// Sends that waited for customers who have written since `open_since` are due now; how many.
///
/// # Errors
/// The database's.
pub async fn unpark(
    client: &impl GenericClient,
    accounts: &[i32],
    open_since: Timestamp,
) -> Result<u64, StoreError> {
    let sql = "-- consent::unpark
        UPDATE wabridge.outbox o SET parked = NULL, not_before = now()
        FROM public.whatsapp_chat c
        WHERE o.parked = 'window' AND o.configuration_id = ANY($1) AND c.configuration_id = o.configuration_id
          AND c.chat_id = o.chat_key AND c.last_inbound_at > $2::timestamptz AT TIME ZONE 'UTC'";
    let statement = client.prepare_cached(sql).await?;
    Ok(client
        .execute(&statement, &[/* accounts */ &accounts, /* open since */ &open_since])
        .await?)
}
