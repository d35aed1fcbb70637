//! Looks whether the audit log is as it was sealed.

use std::collections::{HashMap, HashSet};

use wabridge_domain::audit::{self as proof, AuditKey, ERASED, Field, HASH, Head, Row};

use super::{Keys, ROW, SEGMENT, Segment, read_row};
use crate::{StoreError, Tx};

/// Segments that are looked at together.
const PAGE: i64 = 100;
/// Broken rows that are compared with each other, to tell which of them changed places.
const BROKEN_MAX: usize = 200;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// A row does not hold what it held.
    Changed,
    /// A row is gone.
    Deleted,
    /// A row stands among sealed ones and was not sealed with them.
    Inserted,
    /// A row holds what another one held.
    Reordered,
    /// The newest segments are gone.
    Truncated,
    /// A segment of the proof itself was changed or taken out.
    Proof,
    /// Sealed with a key that cannot be opened here.
    KeyMissing,
}

impl Problem {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Deleted => "deleted",
            Self::Inserted => "inserted",
            Self::Reordered => "reordered",
            Self::Truncated => "truncated",
            Self::Proof => "proof_changed",
            Self::KeyMissing => "key_missing",
        }
    }
}

/// The first thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The row of `whatsapp_audit_log`, where it is one.
    pub row_id: Option<i32>,
    /// The segment, where it is one's.
    pub segment: Option<i64>,
    pub problem: Problem,
    /// One sentence.
    pub detail: String,
}

/// What was looked at, and what was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// All of the chain.
    pub segments: i64,
    /// Of these, those whose rows retention removed.
    pub removed_segments: i64,
    /// Rows that were compared.
    pub rows: i64,
    /// Fields that were emptied on request.
    pub erased_fields: i64,
    /// Rows that are not sealed yet: nothing is proven about them.
    pub unsealed: i64,
    /// Time of the oldest of them, unix microseconds.
    pub unsealed_since: Option<i64>,
    /// The newest segment.
    pub head: Option<Head>,
    pub broken: Option<Broken>,
}

/// Compares every sealed row. `head` is one that was written down before: the chain must hold it.
///
/// Runs in a transaction that sees one state, as `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY`.
///
/// # Errors
/// The database's.
pub async fn verify(tx: &Tx<'_>, keys: &Keys, head: Option<&Head>) -> Result<Report, StoreError> {
    let mut walk = Walk::new(keys);
    loop {
        let sql = format!(
            "-- audit::verify::segments
            SELECT {SEGMENT} FROM wabridge.audit_segment WHERE number > $1 ORDER BY number LIMIT $2"
        );
        let after = walk.last.as_ref().map_or(i64::MIN, |segment| segment.number);
        let page = tx.query(&sql, &[/* after */ &after, /* limit */ &PAGE]).await?;
        if page.is_empty() {
            break;
        }
        let page: Vec<Segment> = page.iter().map(Segment::read).collect();
        let rows = rows(tx, &page).await?;
        let erased = erased(tx, keys, &page).await?;
        for segment in page {
            walk.segment(segment, &rows, &erased, head);
        }
    }
    walk.end(tx, head).await
}

/// The rows of these segments that are there, by id.
async fn rows(tx: &Tx<'_>, page: &[Segment]) -> Result<HashMap<i32, Row>, StoreError> {
    let ids: Vec<i32> = page.iter().flat_map(|s| s.row_ids.iter().flatten().copied()).collect();
    let sql = format!(
        "-- audit::verify::rows
        SELECT {ROW} FROM public.whatsapp_audit_log a WHERE a.id = ANY($1)"
    );
    let rows = tx.query(&sql, &[/* ids */ &ids]).await?;
    Ok(rows.iter().map(read_row).map(|row| (row.id, row)).collect())
}

/// (row, column) that were emptied on request, as far as their macs are good.
async fn erased(
    tx: &Tx<'_>,
    keys: &Keys,
    page: &[Segment],
) -> Result<HashSet<(i32, &'static str)>, StoreError> {
    let ids: Vec<i32> = page.iter().flat_map(|s| s.row_ids.iter().flatten().copied()).collect();
    let sql = "-- audit::verify::erased
        SELECT row_id, field, key_id, mac FROM wabridge.audit_erasure WHERE row_id = ANY($1)";
    let mut good = HashSet::new();
    for row in tx.query(sql, &[/* ids */ &ids]).await? {
        let (id, column, key_id, mac): (i32, String, i32, Vec<u8>) =
            (row.get(0), row.get(1), row.get(2), row.get(3));
        let field = Field::ALL.into_iter().find(|field| field.as_str() == column);
        if let (Some(field), Some(key)) = (field, keys.get(&key_id))
            && key.erasure(id, field)[..] == mac[..]
        {
            good.insert((id, field.as_str()));
        }
    }
    Ok(good)
}

