//! Black-box tests of the daemon: the process, a real PostgreSQL, the provider's simulator.

mod doors;
mod inbound;
mod phases;
mod rpc;
mod start;
mod support;
