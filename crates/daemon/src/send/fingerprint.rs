//! What "the same content" means for an idempotency key.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use wabridge_domain::content::Content;
use wabridge_rpc::to::To;

use super::SendRequest;

/// SHA-256 over the canonical JSON of the parameters as they were given: without uid, key and `wait_ms`.
pub fn of(request: &SendRequest) -> Vec<u8> {
    let mut call = json!({
        "configuration_id": request.configuration_id,
        "to": to(&request.to),
        "content": content(&request.content),
        "reply_to": request.reply_to,
        "category": request.category,
        "res_model": request.res_model,
        "res_id": request.res_id,
        "schedule_at": request.schedule_at.map(|at| at.to_string()),
    });
    if let Some(handed) = &request.handed {
        call["file"] = json!(handed.identity());
    }
    digest(&call)
}

fn to(to: &To) -> Value {
    match to {
        To::Text(text) => json!(text),
        To::Contact(id) => json!({"contact_id": id}),
        To::Partner(id) => json!({"partner_id": id}),
        To::Group(id) => json!({"group_id": id}),
    }
}

fn content(content: &Content) -> Value {
    serde_json::to_value(content).expect("content has string keys only")
}

fn digest(value: &Value) -> Vec<u8> {
    let mut text = String::new();
    canonical(value, &mut text);
    Sha256::digest(text.as_bytes()).to_vec()
}

/// Keys sorted, no spaces: the same for equal values, whatever order they were written in.
fn canonical(value: &Value, into: &mut String) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by(|a, b| a.0.cmp(b.0));
            into.push('{');
            for (n, (key, value)) in entries.into_iter().enumerate() {
                if n > 0 {
                    into.push(',');
                }
                into.push_str(&Value::from(key.as_str()).to_string());
                into.push(':');
                canonical(value, into);
            }
            into.push('}');
        }
        Value::Array(items) => {
            into.push('[');
            for (n, item) in items.iter().enumerate() {
                if n > 0 {
                    into.push(',');
                }
                canonical(item, into);
            }
            into.push(']');
        }
        plain => into.push_str(&plain.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use wabridge_domain::content::Text;

    use super::*;

    fn request(body: &str) -> SendRequest {
        let text = Text { body: body.into(), preview: None, mentions: vec![] };
        SendRequest {
            configuration_id: None,
            to: To::Text("+447700900801".into()),
            content: Content::text(text).unwrap(),
            handed: None,
            reply_to: None,
            idempotency_key: Some("k".into()),
            category: None,
            res_model: None,
            res_id: None,
            schedule_at: None,
            wait_ms: 0,
        }
    }

    #[test]
    fn content_counts_and_waiting_does_not() {
        let first = of(&request("hello"));
        let mut again = request("hello");
        again.wait_ms = 5000;
        again.idempotency_key = Some("other".into());
        assert_eq!(first, of(&again));
        assert_ne!(first, of(&request("hello!")));
        let mut elsewhere = request("hello");
        elsewhere.configuration_id = Some(1);
        assert_ne!(first, of(&elsewhere));
    }

    #[test]
    fn order_of_keys_does_not_matter() {
        let mut a = String::new();
        canonical(&json!({"b": [1, {"y": null, "x": "é\""}], "a": true}), &mut a);
        assert_eq!(a, r#"{"a":true,"b":[1,{"x":"é\"","y":null}]}"#);
    }
}