struct Walk<'a> {
    keys: &'a Keys,
    report: Report,
    /// The segment before.
    last: Option<Segment>,
    broken: Vec<Broken>,
    /// Rows that do not hold what they held, and what should be there: (as it is, digests, leaf, key id).
    changed: Vec<(Row, [proof::Hash; 2], Vec<u8>, i32)>,
    /// The chain holds the head that was given.
    has_head: bool,
}

impl<'a> Walk<'a> {
    fn new(keys: &'a Keys) -> Self {
        Self {
            keys,
            report: Report::default(),
            last: None,
            broken: vec![],
            changed: vec![],
            has_head: false,
        }
    }

    fn find(&mut self, row_id: Option<i32>, segment: i64, problem: Problem, detail: String) {
        if self.broken.len() < BROKEN_MAX {
            self.broken.push(Broken { row_id, segment: Some(segment), problem, detail });
        }
    }

    fn segment(
        &mut self,
        segment: Segment,
        rows: &HashMap<i32, Row>,
        erased: &HashSet<(i32, &'static str)>,
        head: Option<&Head>,
    ) {
        self.report.segments += 1;
        let number = segment.number;
        let (previous_number, previous_mac, low) = match &self.last {
            Some(last) => (last.number, last.mac.clone(), last.high),
            None => (0, proof::BEGINNING.to_vec(), 0),
        };
        let first_row = segment.row_ids.as_ref().and_then(|ids| ids.first().copied());
        if number != previous_number + 1 {
            let row = unclaimed(&segment, low).or(first_row);
            let detail = format!("segment {} of the proof is gone", previous_number + 1);
            self.find(row, previous_number + 1, Problem::Proof, detail);
        }
        let Some(key) = self.keys.get(&segment.key_id) else {
            let detail = format!(
                "segment {number} was sealed with audit key {}, which cannot be opened: configure the sealing key that it was sealed with",
                segment.key_id
            );
            self.find(first_row, number, Problem::KeyMissing, detail);
            self.last = Some(segment);
            return;
        };
        let found_before = self.broken.len();
        self.contents(key, &segment, rows, erased);
        let chained = number != previous_number + 1 || segment.previous == previous_mac;
        if key.link(&segment.link())[..] != segment.mac[..] || !chained {
            // What is known of the single rows says more.
            if self.broken.len() == found_before {
                let row = unclaimed(&segment, low).map_or(
                    (first_row, Problem::Proof, "the record of segment of the proof was changed"),
                    |row| {
                        (
                            Some(row),
                            Problem::Deleted,
                            "the row was taken out of the log and of the proof",
                        )
                    },
                );
                self.find(row.0, number, row.1, format!("{} (segment {number})", row.2));
            }
        }
        if let Some(head) = head
            && head.number == number
        {
            self.has_head = true;
            if head.mac != segment.mac {
                let detail = format!("segment {number} is not the one of the head {head}");
                self.find(first_row, number, Problem::Proof, detail);
            }
        }
        self.last = Some(segment);
    }

    /// The rows of a segment against its leaves.
    fn contents(
        &mut self,
        key: &AuditKey,
        segment: &Segment,
        rows: &HashMap<i32, Row>,
        erased: &HashSet<(i32, &'static str)>,
    ) {
        let number = segment.number;
        let (Some(ids), Some(leaves), Some(digests)) =
            (&segment.row_ids, &segment.leaves, &segment.digests)
        else {
            self.report.removed_segments += 1;
            let good = segment
                .removal_mac
                .as_deref()
                .is_some_and(|mac| mac == &key.removal(&segment.mac)[..]);
            if !good {
                let detail = format!("the rows of segment {number} were not removed by retention");
                self.find(None, number, Problem::Deleted, detail);
            }
            return;
        };
        let fits = ids.len() * HASH == leaves.len()
            && ids.len() * 2 * HASH == digests.len()
            && proof::root(leaves)[..] == segment.root[..]
            && i32::try_from(ids.len()).is_ok_and(|count| count == segment.row_count);
        let before = self.broken.len();
        for ((id, leaf), digests) in
            ids.iter().zip(leaves.chunks(HASH)).zip(digests.chunks(2 * HASH))
        {
            let Some(row) = rows.get(id) else {
                let detail = format!("the row is gone (segment {number})");
                self.find(Some(*id), number, Problem::Deleted, detail);
                continue;
            };
            self.report.rows += 1;
            let mut stored = [[0; HASH]; 2];
            for (slot, digest) in stored.iter_mut().zip(digests.chunks(HASH)) {
                if digest.len() == HASH {
                    slot.copy_from_slice(digest);
                }
            }
            let mut well = row.leaf(key, &stored)[..] == *leaf;
            for (field, digest) in Field::ALL.into_iter().zip(stored) {
                if key.digest(row.id, field, row.field(field)) == digest {
                    continue;
                }
                if row.field(field) == Some(ERASED) && erased.contains(&(row.id, field.as_str())) {
                    self.report.erased_fields += 1;
                } else {
                    well = false;
                }
            }
            if !well {
                if self.changed.len() < BROKEN_MAX {
                    self.changed.push((row.clone(), stored, leaf.to_vec(), segment.key_id));
                }
                let detail = format!("the row does not hold what was sealed (segment {number})");
                self.find(Some(*id), number, Problem::Changed, detail);
            }
        }
        if !fits && self.broken.len() == before {
            let row = ids.first().copied();
            let detail = format!("the list of rows of segment {number} was changed");
            self.find(row, number, Problem::Proof, detail);
        }
    }

    async fn end(mut self, tx: &Tx<'_>, head: Option<&Head>) -> Result<Report, StoreError> {
        let (high, gaps) =
            self.last.as_ref().map_or((0, &[][..]), |segment| (segment.high, &segment.gaps[..]));
        let first: Vec<i32> = gaps.iter().map(|gap| gap.0).collect();
        let last: Vec<i32> = gaps.iter().map(|gap| gap.1).collect();
        let sql = "-- audit::verify::inserted
            SELECT min(a.id) FROM public.whatsapp_audit_log a
            WHERE a.id <= $1
              AND NOT EXISTS (SELECT FROM unnest($2::int4[], $3::int4[]) AS g(first, last)
                              WHERE a.id BETWEEN g.first AND g.last)
              AND NOT EXISTS (SELECT FROM (SELECT unnest(row_ids) AS id FROM wabridge.audit_segment) s WHERE s.id = a.id)";
        let inserted: Option<i32> = tx
            .query_one(sql, &[/* high */ &high, /* first */ &first, /* last */ &last])
            .await?
            .get(0);
        let sql = "-- audit::verify::unsealed
            SELECT count(*), (extract(epoch FROM min(a.timestamp)) * 1000000)::bigint, min(a.id)
            FROM public.whatsapp_audit_log a
            WHERE a.id > $1 OR EXISTS (SELECT FROM unnest($2::int4[], $3::int4[]) AS g(first, last)
                                       WHERE a.id BETWEEN g.first AND g.last)";
        let row =
            tx.query_one(sql, &[/* high */ &high, /* first */ &first, /* last */ &last]).await?;
        self.report.unsealed = row.get(0);
        self.report.unsealed_since = row.get(1);
        self.report.head = self.last.as_ref().map(Segment::head);
        if let Some(id) = inserted
            && !self.broken.iter().any(|broken| broken.row_id == Some(id))
        {
            self.broken.push(Broken {
                row_id: Some(id),
                segment: None,
                problem: Problem::Inserted,
                detail: "the row stands among sealed ones and was not sealed with them".into(),
            });
        }
        if let Some(head) = head
            && !self.has_head
        {
            let known = self.report.head.as_ref().map_or_else(
                || "there is no segment at all".to_owned(),
                |last| format!("the chain ends with segment {}", last.number),
            );
            self.broken.push(Broken {
                row_id: row.get(2),
                segment: Some(head.number),
                problem: Problem::Truncated,
                detail: format!("{known}, and segment {} was there", head.number),
            });
        }
        let first = self.broken.iter().enumerate().min_by_key(|(n, broken)| {
            // Without a row it stands where it was found.
            let row = broken
                .row_id
                .or_else(|| self.broken[..*n].iter().rev().find_map(|earlier| earlier.row_id));
            (row.unwrap_or(0), *n)
        });
        self.report.broken = first.map(|(_, broken)| self.tell_swaps(broken.clone()));
        Ok(self.report)
    }

    /// A changed row that holds what another one held was put in its place.
    fn tell_swaps(&self, broken: Broken) -> Broken {
        if broken.problem != Problem::Changed {
            return broken;
        }
        let Some((row, ..)) = self.changed.iter().find(|(row, ..)| Some(row.id) == broken.row_id)
        else {
            return broken;
        };
        for (other, digests, leaf, key_id) in &self.changed {
            let Some(key) = self.keys.get(key_id).filter(|_| other.id != row.id) else { continue };
            let moved = Row { id: other.id, ..row.clone() };
            if moved.digests(key) == *digests && moved.leaf(key, digests)[..] == leaf[..] {
                return Broken {
                    problem: Problem::Reordered,
                    detail: format!("the row holds what row {} held", other.id),
                    ..broken
                };
            }
        }
        broken
    }
}

/// The first row id above `low` that the segment passed over without a word: its row was there when it was sealed,
/// or it would be among the gaps.
fn unclaimed(segment: &Segment, low: i32) -> Option<i32> {
    let mut ids: Vec<i32> =
        segment.row_ids.iter().flatten().copied().filter(|id| *id > low).collect();
    ids.sort_unstable();
    let mut ranges: Vec<(i32, i32)> = ids.into_iter().map(|id| (id, id)).collect();
    ranges.extend(segment.gaps.iter().map(|gap| (gap.0, gap.1)));
    ranges.sort_unstable();
    let mut expected = low.checked_add(1)?;
    for (first, last) in ranges {
        if first > expected {
            return Some(expected);
        }
        expected = expected.max(last.checked_add(1)?);
    }
    (expected <= segment.high).then_some(expected)
}
