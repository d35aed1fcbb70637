//! The loops of one database. Each stops at its waits when [`crate::runtime::Runtime::stop`] is set.

pub mod live;
