//! What the tests share: the program as a command, a world of database, simulator and daemon.

pub mod flow;
pub mod program;
pub mod promises;
pub mod proxy;
pub mod tables;
pub mod world;

pub use program::{Settings, wabridge};
pub use world::World;
