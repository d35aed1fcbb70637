//! The one place of the simulator that reads the machine's clock.

/// Now, UTC.
#[expect(clippy::disallowed_methods, reason = "the simulator lives in the machine's own time")]
pub(crate) fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// Now in whole seconds since 1970, the unit of every WHAPI timestamp.
pub(crate) fn seconds() -> i64 {
    now().as_second()
}
