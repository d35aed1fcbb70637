//! What the tests share: the program as a command, a world of database, simulator and daemon.

pub mod at_adapter;
pub mod flow;
pub mod program;
pub mod promises;
pub mod provider;
pub mod proxy;
pub mod tables;
pub mod world;

pub use program::{Settings, wabridge};
pub use provider::Provider;
pub use world::World;
