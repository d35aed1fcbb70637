//! The simulator over real HTTP, with a receiver of webhooks beside it.

mod control;
mod faults;
mod harness;
mod sending;
mod settings;
mod shapes;
mod wassenger;
