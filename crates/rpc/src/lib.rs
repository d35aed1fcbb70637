//! The contract with the addon: methods, parameters, results, error codes, signing of calls.
//!
//! What belongs here: wire types, the traits that list the methods of each namespace, and pure functions on
//! them. What is deliberately absent: SQL, HTTP clients, decisions. The bodies are in `daemon/src/rpc`.

pub mod audit;
pub mod bulk;
pub mod change;
pub mod chat;
pub mod configuration;
pub mod contact;
pub mod discover;
pub mod dispatch;
pub mod erase;
pub mod error;
pub mod explain;
pub mod group;
pub mod journal;
pub mod media;
pub mod message;
pub mod registry;
pub mod sign;
pub mod stats;
pub mod strict;
pub mod sync;
pub mod template;
pub mod to;

use jsonrpsee::{Methods, RpcModule};

pub use error::{Failure, Malformed};
pub use registry::{Answer, Identity, Meta};

/// All methods, joined to the bodies of `api`.
pub fn methods<A>(api: A) -> Methods
where
    A: message::MessageApi
        + change::ChangeApi
        + change::ReviseApi
        + chat::ChatApi
        + audit::AuditApi
        + configuration::ConfigurationApi
        + contact::BlockApi
        + contact::CheckApi
        + contact::ConsentApi
        + contact::RefreshApi
        + erase::EraseApi
        + explain::ExplainApi
        + group::GroupApi
        + journal::JournalApi
        + media::MediaApi
        + stats::StatsApi
        + sync::RunApi
        + template::SyncApi,
{
    let mut module = RpcModule::new(api);
    message::add_to(&mut module);
    change::add_to(&mut module);
    change::add_revise(&mut module);
    chat::add_to(&mut module);
    audit::add_to(&mut module);
    configuration::add_to(&mut module);
    contact::add_check(&mut module);
    contact::add_block(&mut module);
    contact::add_refresh(&mut module);
    contact::add_consent(&mut module);
    erase::add_to(&mut module);
    explain::add_to(&mut module);
    group::add_to(&mut module);
    journal::add_to(&mut module);
    media::add_to(&mut module);
    stats::add_to(&mut module);
    sync::add_to(&mut module);
    template::add_to(&mut module);
    discover::add_to(&mut module);
    module.into()
}
