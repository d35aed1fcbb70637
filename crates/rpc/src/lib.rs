//! The contract with the addon: methods, parameters, results, error codes, signing of calls.
//!
//! What belongs here: wire types, the traits that list the methods, and pure functions on them. What is
//! deliberately absent: SQL, HTTP clients, decisions. The bodies of the methods are in `daemon/src/rpc`.

pub mod sign;
