//! Pages of providers' lists: what all adapters do alike.

use std::borrow::{Borrow, Cow};

use serde_json::Value;
use serde_json::value::RawValue;
use wabridge_domain::error::Kind;

use crate::http::{Answer, Lost};
use crate::json::{self, Fields};
use crate::{CallError, Page};

/// Where a page by offset begins: [`Page::next`] as a number.
///
/// # Errors
/// `Refused` with `invalid_content`.
pub(crate) fn offset(cursor: Option<&str>) -> Result<u64, CallError> {
    let Some(cursor) = cursor else { return Ok(0) };
    let digits = !cursor.is_empty() && cursor.bytes().all(|b| b.is_ascii_digit());
    let offset = digits.then(|| cursor.parse().ok()).flatten();
    offset.ok_or_else(foreign_cursor)
}

/// What stands in for [`Page::next`] is none of the adapter's.
pub(crate) fn foreign_cursor() -> CallError {
    CallError::Refused {
        kind: Kind::InvalidContent,
        message: "the place to go on from is none of this provider's lists; begin anew".to_owned(),
    }
}

/// Sizes of a page, largest first, each a divisor of the one before: the next one is tried where a page is too long.
pub(crate) fn sizes(most: u64) -> impl Iterator<Item = u64> {
    [1, 5, 25, 125, 500]
        .into_iter()
        .filter(move |cut| most.is_multiple_of(*cut))
        .map(move |cut| most / cut)
}

/// True where less at a time might do.
pub(crate) fn is_too_long(answer: &Answer) -> bool {
    answer.status.is_success() && matches!(answer.body, Err(Lost::TooLong))
}

/// A list in an answer, each entry still raw: one that cannot be read spoils no other.
pub(crate) struct Listed<'a> {
    pub items: Vec<&'a RawValue>,
    /// The fields beside the list; empty for a bare one.
    around: Vec<(String, &'a RawValue)>,
}

impl<'a> Listed<'a> {
    /// The list named `name` of an object, or a bare one. None where neither is there. A list that is null is empty.
    pub fn of(text: &'a str, name: &str) -> Option<Self> {
        let text = text.trim_start_matches('\u{feff}');
        if let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(text) {
            return Some(Self { items, around: vec![] });
        }
        let Fields(around) = serde_json::from_str(text).ok()?;
        let (_, raw) = around.iter().rev().find(|(field, _)| field == name)?;
        let items = match raw.get() {
            "null" => vec![],
            list => serde_json::from_str(list).ok()?,
        };
        Some(Self { items, around })
    }

    /// A field beside the list.
    pub fn field(&self, name: &str) -> Option<Value> {
        self.around.iter().rev().find(|(field, _)| field == name).map(|(_, raw)| json::value(raw))
    }

    pub fn number(&self, name: &str) -> Option<u64> {
        self.field(name)?.as_u64()
    }

    /// As [`next`].
    pub fn next(&self, offset: u64, size: u64, total: Option<u64>) -> Option<u64> {
        next(self.items.len(), offset, size, total)
    }

    /// As [`entries`].
    pub fn read<T>(
        &self,
        what: &str,
        read: impl Fn(&Value) -> Result<Option<T>, Cow<'static, str>>,
    ) -> Page<T> {
        entries(what, self.items.iter().map(|raw| json::value(raw)), read)
    }
}

/// Where the page after one of `read` entries begins: after a full page, or where the list is known to be longer.
pub(crate) fn next(read: usize, offset: u64, size: u64, total: Option<u64>) -> Option<u64> {
    let end = offset.saturating_add(read as u64);
    let more = read as u64 >= size || total.is_some_and(|total| total > end);
    (read > 0 && more).then_some(end)
}

/// Reads each entry of a page; `what` is the word for one of them. One that is nothing to us is left out.
pub(crate) fn entries<T>(
    what: &str,
    listed: impl IntoIterator<Item = impl Borrow<Value>>,
    read: impl Fn(&Value) -> Result<Option<T>, Cow<'static, str>>,
) -> Page<T> {
    let mut page = Page { items: vec![], next: None, total: None, unreadable: vec![] };
    for (index, entry) in listed.into_iter().enumerate() {
        match read(entry.borrow()) {
            Ok(item) => page.items.extend(item),
            Err(why) => {
                page.unreadable.push(format!("{what} {} of the page: {why}", index + 1));
            }
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn page(text: &str) -> Page<u64> {
        let listed = Listed::of(text, "things").unwrap();
        listed.read("thing", |item| match item {
            Value::Number(number) => Ok(number.as_u64()),
            _ => Err("it is no number".into()),
        })
    }

    #[test]
    fn one_that_cannot_be_read_spoils_no_other() {
        let read = page(r#"{"things":[1,"x",-1,1e999,3],"total":5}"#);
        assert_eq!(read.items, [1, 3]);
        assert_eq!(
            read.unreadable,
            ["thing 2 of the page: it is no number", "thing 4 of the page: it is no number"]
        );
        assert_eq!(page("[7]").items, [7]);
        assert_eq!(page(r#"{"things":null}"#).items, [0; 0]);
        for none in ["{}", "x", r#"{"things":{}}"#, r#"{"others":[]}"#, ""] {
            assert!(Listed::of(none, "things").is_none(), "{none}");
        }
    }

    #[test]
    fn a_short_page_is_the_last_unless_the_total_says_more() {
        let next = |items: usize, offset, size, total| {
            let text = json!({"things": vec![0; items], "total": total}).to_string();
            let listed = Listed::of(&text, "things").unwrap();
            listed.next(offset, size, listed.number("total"))
        };
        assert_eq!(next(5, 0, 5, Some(12)), Some(5));
        assert_eq!(next(2, 10, 5, Some(12)), None);
        // A provider that gives less at a time than it was asked for.
        assert_eq!(next(3, 0, 5, Some(12)), Some(3));
        // "Total" of the page instead of the list.
        assert_eq!(next(5, 5, 5, Some(5)), Some(10));
        assert_eq!(next(0, 10, 5, Some(12)), None);
        assert_eq!(next(5, 0, 5, None), Some(5));
    }

    #[test]
    fn cursors_and_sizes() {
        assert_eq!(offset(None).unwrap(), 0);
        assert_eq!(offset(Some("500")).unwrap(), 500);
        for foreign in ["", "-1", "x", "99999999999999999999999"] {
            assert!(matches!(offset(Some(foreign)), Err(CallError::Refused { .. })), "{foreign:?}");
        }
        assert_eq!(sizes(500).collect::<Vec<_>>(), [500, 100, 20, 4, 1]);
        assert_eq!(sizes(100).collect::<Vec<_>>(), [100, 20, 4]);
    }
}
