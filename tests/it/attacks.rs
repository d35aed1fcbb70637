//! What attackers try, by name. Of each: how it is refused (or what harmless thing becomes of it), that no row of either
//! database changed but those that are meant to, that the daemon goes on answering, and that its log tells nothing
//! made up by strangers.
//!
//! Elsewhere: floods and slow clients in numbers (`flood`), replicas and nonces (`rpc::auth`), shared secrets of two
//! databases (`isolation`), links (`media::links`), huge pictures (`media::storing`), rights of every method
//! (`rpc_matrix`), the wake call and exports (the addon's tests).

mod calls;
mod content;
mod doors;
mod foreign;
mod stage;
mod webhooks;

pub use stage::{Http, Stage};
