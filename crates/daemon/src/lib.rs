//! The daemon beside Odoo: wiring of domain, store, providers and rpc into one process.
//!
//! `config` reads the settings, `serve` starts one [`runtime::Runtime`] for each Odoo database and the two
//! listeners; `workers` are the loops of one database, `commands` the command line.

pub mod access;
pub mod accounts;
pub mod agreement;
pub mod app;
pub mod audit;
pub mod commands;
pub mod config;
pub mod erase;
pub mod explain;
pub mod failpoint;
pub mod gather;
pub mod group;
pub mod http;
pub mod ingest;
pub mod keys;
pub mod media;
pub mod metrics;
pub mod notify;
pub mod process;
pub mod refusals;
pub mod replay;
pub mod rights;
pub mod rpc;
pub mod runtime;
pub mod send;
pub mod serve;
pub mod supervise;
pub mod sync;
pub mod workers;
