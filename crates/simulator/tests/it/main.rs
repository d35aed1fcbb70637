//! The simulator over real HTTP, with a receiver of webhooks beside it.

mod control;
mod custom;
mod events;
mod faults;
mod groups;
mod harness;
mod meta;
mod sending;
mod settings;
mod shapes;
mod wassenger;
