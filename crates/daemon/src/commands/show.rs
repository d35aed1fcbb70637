//! `wabridge config check`: the settings as they were understood, secrets redacted.

use std::fmt::Write;

use crate::config::{ActAs, Config};

/// One line a setting, in the form of the environment's names.
pub fn redacted(config: &Config) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a String cannot fail.
        writeln!(out, "{name} = {value}").expect("a String takes everything");
    };
    line("start_timeout_s", config.start_timeout_s.to_string());
    line("stop_timeout_s", config.stop_timeout_s.to_string());
    let public = &config.public;
    line("public.listen", public.listen.to_string());
    line("public.body_limit_bytes", public.body_limit_bytes.to_string());
    line("public.read_timeout_s", public.read_timeout_s.to_string());
    line("public.max_connections", public.max_connections.to_string());
    line("public.trusted_proxies", format!("{:?}", public.trusted_proxies));
    line("public.allowed_addresses", format!("{:?}", public.allowed_addresses));
    line("public.refusals_per_minute", public.refusals_per_minute.to_string());
    let private = &config.private;
    line("private.listen", private.listen.to_string());
    line("private.insecure", private.insecure.to_string());
    line("private.read_timeout_s", private.read_timeout_s.to_string());
    line("private.max_connections", private.max_connections.to_string());
    line("private.metrics_bearer_token_file", format!("{:?}", private.metrics_bearer_token_file));
    line("public.tls", format!("{:?}", public.tls));
    line("private.tls", format!("{:?}", private.tls));
    line("log.format", format!("{:?}", config.log.format).to_lowercase());
    line("log.filter", format!("{:?}", config.log.filter));
    line("limits", format!("{:?}", config.limits));
    line("journal.keep_days", config.journal.keep_days.to_string());
    line("audit.keep_days", config.audit.keep_days.to_string());
    for (name, database) in &config.databases {
        let at = |key: &str| format!("databases.{name}.{key}");
        line(&at("url"), "[redacted]".into());
        line(&at("pool_size"), database.pool_size.to_string());
        line(&at("odoo_url"), format!("{:?}", database.odoo_url));
        line(&at("odoo_key"), format!("{:?}", database.odoo_key));
        for (id, key) in &database.rpc_keys {
            let act_as = match key.act_as {
                ActAs::Any => "any".to_owned(),
                ActAs::User(uid) => uid.to_string(),
            };
            let scopes = if key.scopes.is_empty() { "all".into() } else { key.scopes.join(" ") };
            let rate = key.rate.map_or("none".to_owned(), |rate| {
                format!("{} a second, {} at once", rate.per_second, rate.burst)
            });
            line(
                &at(&format!("rpc_keys.{id}")),
                format!("[redacted], act_as {act_as}, scopes {scopes}, rate {rate}"),
            );
        }
        for (id, key) in &database.sealing_keys {
            line(&at(&format!("sealing_keys.{id}")), format!("[redacted], active {}", key.active));
        }
    }
    line("result", "the settings are valid".into());
    out
}
