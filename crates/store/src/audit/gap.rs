//! Row ids that were drawn but are not there: their transaction has not ended, or was rolled back.

/// Microseconds after which an id that was not there is not waited for any more: sessions of ours end their
/// transactions within half a minute.
const PATIENCE: i64 = 3_600_000_000;

/// Ids from `first` to `last`, noticed at `seen` (unix microseconds).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    pub first: i32,
    pub last: i32,
    pub seen: i64,
}

impl Gap {
    pub fn has(&self, id: i32) -> bool {
        (self.first..=self.last).contains(&id)
    }
}

/// The gaps once `ids` (ascending) are sealed too, and the new greatest id. Gaps that hold an id of `open` (rows that
/// are there but may still change) stay, others are forgotten with time.
pub(super) fn after(
    gaps: &[Gap],
    high: i32,
    ids: &[i32],
    open: &[i32],
    now: i64,
) -> (Vec<Gap>, i32) {
    let mut left = Vec::new();
    for gap in gaps {
        let mut first = gap.first;
        for id in ids.iter().copied().filter(|id| gap.has(*id)) {
            if id > first {
                left.push(Gap { first, last: id - 1, ..*gap });
            }
            first = id.saturating_add(1);
        }
        if first <= gap.last {
            left.push(Gap { first, ..*gap });
        }
    }
    left.retain(|gap| now - gap.seen < PATIENCE || open.iter().any(|id| gap.has(*id)));
    let mut expected = high.saturating_add(1);
    for id in ids.iter().copied().filter(|id| *id > high) {
        if id > expected {
            left.push(Gap { first: expected, last: id - 1, seen: now });
        }
        expected = id.saturating_add(1);
    }
    (left, ids.last().copied().unwrap_or(high).max(high))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(first: i32, last: i32, seen: i64) -> Gap {
        Gap { first, last, seen }
    }

    #[test]
    fn ids_that_come_late() {
        let (gaps, high) = after(&[], 0, &[1, 2, 5, 9], &[], 10);
        assert_eq!((gaps.as_slice(), high), ([gap(3, 4, 10), gap(6, 8, 10)].as_slice(), 9));
        let (gaps, high) = after(&gaps, high, &[4, 7, 10], &[], 20);
        assert_eq!(
            (gaps.as_slice(), high),
            ([gap(3, 3, 10), gap(6, 6, 10), gap(8, 8, 10)].as_slice(), 10)
        );
        let (gaps, high) = after(&gaps, high, &[3, 6, 8], &[], 30);
        assert_eq!((gaps.as_slice(), high), ([].as_slice(), 10));
    }

    #[test]
    fn forgotten_with_time_but_where_a_row_is_open() {
        let gaps = [gap(3, 4, 0), gap(6, 6, 0), gap(7, 7, 1)];
        let (left, _) = after(&gaps, 9, &[10], &[4], PATIENCE);
        assert_eq!(left, [gap(3, 4, 0), gap(7, 7, 1)]);
    }

    #[test]
    fn the_greatest_id_of_all() {
        let (gaps, high) = after(&[], i32::MAX - 1, &[i32::MAX], &[], 0);
        assert_eq!((gaps.as_slice(), high), ([].as_slice(), i32::MAX));
    }
}
