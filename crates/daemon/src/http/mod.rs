//! The two listeners, two trust zones.

pub mod accept;
pub mod auth;
pub mod media;
pub mod network;
pub mod private;
pub mod public;
pub mod rate;
pub mod tls;
