//! The two listeners, two trust zones.

pub mod auth;
pub mod private;
