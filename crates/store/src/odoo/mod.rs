//! Tables that Odoo owns, one module each, with the columns it touches listed at the top.
pub mod bus;
pub mod audit_log;
pub mod configuration;
pub mod parameter;
pub mod users;
