//! Black-box tests of the daemon: the process, a real PostgreSQL, the provider's simulator.

mod atrest;
mod bad_event;
mod crash;
mod doors;
mod doubled;
mod exact;
mod explain;
mod flood;
mod inbound;
mod isolation;
mod journal;
mod lost;
mod mark_read;
mod media;
mod outbound;
mod phases;
mod recipients;
mod replicas;
mod rpc;
mod sending;
mod start;
mod stop;
mod support;
