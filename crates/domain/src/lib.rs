//! Types and decisions of the bridge.
//!
//! What belongs here: words that mean the same in SQL, Rust, RPC and the addon, and rules that can be
//! tested without a network, a clock or a database. What is deliberately absent: async, SQL, HTTP and
//! any provider's wire format.

pub mod account;
pub mod audit;
pub mod backoff;
pub mod capability;
pub mod clock;
pub mod conflict;
pub mod content;
pub mod error;
pub mod event;
pub mod fitting;
pub mod group;
pub mod media;
pub mod message;
pub mod outgoing;
pub mod pace;
pub mod phone;
pub mod provider;
pub mod recipient;
pub mod seal;
pub mod secret;
pub mod sync;
pub mod webhook;
pub mod window;
pub mod wish;

pub use clock::Clock;
pub use error::Kind;
pub use provider::ProviderKind;
pub use secret::Secret;
