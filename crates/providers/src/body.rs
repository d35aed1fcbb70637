//! Bodies that are one JSON value.

use serde_json::Value;
use serde_json::value::RawValue;

use crate::{Unreadable, json};

/// The JSON of a body, however odd (see [`json::value`]).
pub(crate) fn read(body: &[u8]) -> Result<Value, Unreadable> {
    // One bad byte in one name must not lose the body.
    let body = String::from_utf8_lossy(body);
    let body = body.trim_start_matches('\u{feff}');
    serde_json::from_str::<&RawValue>(body).map(json::value).map_err(|error| {
        // The library's own words could quote content.
        let what = match error.classify() {
            serde_json::error::Category::Eof => "it ends too early",
            serde_json::error::Category::Data => "it holds something else",
            _ => "it is malformed",
        };
        let (line, column) = (error.line(), error.column());
        Unreadable { reason: format!("no JSON: {what} (line {line}, column {column})") }
    })
}

/// A word that came from outside, bounded: for [`wabridge_domain::event::What::Other`] and reasons.
pub(crate) fn bounded(word: &str) -> String {
    word.chars().filter(|c| !c.is_control()).take(64).collect()
}
