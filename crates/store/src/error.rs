//! What can go wrong with the database, by what the caller can do about it.

use tokio_postgres::error::SqlState;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No connection, or it broke. Try again later.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// A lock or statement time-out, a deadlock, a serialization failure. Try again soon.
    #[error("the database is busy: {0}")]
    Busy(String),
    /// A table, column or right is missing: the schema does not fit.
    #[error("the database's schema does not fit: {0}")]
    Schema(String),
    /// The data were refused (constraint, type, length). Trying again cannot help.
    #[error("the database refused the data: {0}")]
    Refused(String),
    /// Anything else; a bug of ours or of the server.
    #[error("the database failed: {0}")]
    Other(String),
}

impl StoreError {
    /// True where the same transaction may succeed when run again.
    pub fn transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Busy(_))
    }
}

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        let Some(db) = error.as_db_error() else {
            // Closed connections and I/O have no SQLSTATE; conversions of values do not either.
            return if error.is_closed()
                || std::error::Error::source(&error).is_some_and(|s| s.is::<std::io::Error>())
            {
                Self::Unavailable(error.to_string())
            } else {
                Self::Other(format!("{error}: {}", source_text(&error)))
            };
        };
        let text = format!("{} ({})", db.message(), db.code().code());
        let code = db.code();
        if [
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::QUERY_CANCELED,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::OBJECT_IN_USE,
        ]
        .contains(code)
        {
            return Self::Busy(text);
        }
        if [
            SqlState::UNDEFINED_TABLE,
            SqlState::UNDEFINED_COLUMN,
            SqlState::INSUFFICIENT_PRIVILEGE,
            SqlState::INVALID_SCHEMA_NAME,
            SqlState::UNDEFINED_FUNCTION,
            SqlState::UNDEFINED_OBJECT,
        ]
        .contains(code)
        {
            return Self::Schema(text);
        }
        // "cached plan must not change result type": the addon was upgraded under a prepared statement.
        if *code == SqlState::FEATURE_NOT_SUPPORTED && db.message().contains("cached plan") {
            crate::database::plans_are_stale();
            return Self::Busy(text);
        }
        match &code.code()[..2] {
            "08" | "57" | "53" => Self::Unavailable(text),
            "22" | "23" => Self::Refused(text),
            _ => Self::Other(text),
        }
    }
}

fn source_text(error: &dyn std::error::Error) -> String {
    error.source().map(ToString::to_string).unwrap_or_default()
}

impl From<deadpool_postgres::PoolError> for StoreError {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        match error {
            deadpool_postgres::PoolError::Backend(error) => {
                // A connection could not be made: whatever the server says, later may be better.
                match Self::from(error) {
                    Self::Unavailable(text)
                    | Self::Other(text)
                    | Self::Busy(text)
                    | Self::Refused(text)
                    | Self::Schema(text) => Self::Unavailable(text),
                }
            }
            deadpool_postgres::PoolError::Timeout(_) => {
                Self::Unavailable("no connection became free in time".into())
            }
            other => Self::Unavailable(other.to_string()),
        }
    }
}
