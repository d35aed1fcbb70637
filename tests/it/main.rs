//! Black-box tests of the daemon: the process, a real PostgreSQL, the provider's simulator.

mod atrest;
mod crash;
mod doors;
mod doubled;
mod explain;
mod inbound;
mod journal;
mod mark_read;
mod media;
mod outbound;
mod phases;
mod replicas;
mod rpc;
mod start;
mod stop;
mod support;
