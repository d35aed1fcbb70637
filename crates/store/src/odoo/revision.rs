//! `whatsapp_message_revision` (message_id, revision, content, caption, edited_at, log columns) and what an edit
//! changes in `whatsapp_message` (content, caption, edited_at); `wabridge.message_edit` beside it says which edit a
//! message shows. Owned by the daemon.
//!
//! The highest (time, id) of all edits is shown, every other text is a revision, the first one under the
//! message's own id. A text that an edit does not name stays as the highest edit before left it. All of that
//! follows from the set of edits, so their order does not matter. Lock order: messages by row id, then revisions.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use deadpool_postgres::GenericClient;
use jiff::Timestamp;
use jiff::civil::DateTime;

use super::second;
use crate::{StoreError, Tx};

/// One edit; texts are as they go into rows.
#[derive(Debug, Clone)]
pub struct New<'a> {
    pub configuration_id: i32,
    pub message_id: Cow<'a, str>,
    pub edit_id: Cow<'a, str>,
    pub at: Timestamp,
    /// None leaves it.
    pub content: Option<Cow<'a, str>>,
    /// None leaves it.
    pub caption: Option<Cow<'a, str>>,
}

/// How ids of edits begin that were made here.
pub const OURS: &str = "wabridge:";

/// When an edit was made, whole seconds UTC, and its id.
type Key = (DateTime, String);

/// A message with its edits so far.
#[derive(Debug, Default, Clone, PartialEq)]
struct Texts {
    content: Option<String>,
    caption: Option<String>,
    /// The highest edit; None: it was never edited.
    top: Option<Key>,
    /// The highest edit that gave each text.
    content_by: Option<Key>,
    caption_by: Option<Key>,
}

/// A row of `whatsapp_message_revision`.
#[derive(Debug, Clone, PartialEq)]
struct Former {
    revision: String,
    content: Option<String>,
    caption: Option<String>,
    edited_at: Option<DateTime>,
}

impl Texts {
    /// True for the provider's own word about an edit that was made here, or the other way round: it has no id that
    /// both know, so the text tells.
    fn echoes(&self, edit: &New<'_>) -> bool {
        let Some((_, top)) = &self.top else { return false };
        let same = |new: Option<&str>, shown: &Option<String>| {
            new.is_none_or(|new| Some(new.trim()) == shown.as_deref().map(str::trim))
        };
        (top.starts_with(OURS) || edit.edit_id.starts_with(OURS))
            && same(edit.content.as_deref(), &self.content)
            && same(edit.caption.as_deref(), &self.caption)
    }

    /// Takes one edit in and returns what became a former text by it.
    fn edit(&mut self, key: Key, content: Option<&str>, caption: Option<&str>) -> Former {
        let given =
            |revision: String, content: Option<&str>, caption: Option<&str>, edited_at| Former {
                revision,
                content: content.map(str::to_owned),
                caption: caption.map(str::to_owned),
                edited_at: Some(edited_at),
            };
        let former = match self.top.clone() {
            Some(top) if key < top => given(key.1.clone(), content, caption, key.0),
            Some(top) => {
                let own = |by: &Option<Key>| by.as_ref() == Some(&top);
                let content = self.content.as_deref().filter(|_| own(&self.content_by));
                let caption = self.caption.as_deref().filter(|_| own(&self.caption_by));
                given(top.1.clone(), content, caption, top.0)
            }
            None => Former {
                revision: String::new(),
                content: self.content.clone(),
                caption: self.caption.clone(),
                edited_at: None,
            },
        };
        for (text, by, new) in [
            (&mut self.content, &mut self.content_by, content),
            (&mut self.caption, &mut self.caption_by, caption),
        ] {
            if let Some(new) = new
                && by.as_ref().is_none_or(|by| *by < key)
            {
                *text = Some(new.to_owned());
                *by = Some(key.clone());
            }
        }
        if self.top.as_ref().is_none_or(|top| *top < key) {
            self.top = Some(key);
        }
        former
    }
}

