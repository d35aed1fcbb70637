//! `wabridge rpc`: a signed call from the command line.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use wabridge_domain::{Clock, Secret};
use wabridge_rpc::sign;

use crate::config::{ActAs, Config, Database};

/// Calls the private listener of the settings; prints result or error, exit 1 for an error.
pub async fn run(
    config: &Config,
    method: &str,
    params: &str,
    database: Option<&str>,
    key: Option<&str>,
) -> anyhow::Result<ExitCode> {
    let params: Value = serde_json::from_str(params).context("the parameters are no JSON")?;
    if !params.is_object() {
        bail!("the parameters are one JSON object, for example '{{\"uid\": 2}}'");
    }
    let settings = match database {
        Some(name) => super::database(config, name)?,
        None if config.databases.len() == 1 => {
            config.databases.values().next().context("the settings were validated")?
        }
        None => bail!("the settings have several databases; name one with --database"),
    };
    let (id, secret) = pick(settings, key)?;
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
    let now = wabridge_domain::clock::SystemClock.now().as_second();
    let request = sign::Request { method: "POST", path: "/rpc", body: body.as_bytes() };
    let authorization = sign::sign(id, secret, now, &sign::nonce(), request);
    let http = wabridge_providers::http_client(&wabridge_providers::HttpOptions::default())?;
    let address = reachable(config.private.listen);
    let answer = http
        .post(format!("http://{address}/rpc"))
        .timeout(Duration::from_secs(75))
        .header("content-type", "application/json")
        .header("authorization", authorization)
        .body(body)
        .send()
        .await
        .with_context(|| format!("no daemon answers on {address}; is `wabridge serve` running?"))?;
    let status = answer.status();
    let text = answer.text().await.context("the answer was cut off")?;
    let Ok(answer) = serde_json::from_str::<Value>(&text) else {
        bail!("the daemon answered {status}: {text}");
    };
    if let Some(result) = answer.get("result") {
        println!("{}", serde_json::to_string_pretty(result)?);
        return Ok(ExitCode::SUCCESS);
    }
    let error = answer.get("error").unwrap_or(&answer);
    eprintln!("{}", serde_json::to_string_pretty(error)?);
    Ok(ExitCode::FAILURE)
}

fn pick<'a>(settings: &'a Database, key: Option<&'a str>) -> anyhow::Result<(&'a str, &'a Secret)> {
    let found = match key {
        Some(id) => settings.rpc_keys.get_key_value(id),
        None => settings.rpc_keys.iter().find(|(_, key)| key.act_as == ActAs::Any),
    };
    let (id, key) =
        found.context("there is no such RPC key in the settings; name one with --key")?;
    Ok((id, key.secret.as_ref().context("the settings were validated")?))
}

/// A listener on all addresses is reached on loopback.
fn reachable(listen: std::net::SocketAddr) -> std::net::SocketAddr {
    let mut address = listen;
    if listen.ip().is_unspecified() {
        address.set_ip(match listen {
            std::net::SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            std::net::SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}
