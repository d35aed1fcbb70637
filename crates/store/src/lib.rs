//! Every SQL statement of the bridge.
//!
//! One module per table: ours directly here, Odoo's in [`odoo`]. Free functions over a transaction, one
//! statement each, whose first line names the function (it shows up in `pg_stat_activity`). Columns are
//! always listed. Deliberately absent: HTTP, JSON-RPC, decisions (they are in `domain`).

pub mod account_pace;
pub mod advisory;
pub mod apply;
pub mod attempt;
pub mod audit;
pub mod consent;
pub mod database;
pub mod early_event;
pub mod erase;
pub mod error;
pub mod explain;
pub mod export;
pub mod grants;
pub mod group_call;
pub mod group_invitation;
pub mod health;
pub mod idempotency;
pub mod identity;
pub mod ingest;
pub mod journal;
pub mod lane;
pub mod media;
pub mod media_at_provider;
pub mod meta;
pub mod migrations;
pub mod neutralize;
pub mod nonce;
pub mod notice;
pub mod number_form;
pub mod odoo;
pub mod outbox;
pub mod readiness;
pub mod refusal;
pub mod removal;
pub mod rights;
pub mod savepoint;
pub mod schema;
pub mod seal;
pub mod settle;
pub mod sync;

pub use database::{Database, Options, Session, Tx};
/// A pooled connection or a transaction, for functions that take either.
pub use deadpool_postgres::GenericClient;
pub use error::StoreError;
pub use tokio_postgres::IsolationLevel;
