//! Asks the provider how an account is that could not send, and ends or prolongs its pause.

use std::sync::Arc;

use rand::SeedableRng;
use rand::rngs::StdRng;
use tracing::{info, warn};
use uuid::Uuid;
use wabridge_domain::account::AccountState;
use wabridge_domain::capability::Operation;
use wabridge_providers::{Call, CallError};
use wabridge_store::account_pace;
use wabridge_store::odoo::{account_state, message_out};
use wabridge_store::{StoreError, tx};

use super::Shared;
use crate::accounts::Account;
use crate::runtime::Runtime;
use crate::send::outcome::{self, Pause};

/// Starts a probe in a task of its own.
pub(super) fn spawn(rt: &Arc<Runtime>, shared: &Arc<Shared>, account: &Arc<Account>) {
    if !shared.probing.lock().expect("no holder of this lock can panic").insert(account.id) {
        return;
    }
    let (rt, shared, account) = (Arc::clone(rt), Arc::clone(shared), Arc::clone(account));
    rt.tasks.clone().spawn(async move {
        let _probing = Probing { shared: &shared, id: account.id };
        if let Err(error) = probe(&rt, &shared, &account).await {
            warn!(db.name = %rt.name, account.id = account.id, %error, "account {}: its state could not be written: {error}", account.id);
        }
    });
}

/// One probe at a time for an account.
struct Probing<'a> {
    shared: &'a Shared,
    id: i32,
}

impl Drop for Probing<'_> {
    fn drop(&mut self) {
        self.shared.probing.lock().expect("no holder of this lock can panic").remove(&self.id);
    }
}

/// True where Odoo's table says, by a webhook or a test of the connection, that a paused account can send.
pub(super) async fn seems_up(rt: &Runtime, account_id: i32) -> Result<bool, StoreError> {
    let client = rt.store.client().await?;
    let stored = account_state::get(&client, account_id).await?;
    Ok(stored.is_some_and(|stored| stored.state == AccountState::Connected))
}

async fn probe(rt: &Runtime, shared: &Shared, account: &Arc<Account>) -> Result<(), StoreError> {
    let Some(epoch) = shared.epoch(account.id) else { return Ok(()) };
    let (state, message) = match ask(rt, account).await {
        Some(found) => found,
        None => (AccountState::Connected, None),
    };
    if state.can_send() {
        account_pace::lift(&rt.store.client().await?, account.id).await?;
        shared.set_pausing(account.id, false);
        info!(db.name = %rt.name, account.id = account.id, "account {} can send again", account.id);
        note_state(rt, account.id, AccountState::Connected, None).await?;
        rt.wakes.outbox.notify_one();
        return Ok(());
    }
    let message = message.unwrap_or_else(|| state.as_str().to_owned());
    pause(rt, account, epoch, &Pause::Down { state, message }).await
}

/// The state of the account, None where its provider cannot tell.
async fn ask(rt: &Runtime, account: &Account) -> Option<(AccountState, Option<String>)> {
    let adapter = account.adapter()?;
    if !adapter.capabilities().can(Operation::Health) {
        return None;
    }
    let Some(token) = &account.token else {
        return Some((AccountState::TokenDead, Some("no usable token is set".into())));
    };
    let request_id = Uuid::new_v4().simple().to_string();
    let call = Call {
        http: &rt.http,
        base_url: account.base_url.as_deref(),
        token,
        channel_id: account.channel_id.as_deref(),
        request_id: &request_id,
        timeout: rt.limits.provider_timeout(),
    };
    Some(match adapter.health(&call).await {
        Ok(health) => (health.state, health.reason),
        Err(CallError::AccountDown { state, message }) => (state, Some(message)),
        Err(error) => (AccountState::Disconnected, Some(error.to_string())),
    })
}

/// Pauses an account that cannot send or shall slow down, and says so in Odoo.
pub(super) async fn pause(
    rt: &Runtime,
    account: &Account,
    epoch: i64,
    pause: &Pause,
) -> Result<(), StoreError> {
    let client = rt.store.client().await?;
    let before = account_pace::pauses(&client, account.id).await?;
    let length = outcome::pause_length(pause, before, &mut StdRng::from_os_rng());
    let (kind, text) = match pause {
        Pause::SlowDown { .. } => {
            (account_pace::Pause::RateLimited, "the provider asks to slow down")
        }
        Pause::Failing { .. } => {
            (account_pace::Pause::Failures, "too many messages failed in a row")
        }
        Pause::Down { message, .. } => (account_pace::Pause::AccountDown, message.as_str()),
    };
    account_pace::pause(&client, account.id, epoch, kind, length, text).await?;
    drop(client);
    warn!(
        db.name = %rt.name,
        account.id = account.id,
        pause.kind = kind.as_str(),
        pause.length_s = length.as_secs_f64(),
        "account {} pauses for {:.1} s: {text}",
        account.id,
        length.as_secs_f64()
    );
    metrics::counter!("wabridge_account_pauses_total", "database" => rt.name.clone(), "kind" => kind.as_str())
        .increment(1);
    // The pause holds whether or not Odoo's row can be written at this moment; the next probe writes it again.
    if let Pause::Down { state, message } = pause
        && let Err(error) = note_state(rt, account.id, *state, Some(message)).await
    {
        warn!(db.name = %rt.name, account.id = account.id, %error, "account {}: its state is written later: {error}", account.id);
    }
    Ok(())
}

/// Writes the account's state into Odoo, with an event where it changed.
async fn note_state(
    rt: &Runtime,
    account_id: i32,
    state: AccountState,
    reason: Option<&str>,
) -> Result<(), StoreError> {
    let changed: Result<bool, StoreError> = tx!(&rt.store, "dispatch.account_state", |tx| {
        let former = account_state::get(tx, account_id).await?.map(|stored| stored.state);
        // Only a person ends a hold.
        if former == Some(AccountState::Held) {
            return Ok::<_, StoreError>(false);
        }
        let changed = account_state::set(tx, account_id, state, reason).await?;
        if changed && former != Some(state) {
            let payload = serde_json::json!({
                "state": state.as_str(),
                "former": former.map(AccountState::as_str),
                "reason": reason,
            });
            message_out::event(tx, "account_state", None, account_id, &payload).await?;
        }
        Ok(changed)
    });
    if changed? {
        rt.live.changed(account_id, "whatsapp.account.state", []);
        rt.live.changed(account_id, "whatsapp.configuration", [account_id]);
        rt.wakes.events.notify_one();
    }
    Ok(())
}
