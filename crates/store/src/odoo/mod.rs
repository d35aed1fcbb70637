//! Tables that Odoo owns, one module each, with the columns it touches listed at the top.
pub mod account_state;
pub mod audit_log;
pub mod bus;
pub mod chat;
pub mod configuration;
pub mod contact;
pub mod group;
pub mod group_member;
pub mod group_view;
pub mod media;
pub mod message;
pub mod message_change;
pub mod message_count;
pub mod message_out;
pub mod outbox_in;
pub mod parameter;
pub mod quarantine;
pub mod read_mark;
pub mod recipient;
pub mod revision;
pub mod twins;
pub mod users;

use std::borrow::Cow;

/// A text as it goes into a row.
pub(crate) type Text<'a> = Cow<'a, str>;

/// A text as Odoo stores it: an empty one is NULL, and NUL characters, which PostgreSQL cannot store, go away.
pub(crate) fn text(text: &str) -> Option<Text<'_>> {
    let text =
        if text.contains('\0') { Cow::Owned(text.replace('\0', "")) } else { Cow::Borrowed(text) };
    (!text.is_empty()).then_some(text)
}

/// A time as it goes into a row: UTC, whole seconds.
pub(crate) fn second(at: jiff::Timestamp) -> jiff::civil::DateTime {
    let at = jiff::tz::TimeZone::UTC.to_datetime(at);
    at.with().subsec_nanosecond(0).build().unwrap_or(at)
}
