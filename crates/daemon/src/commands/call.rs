//! `wabridge rpc`: a signed call from the command line.

use std::path::{Path, PathBuf};
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
    to: Where,
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
    let (http, base) = to.client(config)?;
    let answer = http
        .post(format!("{base}/rpc"))
        .timeout(Duration::from_secs(75))
        .header("content-type", "application/json")
        .header("authorization", authorization)
        .body(body)
        .send()
        .await
        .with_context(|| no_answer(&base))?;
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

/// Where the daemon is, unless the settings' own listener is meant.
pub struct Where {
    pub url: Option<String>,
    pub ca_file: Option<PathBuf>,
}

impl Where {
    /// A client that trusts what the daemon presents, and the daemon's address without path.
    fn client(&self, config: &Config) -> anyhow::Result<(reqwest::Client, String)> {
        let mut builder =
            reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        let address = reachable(config.private.listen);
        let base = match (&self.url, &config.private.tls) {
            (Some(url), _) => url.trim_end_matches('/').to_owned(),
            (None, None) => format!("http://{address}"),
            (None, Some(tls)) => {
                // The certificate is ours: that it is signed by nobody known says nothing against it here.
                builder = builder.tls_certs_merge(certificates(&tls.certificate_file)?);
                builder = builder.resolve(&tls.name, address);
                format!("https://{}:{}", tls.name, address.port())
            }
        };
        if let Some(file) = &self.ca_file {
            builder = builder.tls_certs_merge(certificates(file)?);
        }
        Ok((builder.build().context("the HTTP client cannot be set up")?, base))
    }
}

fn certificates(file: &Path) -> anyhow::Result<Vec<reqwest::Certificate>> {
    let text = std::fs::read(file).with_context(|| file.display().to_string())?;
    let found = reqwest::Certificate::from_pem_bundle(&text)
        .with_context(|| format!("{} is no PEM file of certificates", file.display()))?;
    if found.is_empty() {
        bail!("{} holds no certificate", file.display());
    }
    Ok(found)
}

fn no_answer(base: &str) -> String {
    let tls = if base.starts_with("https:") {
        ", does its certificate have this name, and is its authority known here (--ca-file)"
    } else {
        ""
    };
    format!("no daemon answers on {base}; is `wabridge serve` running{tls}?")
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
