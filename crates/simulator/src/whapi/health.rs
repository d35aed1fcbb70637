//! The channel's health (`whapi.md` section 5).

use super::flag;
use crate::{
    clock,
    state::{AccountState, Condition},
    vendor::{Answer, Call},
    world::World,
};
use serde_json::{Value, json};

/// `GET /health`; starts a sleeping channel unless `wakeup=false`.
pub(crate) fn get(world: &World, call: &Call) -> Answer {
    let wakeup = match flag(call, "wakeup") {
        Ok(wakeup) => wakeup.unwrap_or(true),
        Err(answer) => return answer,
    };
    let asleep = world.state().account(call.account).condition == Condition::Asleep;
    if wakeup && asleep {
        world.set_condition(call.account, Condition::Connected);
    }
    let state = world.state();
    let owner = state.account(call.account);
    let mut answer = health(owner);
    answer["channel_id"] = owner.account.channel_id.clone().into();
    answer["core_version"] = "1.8.7".into();
    answer["api_version"] = "1.8.7".into();
    answer["device_id"] = 1.into();
    answer["ip"] = "192.0.2.10".into();
    Answer::ok(answer)
}

/// The health object as it also stands in webhooks.
pub(crate) fn health(owner: &AccountState) -> Value {
    let mut health = json!({
        "start_at": owner.started_at,
        "uptime": (clock::seconds() - owner.started_at).max(0),
        "status": status(owner.condition),
        "version": "1.8.7",
    });
    if matches!(owner.condition, Condition::Connected | Condition::TokenDead) {
        health["user"] = user(owner);
    }
    health
}

pub(crate) fn user(owner: &AccountState) -> Value {
    json!({"id": owner.account.phone, "name": owner.account.name})
}

/// Code and text. The sheet has no word for a banned number: what a linked device sees of a ban is
/// that it was logged out, so it asks for a QR code (which a banned number cannot scan).
pub(crate) fn status(condition: Condition) -> Value {
    let (code, text) = match condition {
        Condition::Connected | Condition::TokenDead => (4, "AUTH"),
        Condition::QrNeeded | Condition::Banned => (3, "QR"),
        Condition::Disconnected => (5, "ERROR"),
        Condition::Asleep => (0, "NOT_INIT"),
    };
    json!({"code": code, "text": text})
}
