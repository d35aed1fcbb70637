//! Templates and what a send of one is checked for (`meta_cloud_api.md` sections 3 and 9).

use super::{bad_parameter, graph_error, no_such_object, webhook::setting};
use crate::{
    state::AccountState,
    vendor::{Answer, Call},
    world::World,
};
use http::StatusCode;
use serde_json::{Map, Value, json};

/// A number's business account, unless its settings name one.
const WABA: &str = "101234567890123";

pub(super) fn waba(owner: &AccountState) -> &str {
    setting(owner, "waba_id").unwrap_or(WABA)
}

fn template(id: u32, name: &str, language: &str, status: &str, components: &Value) -> Value {
    let category = if name.contains("offer") { "MARKETING" } else { "UTILITY" };
    json!({"id": format!("90000000000{id:04}"), "name": name, "language": language, "status": status,
        "category": category, "components": components})
}

/// One in each state, with each kind of part.
fn built_in() -> Vec<Value> {
    let body = |text: &str| json!([{"type": "BODY", "text": text}]);
    let invoice = json!([
        {"type": "HEADER", "format": "DOCUMENT"},
        {"type": "BODY", "text": "Dear {{1}}, your invoice over {{2}} is attached."},
        {"type": "FOOTER", "text": "Acme Support"},
        {"type": "BUTTONS", "buttons": [
            {"type": "URL", "text": "Pay", "url": "https://pay.example/{{1}}"},
            {"type": "QUICK_REPLY", "text": "Call me"},
        ]},
    ]);
    let appointment = json!([
        {"type": "HEADER", "format": "TEXT", "text": "Visit on {{1}}"},
        {"type": "BODY", "text": "{{1}}, we come between {{2}} and {{3}}."},
    ]);
    vec![
        template(1, "shipped", "en", "APPROVED", &body("Your order has shipped.")),
        template(2, "shipped", "en_GB", "APPROVED", &body("Your order {{1}} has shipped.")),
        template(3, "shipped", "de", "PENDING", &body("Ihre Bestellung {{1}} ist unterwegs.")),
        template(4, "invoice", "en", "APPROVED", &invoice),
        template(5, "appointment", "en", "APPROVED", &appointment),
        template(6, "offer", "en", "PAUSED", &body("New: {{1}}")),
        template(7, "old_offer", "en", "DISABLED", &body("Old: {{1}}")),
        template(8, "welcome", "en", "REJECTED", &body("Welcome, {{1}}!")),
    ]
}

fn templates(owner: &AccountState) -> Vec<Value> {
    match owner.account.settings.get("templates") {
        Some(Value::Array(own)) => own.clone(),
        _ => built_in(),
    }
}

/// `GET /{waba-id}/message_templates`: `limit`, and `after` as the cursor of the page before.
pub(super) fn list(world: &World, call: &Call, of: &str) -> Answer {
    let state = world.state();
    let owner = state.account(call.account);
    if waba(owner) != of {
        return no_such_object(of);
    }
    let all = templates(owner);
    let limit = call.param("limit").map_or(Ok(25), str::parse).unwrap_or(0);
    let after = call.param("after").map_or(Ok(0), str::parse::<usize>);
    let (Ok(after), 1..=1_000) = (after, limit) else {
        return bad_parameter("limit is 1 to 1000, after is a cursor of the page before");
    };
    let fields = call.param("fields").unwrap_or("name,status,language,category,components");
    let page: Vec<Value> =
        all.iter().skip(after).take(limit).map(|one| shown(one, fields)).collect();
    let end = after + page.len();
    let mut paging = json!({"cursors": {"before": after.to_string(), "after": end.to_string()}});
    if end < all.len() {
        paging["next"] = format!("{}{}?after={end}", state.base_url, call.path).into();
    }
    Answer::ok(json!({"data": page, "paging": paging}))
}

/// The fields that were asked for; the id comes always.
fn shown(template: &Value, fields: &str) -> Value {
    let wanted = |name: &str| name == "id" || fields.split(',').any(|field| field.trim() == name);
    let all = template.as_object().into_iter().flatten();
    all.filter(|(name, _)| wanted(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// What Meta says at once about a send of a template.
pub(super) fn check(owner: &AccountState, sent: &Map<String, Value>) -> Result<(), Answer> {
    let refused = |code, message: &str, details: &str| {
        Err(graph_error(StatusCode::BAD_REQUEST, code, message, details))
    };
    let name = sent.get("name").and_then(Value::as_str).unwrap_or_default();
    let language = sent.get("language").and_then(|language| language.get("code"));
    let known = templates(owner)
        .into_iter()
        .find(|one| one["name"] == name && Some(&one["language"]) == language);
    let Some(known) = known else {
        return refused(132_001, "Template does not exist in the translation", name);
    };
    match known["status"].as_str().unwrap_or_default() {
        "APPROVED" => {}
        "PAUSED" => return refused(132_015, "Template is Paused", name),
        "DISABLED" => return refused(132_016, "Template is Disabled", name),
        _ => return refused(132_001, "Template is not approved", name),
    }
    let given = |kind: &str, index: Option<usize>| -> Vec<Value> {
        let components = sent.get("components").and_then(Value::as_array);
        let found = components.into_iter().flatten().find(|one| {
            one["type"] == kind
                && index.is_none_or(|index| {
                    one["index"] == json!(index) || one["index"] == json!(index.to_string())
                })
        });
        found.and_then(|one| one["parameters"].as_array().cloned()).unwrap_or_default()
    };
    for component in known["components"].as_array().into_iter().flatten() {
        let text = component["text"].as_str().unwrap_or_default();
        let format = component["format"].as_str().unwrap_or("TEXT").to_lowercase();
        match component["type"].as_str().unwrap_or_default() {
            "HEADER" if format != "text" => {
                let header = given("header", None);
                let file = header.first().and_then(|one| one.get(&format));
                if file.is_none_or(|file| file.get("id").or(file.get("link")).is_none()) {
                    return refused(132_012, "Parameter format does not match", "header");
                }
            }
            kind @ ("HEADER" | "BODY") => {
                let (wanted, given) = (variables(text), given(&kind.to_lowercase(), None).len());
                if wanted != given {
                    let words = format!(
                        "{kind}: number of localizable_params ({given}) does not match the expected number of params ({wanted})"
                    );
                    return refused(132_000, "Number of parameters does not match", &words);
                }
            }
            "BUTTONS" => {
                let buttons = component["buttons"].as_array().into_iter().flatten().enumerate();
                for (index, button) in buttons {
                    let wanted = variables(button["url"].as_str().unwrap_or_default());
                    if wanted != given("button", Some(index)).len() {
                        return refused(131_008, "Required parameter is missing", "button");
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn variables(text: &str) -> usize {
    text.matches("{{").count()
}
