//! Pokes Odoo when rows stand in whatsapp_event, so that its code runs at once. The call carries no data and
//! Odoo's cron makes up for each one that is lost.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use wabridge_domain::Secret;
use wabridge_rpc::sign;

use crate::runtime::Runtime;

const PATH: &str = "/whatsapp/bridge/wake";
/// Events that one call of the addon handles (`WAKE_BATCH` there): so many means there may be more.
const BATCH: u64 = 50;
/// Calls in a row before the next knock is waited for; the cron does the rest.
const CALLS_MAX: u32 = 50;
/// Pause between a knock and the call: a burst of commits is one call.
const COALESCE: Duration = Duration::from_millis(20);
const TIMEOUT: Duration = Duration::from_secs(20);
/// Pause after a failure; doubled by each further one, up to the cron's own interval.
const BACK_OFF: Duration = Duration::from_secs(1);
const BACK_OFF_MAX: Duration = Duration::from_secs(60);

/// Starts the loop, where this database's Odoo has an address and a key.
pub fn spawn(rt: &Arc<Runtime>) {
    let Some(odoo) = Odoo::of(rt) else {
        tracing::info!(db.name = %rt.name, "database {}: no odoo_url or key is set, Odoo's cron picks events up", rt.name);
        return;
    };
    rt.tasks.spawn(run(Arc::clone(rt), odoo));
}

struct Odoo {
    url: String,
    /// The path as it is signed, with what stands before it in `odoo_url`.
    path: String,
    key_id: String,
    secret: Secret,
}

impl Odoo {
    fn of(rt: &Runtime) -> Option<Self> {
        let base = rt.settings.odoo_url.as_deref()?.trim_end_matches('/');
        let (key_id, secret) = rt.settings.wake_key()?;
        let url = format!("{base}{PATH}");
        let path = reqwest::Url::parse(&url).ok()?.path().to_owned();
        Some(Self { url, path, key_id: key_id.to_owned(), secret: secret.clone() })
    }
}

async fn run(rt: Arc<Runtime>, odoo: Odoo) {
    let mut failures = 0u32;
    loop {
        tokio::select! {
            () = rt.wakes.events.notified() => {}
            () = rt.stop.cancelled() => return,
        }
        tokio::time::sleep(COALESCE).await;
        let begin = Instant::now();
        match poke_until_done(&rt, &odoo).await {
            Ok(()) => {
                if failures > 0 {
                    tracing::info!(db.name = %rt.name, "Odoo of database {} answers the wake call again", rt.name);
                }
                failures = 0;
                metrics::histogram!("wabridge_wake_seconds").record(begin.elapsed().as_secs_f64());
            }
            Err(reason) => {
                metrics::counter!("wabridge_wake_failures_total").increment(1);
                if failures == 0 {
                    tracing::warn!(db.name = %rt.name, reason, "Odoo of database {} does not take the wake call, its cron picks events up: {reason}", rt.name);
                } else {
                    tracing::debug!(db.name = %rt.name, reason, "Odoo of database {} still does not take the wake call: {reason}", rt.name);
                }
                let pause = BACK_OFF.saturating_mul(1 << failures.min(8)).min(BACK_OFF_MAX);
                failures = failures.saturating_add(1);
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = rt.stop.cancelled() => return,
                }
                // What knocked is still to be done.
                rt.wakes.events.notify_one();
            }
        }
    }
}

async fn poke_until_done(rt: &Runtime, odoo: &Odoo) -> Result<(), String> {
    for _ in 0..CALLS_MAX {
        if poke(rt, odoo).await? < BATCH || rt.stop.is_cancelled() {
            break;
        }
    }
    Ok(())
}

/// One call; how many events Odoo dealt with.
async fn poke(rt: &Runtime, odoo: &Odoo) -> Result<u64, String> {
    let request = sign::Request { method: "POST", path: &odoo.path, body: b"" };
    let now = rt.clock.now().as_second();
    let authorization = sign::sign(&odoo.key_id, &odoo.secret, now, &sign::nonce(), request);
    let answer = rt
        .http
        .post(&odoo.url)
        .header(reqwest::header::AUTHORIZATION, authorization)
        // Where one Odoo serves several databases, 19 picks by this; 14 needs its --db-filter.
        .header("x-odoo-database", &rt.name)
        .timeout(TIMEOUT)
        .send()
        .await
        .map_err(|error| error.without_url().to_string())?;
    let status = answer.status();
    if !status.is_success() {
        return Err(format!(
            "it answers {status}; check odoo_url and that odoo.ini holds the same secret"
        ));
    }
    let body: serde_json::Value =
        answer.json().await.map_err(|error| error.without_url().to_string())?;
    Ok(body.get("done").and_then(serde_json::Value::as_u64).unwrap_or_default())
}
