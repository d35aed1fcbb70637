//! Templates, quality, limits and the standing of the business account. These name no phone number id: they
//! belong to whichever account the webhook was sent for.

use serde_json::{Map, Value};
use wabridge_domain::account::AccountState;
use wabridge_domain::event::{AccountUpdate, Alert, TemplateUpdate, What};

use super::super::wire;
use super::{Around, Read, message, other};
use crate::Route;
use crate::json::{self, string, text, word};

/// A change without an array of events.
pub(super) fn read(field: &str, value: &Value, time: Option<&Value>, route: &Route<'_>) -> Read {
    let at = time.map(|time| json::time(Some(time), route.received_at));
    let alert = |kind: &str, detail: String| {
        let extra = value.as_object().cloned().unwrap_or_default();
        Ok(vec![What::Alert(Alert { kind: kind.to_owned(), detail, at, extra })])
    };
    let words = |names: &[&str]| {
        let words: Vec<String> = names
            .iter()
            .filter_map(|name| word(value, name))
            .filter(|word| word != "NONE")
            .collect();
        words.join(", ")
    };
    match field {
        "message_template_status_update" => {
            let reason = string(value, "reason").filter(|reason| reason != "NONE").or_else(|| {
                value
                    .get("other_info")
                    .and_then(|info| string(info, "description").or_else(|| string(info, "title")))
            });
            template(value, "status", "event", reason, at)
        }
        "message_template_quality_update" => {
            let reason = text(value, "previous_quality_score").map(|was| format!("was {was}"));
            template(value, "quality", "new_quality_score", reason, at)
        }
        "template_category_update" => {
            let reason = text(value, "previous_category").map(|was| format!("was {was}"));
            let name = if value.get("new_category").is_some() {
                "new_category"
            } else {
                "correct_category"
            };
            template(value, "category", name, reason, at)
        }
        "message_template_components_update" => {
            template(value, "components", "message_template_element", None, at)
        }
        "phone_number_quality_update" => {
            let event = text(value, "event").ok_or("it does not say what happened")?;
            let about_quality = matches!(event, "FLAGGED" | "UNFLAGGED");
            let kind = if about_quality { "quality" } else { "limit" };
            alert(kind, words(&["event", "current_limit", "max_daily_conversations_per_business"]))
        }
        "account_update" => account(value, at, alert),
        "account_alerts" => {
            let info = value.get("alert_info").unwrap_or(value);
            let detail = text(info, "alert_description").or_else(|| text(info, "alert_type"));
            alert("account", detail.unwrap_or("Meta gave no description").to_owned())
        }
        "account_review_update" => {
            alert("account", format!("review of the account: {}", words(&["decision"])))
        }
        "business_capability_update" => {
            let names = [
                "max_daily_conversations_per_business",
                "max_daily_conversation_per_phone",
                "max_phone_numbers_per_business",
                "max_phone_numbers_per_waba",
            ];
            let limits: Vec<String> = names
                .iter()
                .filter_map(|name| Some(format!("{name} {}", word(value, name)?)))
                .collect();
            alert("limit", limits.join(", "))
        }
        "phone_number_name_update" => alert(
            "account",
            format!(
                "display name: {}",
                words(&["decision", "requested_verified_name", "rejection_reason"])
            ),
        ),
        "security" => alert("security", words(&["event"])),
        "" => Err("its change names no field"),
        _ => Ok(vec![other(field, field)]),
    }
}

fn template(
    value: &Value,
    kind: &str,
    now: &str,
    reason: Option<String>,
    at: Option<jiff::Timestamp>,
) -> Read {
    Ok(vec![What::Template(TemplateUpdate {
        template_id: wire::id(value, "message_template_id"),
        name: string(value, "message_template_name").ok_or("it names no template")?,
        language: string(value, "message_template_language"),
        kind: kind.to_owned(),
        value: string(value, now),
        reason,
        at,
    })])
}

fn account(
    value: &Value,
    at: Option<jiff::Timestamp>,
    alert: impl Fn(&str, String) -> Read,
) -> Read {
    let event = text(value, "event").ok_or("it does not say what happened")?;
    let state = |state, reason: &str| {
        let reason = Some(json::kind_of(reason));
        Ok(vec![What::Account(AccountUpdate { state, reason, at })])
    };
    let list = |name: &str, field: &str| {
        let items = value.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        items.iter().filter_map(|item| word(item, field)).collect::<Vec<_>>().join(", ")
    };
    match event {
        "ACCOUNT_DELETED" => state(AccountState::Disconnected, event),
        "DISABLED_UPDATE" => {
            let ban = value.get("ban_info").unwrap_or(&Value::Null);
            // Seen as a word and as a list of one.
            let word_of = |ban: &Value| match ban.get("waba_ban_state") {
                Some(Value::Array(words)) => {
                    words.last().and_then(Value::as_str).map(str::to_owned)
                }
                _ => string(ban, "waba_ban_state"),
            };
            match word_of(ban).as_deref() {
                Some("DISABLE") => state(AccountState::Banned, event),
                Some("REINSTATE") => state(AccountState::Connected, event),
                other => {
                    let ban = [other.map(str::to_owned), word(ban, "waba_ban_date")];
                    let ban: Vec<String> = ban.into_iter().flatten().collect();
                    alert("violation", format!("{event}: {}", ban.join(", ")))
                }
            }
        }
        "ACCOUNT_RESTRICTION" => {
            alert("violation", format!("{event}: {}", list("restriction_info", "restriction_type")))
        }
        "ACCOUNT_VIOLATION" => {
            let info = value.get("violation_info").unwrap_or(&Value::Null);
            let kind = text(info, "violation_type").unwrap_or("no type given");
            alert("violation", format!("{event}: {kind}"))
        }
        _ => alert("account", json::kind_of(event)),
    }
}

/// An error that a value holds beside or instead of its events.
pub(super) fn error(item: &Value, _: &Around<'_>) -> Read {
    let error = message::error(item);
    let detail = match &error.code {
        Some(code) => format!("{} ({code})", error.message),
        None => error.message,
    };
    let extra: Map<String, Value> = item.as_object().cloned().unwrap_or_default();
    Ok(vec![What::Alert(Alert { kind: "error".to_owned(), detail, at: None, extra })])
}