/// Brings edits to their messages, where those are there: (account, row id) of the messages with a new edit. Each new
/// edit becomes an event for Odoo; one that is known is only read.
///
/// # Errors
/// The database's.
pub async fn apply(tx: &Tx<'_>, edits: &[New<'_>]) -> Result<Vec<(i32, i32)>, StoreError> {
    if edits.is_empty() {
        return Ok(vec![]);
    }
    // One entry an edit, in the order of their keys.
    let mut seen = HashSet::new();
    let mut wanted: Vec<&New<'_>> = edits
        .iter()
        .filter(|e| seen.insert((e.configuration_id, &*e.message_id, &*e.edit_id)))
        .collect();
    wanted.sort_by(|a, b| (a.at, &a.edit_id).cmp(&(b.at, &b.edit_id)));
    let mut fresh: BTreeMap<i32, Vec<&New<'_>>> = BTreeMap::new();
    for (edit, found) in wanted.iter().zip(find(tx, &wanted).await?) {
        if let Some((id, false)) = found {
            fresh.entry(id).or_default().push(edit);
        }
    }
    if fresh.is_empty() {
        return Ok(vec![]);
    }
    let ids: Vec<i32> = fresh.keys().copied().collect();
    lock(tx, &ids).await?;
    let mut states = read(tx, &ids).await?;
    // Another session may have been at the same edits before we had the locks.
    let wanted: Vec<&New<'_>> = fresh.values().flatten().copied().collect();
    let known: HashSet<(i32, &str)> = wanted
        .iter()
        .zip(find(tx, &wanted).await?)
        .filter_map(|(edit, found)| {
            found.filter(|(_, known)| *known).map(|(id, _)| (id, &*edit.edit_id))
        })
        .collect();
    let mut formers = Vec::new();
    let mut events = Vec::new();
    let mut changed = Vec::new();
    for (id, edits) in &fresh {
        let Some(state) = states.get_mut(id) else { continue };
        for edit in edits.iter().filter(|edit| !known.contains(&(*id, &*edit.edit_id))) {
            if state.texts.echoes(edit) {
                continue;
            }
            let key = (second(edit.at), edit.edit_id.to_string());
            let mut former =
                state.texts.edit(key, edit.content.as_deref(), edit.caption.as_deref());
            if former.revision.is_empty() {
                former.revision.clone_from(&state.message_id);
                former.edited_at = state.written_at;
            }
            formers.push((*id, former));
            events.push((edit.configuration_id, *id, &*edit.edit_id));
            changed.push((edit.configuration_id, *id));
        }
    }
    changed.sort_unstable();
    changed.dedup();
    if changed.is_empty() {
        return Ok(changed);
    }
    states.retain(|id, _| changed.iter().any(|(_, row)| row == id));
    write(tx, &states).await?;
    insert(tx, &formers).await?;
    tell(tx, &events).await?;
    Ok(changed)
}

