//! Times of providers that write them in more than one form.

use jiff::Timestamp;
use serde_json::Value;

/// WhatsApp's year of birth, 2009: no message is older.
const EARLIEST_SECOND: i64 = 1_230_768_000;
/// How far a provider's clock may be ahead of ours, seconds.
const AHEAD_S: i64 = 86_400;
/// From here on a number counts milliseconds: as seconds it is the year 5138.
const MILLISECONDS_FROM: f64 = 1e11;

/// The first of `values` that is a time and can be true: seconds or milliseconds since 1970 as a number or a
/// string, or RFC 3339. `received_at` where none is: before 2009, or more than a day after the receipt.
pub(crate) fn first<'a>(
    values: impl IntoIterator<Item = Option<&'a Value>>,
    received_at: Timestamp,
) -> Timestamp {
    values
        .into_iter()
        .flatten()
        .filter_map(read)
        .find(|at| can_be_true(*at, received_at))
        .unwrap_or(received_at)
}

/// A time in whichever of the forms it is written.
pub(crate) fn read(value: &Value) -> Option<Timestamp> {
    match value {
        Value::Number(number) => since_1970(number.as_f64()?, None),
        Value::String(text) => {
            let text = text.trim();
            match text.parse::<f64>() {
                Ok(number) => since_1970(number, None),
                Err(_) => rfc3339(text),
            }
        }
        _ => None,
    }
}

/// Seconds or milliseconds since 1970; `unit` is units a second, None where the number itself tells.
pub(crate) fn since_1970(number: f64, unit: Option<f64>) -> Option<Timestamp> {
    let unit = unit.unwrap_or(if number.abs() >= MILLISECONDS_FROM { 1000.0 } else { 1.0 });
    let milliseconds = number / unit * 1000.0;
    // Beyond 2^53 a float holds no millisecond exactly, and no such time is believed anyway.
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked before")]
    let milliseconds = (milliseconds.abs() < 9e15).then(|| milliseconds.trunc() as i64)?;
    Timestamp::from_millisecond(milliseconds).ok()
}

/// RFC 3339; without an offset it is read as UTC.
pub(crate) fn rfc3339(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    text.parse().ok().or_else(|| {
        let civil: jiff::civil::DateTime = text.parse().ok()?;
        civil.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
    })
}

pub(crate) fn can_be_true(at: Timestamp, received_at: Timestamp) -> bool {
    let latest = received_at.as_second().saturating_add(AHEAD_S);
    (EARLIEST_SECOND..=latest).contains(&at.as_second())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_form_is_the_same_time() {
        let received_at = Timestamp::from_second(1_765_900_000).unwrap();
        for value in [
            json!(1_765_800_001),
            json!("1765800001"),
            json!(1_765_800_001_000_i64),
            json!("1765800001000"),
            json!(1_765_800_001.2),
            json!("2025-12-15T12:00:01.000Z"),
            json!("2025-12-15T13:00:01+01:00"),
            json!("2025-12-15T12:00:01"),
            json!(" 1765800001 "),
        ] {
            assert_eq!(first([Some(&value)], received_at).as_second(), 1_765_800_001, "{value}");
        }
    }

    #[test]
    fn what_cannot_be_true_is_passed_over() {
        let received_at = Timestamp::from_second(1_765_900_000).unwrap();
        for value in [
            json!(0),
            json!("soon"),
            json!(null),
            json!([1]),
            json!(1e300),
            json!("NaN"),
            json!("inf"),
            json!(u64::MAX),
            json!(i64::MIN),
            json!("1999-01-01T00:00:00Z"),
            json!("2199-01-01T00:00:00Z"),
            json!("2025-13-45T99:00:00Z"),
        ] {
            assert_eq!(first([Some(&value)], received_at), received_at, "{value}");
            let next = json!(1_765_800_001);
            assert_eq!(
                first([Some(&value), None, Some(&next)], received_at).as_second(),
                1_765_800_001
            );
        }
    }
}
