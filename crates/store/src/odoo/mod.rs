//! Tables that Odoo owns, one module each, with the columns it touches listed at the top.
pub mod configuration;