/// For each edit the row of its message, and whether the edit is known there.
async fn find(
    client: &impl GenericClient,
    edits: &[&New<'_>],
) -> Result<Vec<Option<(i32, bool)>>, StoreError> {
    let sql = "-- odoo::revision::find
        SELECT m.id, w.edit_id IS NOT DISTINCT FROM i.edit_id OR EXISTS (
                   SELECT 1 FROM public.whatsapp_message_revision r
                   WHERE r.message_id = m.id AND r.revision = i.edit_id)
        FROM unnest($1::int4[], $2::text[], $3::text[])
             WITH ORDINALITY AS i(configuration_id, message_id, edit_id, no)
        LEFT JOIN public.whatsapp_message m
             ON m.configuration_id = i.configuration_id AND m.message_id = i.message_id
        LEFT JOIN wabridge.message_edit w ON w.message_id = m.id
        ORDER BY i.no";
    let statement = client.prepare_cached(sql).await?;
    let rows = client
        .query(
            &statement,
            &[
                /* configuration_id */
                &edits.iter().map(|e| e.configuration_id).collect::<Vec<_>>(),
                /* message_id */ &edits.iter().map(|e| &*e.message_id).collect::<Vec<_>>(),
                /* edit_id */ &edits.iter().map(|e| &*e.edit_id).collect::<Vec<_>>(),
            ],
        )
        .await?;
    Ok(rows.iter().map(|row| row.get::<_, Option<i32>>(0).map(|id| (id, row.get(1)))).collect())
}

async fn lock(tx: &Tx<'_>, ids: &[i32]) -> Result<(), StoreError> {
    let sql = "-- odoo::revision::lock
        SELECT m.id FROM public.whatsapp_message m WHERE m.id = ANY($1) ORDER BY m.id FOR NO KEY UPDATE OF m";
    let statement = tx.prepare_cached(sql).await?;
    tx.query(&statement, &[/* ids */ &ids]).await?;
    Ok(())
}

struct State {
    /// The provider's id, under which the first text is kept.
    message_id: String,
    written_at: Option<DateTime>,
    texts: Texts,
}

/// After [`lock`], in a statement of its own: only that sees what the former holder of the lock wrote.
async fn read(tx: &Tx<'_>, ids: &[i32]) -> Result<BTreeMap<i32, State>, StoreError> {
    let sql = "-- odoo::revision::read
        SELECT m.id, m.message_id, m.timestamp, m.content, m.caption, w.at, w.edit_id, w.content_at, w.content_edit_id,
               w.caption_at, w.caption_edit_id
        FROM public.whatsapp_message m LEFT JOIN wabridge.message_edit w ON w.message_id = m.id
        WHERE m.id = ANY($1)";
    let statement = tx.prepare_cached(sql).await?;
    let rows = tx.query(&statement, &[/* ids */ &ids]).await?;
    let key = |row: &tokio_postgres::Row, at: usize| -> Option<Key> {
        row.get::<_, Option<DateTime>>(at).zip(row.get(at + 1))
    };
    Ok(rows
        .iter()
        .map(|row| {
            let texts = Texts {
                content: row.get(3),
                caption: row.get(4),
                top: key(row, 5),
                content_by: key(row, 7),
                caption_by: key(row, 9),
            };
            (row.get(0), State { message_id: row.get(1), written_at: row.get(2), texts })
        })
        .collect())
}

async fn write(tx: &Tx<'_>, states: &BTreeMap<i32, State>) -> Result<(), StoreError> {
    let sql = "-- odoo::revision::write
        WITH input AS MATERIALIZED (
            SELECT * FROM unnest($1::int4[], $2::text[], $3::text[], $4::timestamp[], $5::text[], $6::timestamp[],
                                 $7::text[], $8::timestamp[], $9::text[])
                 AS i(id, content, caption, at, edit_id, content_at, content_edit_id, caption_at, caption_edit_id)),
        shown AS (
            INSERT INTO wabridge.message_edit (message_id, at, edit_id, content_at, content_edit_id, caption_at,
                   caption_edit_id)
            SELECT i.id, i.at, i.edit_id, i.content_at, i.content_edit_id, i.caption_at, i.caption_edit_id FROM input i
            ORDER BY i.id
            ON CONFLICT (message_id) DO UPDATE
            SET at = EXCLUDED.at, edit_id = EXCLUDED.edit_id, content_at = EXCLUDED.content_at,
                content_edit_id = EXCLUDED.content_edit_id, caption_at = EXCLUDED.caption_at,
                caption_edit_id = EXCLUDED.caption_edit_id)
        UPDATE public.whatsapp_message m
        SET content = i.content, caption = i.caption, edited_at = i.at, write_uid = 1,
            write_date = now() AT TIME ZONE 'UTC'
        FROM input i WHERE m.id = i.id";
    let texts = || states.values().map(|state| &state.texts);
    let at = |get: fn(&Texts) -> &Option<Key>| -> Vec<Option<DateTime>> {
        texts().map(|t| get(t).as_ref().map(|key| key.0)).collect()
    };
    let by = |get: fn(&Texts) -> &Option<Key>| -> Vec<Option<&str>> {
        texts().map(|t| get(t).as_ref().map(|key| key.1.as_str())).collect()
    };
    let statement = tx.prepare_cached(sql).await?;
    tx.execute(
        &statement,
        &[
            /* id */ &states.keys().copied().collect::<Vec<_>>(),
            /* content */ &texts().map(|t| t.content.as_deref()).collect::<Vec<_>>(),
            /* caption */ &texts().map(|t| t.caption.as_deref()).collect::<Vec<_>>(),
            /* at */ &at(|t| &t.top),
            /* edit_id */ &by(|t| &t.top),
            /* content_at */ &at(|t| &t.content_by),
            /* content_edit_id */ &by(|t| &t.content_by),
            /* caption_at */ &at(|t| &t.caption_by),
            /* caption_edit_id */ &by(|t| &t.caption_by),
        ],
    )
    .await?;
    Ok(())
}

async fn insert(tx: &Tx<'_>, formers: &[(i32, Former)]) -> Result<(), StoreError> {
    let sql = "-- odoo::revision::insert
        INSERT INTO public.whatsapp_message_revision (message_id, revision, content, caption, edited_at,
               create_uid, create_date, write_uid, write_date)
        SELECT i.message_id, i.revision, i.content, i.caption, i.edited_at,
               1, now() AT TIME ZONE 'UTC', 1, now() AT TIME ZONE 'UTC'
        FROM unnest($1::int4[], $2::text[], $3::text[], $4::text[], $5::timestamp[])
             AS i(message_id, revision, content, caption, edited_at)
        ORDER BY i.message_id, i.edited_at, i.revision
        ON CONFLICT (message_id, revision) DO NOTHING";
    let statement = tx.prepare_cached(sql).await?;
    tx.execute(
        &statement,
        &[
            /* message_id */ &formers.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
            /* revision */
            &formers.iter().map(|(_, f)| f.revision.as_str()).collect::<Vec<_>>(),
            /* content */
            &formers.iter().map(|(_, f)| f.content.as_deref()).collect::<Vec<_>>(),
            /* caption */
            &formers.iter().map(|(_, f)| f.caption.as_deref()).collect::<Vec<_>>(),
            /* edited_at */ &formers.iter().map(|(_, f)| f.edited_at).collect::<Vec<_>>(),
        ],
    )
    .await?;
    Ok(())
}

/// One event for each edit: (account, row id, edit id).
async fn tell(tx: &Tx<'_>, edits: &[(i32, i32, &str)]) -> Result<(), StoreError> {
    let sql = "-- odoo::revision::tell
        INSERT INTO public.whatsapp_event (kind, message_id, configuration_id, payload, phase, attempts,
               create_uid, create_date, write_uid, write_date)
        SELECT 'message_edited', i.message_id, i.configuration_id, json_build_object('edit_id', i.edit_id)::text,
               'new', 0, 1, now() AT TIME ZONE 'UTC', 1, now() AT TIME ZONE 'UTC'
        FROM unnest($1::int4[], $2::int4[], $3::text[]) WITH ORDINALITY AS i(configuration_id, message_id, edit_id, no)
        ORDER BY i.no";
    let statement = tx.prepare_cached(sql).await?;
    tx.execute(
        &statement,
        &[
            /* configuration_id */ &edits.iter().map(|e| e.0).collect::<Vec<_>>(),
            /* message_id */ &edits.iter().map(|e| e.1).collect::<Vec<_>>(),
            /* edit_id */ &edits.iter().map(|e| e.2).collect::<Vec<_>>(),
        ],
    )
    .await?;
    Ok(())
}
