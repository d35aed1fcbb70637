//! Events into Odoo's rows, on a real PostgreSQL with the addon's tables, under the daemon's own role.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod basics;
mod edits;
mod group_requests;
mod groups;
mod people;
mod properties;
mod quarantine;
mod references;
mod support;
