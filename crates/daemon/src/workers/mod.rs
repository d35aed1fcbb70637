//! The loops of one database. Each stops at its waits when [`crate::runtime::Runtime::stop`] is set.

pub mod adopt;
pub mod collect;
pub mod dispatch;
pub mod early;
pub mod live;
pub mod media;
pub mod settle;
pub mod sweep;
pub mod upkeep;
pub mod upload;
pub mod wake;

use std::sync::Arc;

use crate::runtime::Runtime;

/// Starts every loop of one database.
pub fn spawn_all(rt: &Arc<Runtime>) {
    live::spawn(rt);
    crate::ingest::spawn(rt);
    sweep::spawn(rt);
    early::spawn(rt);
    upkeep::spawn(rt);
    wake::spawn(rt);
    media::spawn(rt);
    upload::spawn(rt);
    adopt::spawn(rt);
    dispatch::spawn(rt);
    settle::spawn(rt);
    crate::group::owed::spawn(rt);
    collect::spawn(rt);
    crate::sync::spawn(rt);
    crate::keys::reseal::spawn(rt);
}
