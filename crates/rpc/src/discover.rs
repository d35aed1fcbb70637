//! `rpc.discover`: the OpenRPC document, made from the same types that the methods read and write.

use jsonrpsee::RpcModule;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use wabridge_domain::Kind;

use crate::error::ErrorData;
use crate::registry::{COMMON_ERRORS, Method, register};
use crate::{
    audit, change, chat, configuration, contact, erase, explain, group, journal, media, message,
    stats, sync, template,
};

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoParams {}

/// An OpenRPC document.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub struct Document(pub Value);

impl JsonSchema for Document {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "OpenRPC".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "object", "description": "This document"})
    }
}

pub const DISCOVER: Method<NoParams, Document> =
    Method::new("rpc.discover", "This document: the methods and their types", &[]);

pub(crate) fn add_to<A: Send + Sync + 'static>(module: &mut RpcModule<A>) {
    register(module, &DISCOVER, |_, _, NoParams {}| async move { Ok(document()) });
}

/// The OpenRPC document of this version.
pub fn document() -> Document {
    let settings = SchemaSettings::draft07().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut page = Page { schemas: settings.into_generator(), methods: vec![] };
    page.add(&message::SEND);
    page.add(&message::STATUS);
    page.add(&change::RETRY);
    page.add(&change::CANCEL);
    page.add(&change::SEND_BULK);
    page.add(&change::REACT);
    page.add(&change::EDIT);
    page.add(&change::DELETE);
    page.add(&chat::MARK_READ);
    page.add(&configuration::SEAL);
    page.add(&configuration::TEST);
    page.add(&configuration::HEALTH);
    page.add(&configuration::REGISTER_WEBHOOK);
    page.add(&configuration::CAPABILITIES);
    page.add(&contact::CHECK);
    page.add(&contact::BLOCK);
    page.add(&contact::REFRESH);
    page.add(&contact::OPT_OUT);
    page.add(&contact::OPT_IN);
    page.add(&erase::ERASE);
    page.add(&explain::EXPLAIN);
    page.add(&group::CREATE);
    page.add(&group::INFO);
    page.add(&group::UPDATE);
    page.add(&group::ADD);
    page.add(&group::REMOVE);
    page.add(&group::PROMOTE);
    page.add(&group::DEMOTE);
    page.add(&group::INVITE_LINK);
    page.add(&group::REVOKE_INVITE);
    page.add(&group::JOIN);
    page.add(&group::LEAVE);
    page.add(&group::REMOVE_EVERYWHERE);
    page.add(&audit::VERIFY);
    page.add(&journal::REPLAY);
    page.add(&journal::SHOW);
    page.add(&media::FETCH_AGAIN);
    page.add(&stats::SUMMARY);
    page.add(&sync::START);
    page.add(&sync::STATUS);
    page.add(&sync::CANCEL);
    page.add(&template::SYNC);
    page.add(&DISCOVER);
    let errors: Map<String, Value> = Kind::ALL
        .into_iter()
        .map(|kind| {
            let error = json!({"code": kind.code(), "message": kind.as_str()});
            (kind.as_str().to_owned(), error)
        })
        .collect();
    let error_data = page.schemas.subschema_for::<ErrorData>();
    let mut schemas = page.schemas.take_definitions(true);
    schemas.insert("ErrorOfEveryMethod".into(), json!({"allOf": [error_data]}));
    Document(json!({
        "openrpc": "1.3.2",
        "info": {
            "title": "wabridge",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "WhatsApp bridge for Odoo. Calls are signed; see docs/PROTOCOL.md.",
            "license": {"name": "LGPL-3.0-only"},
        },
        "methods": page.methods,
        "components": {"schemas": schemas, "errors": errors},
    }))
}

struct Page {
    schemas: SchemaGenerator,
    methods: Vec<Value>,
}

impl Page {
    fn add<P: JsonSchema, R: JsonSchema>(&mut self, method: &Method<P, R>) {
        let params = self.schemas.root_schema_for::<P>();
        let result = self.schemas.subschema_for::<R>();
        let required: Vec<&str> = params
            .get("required")
            .and_then(Value::as_array)
            .map(|names| names.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let common = if method.name == DISCOVER.name { &[][..] } else { COMMON_ERRORS };
        let mut errors: Vec<Kind> = common.iter().chain(method.errors).copied().collect();
        errors.sort_by_key(|kind| kind.code());
        let mut described: Vec<Value> = params
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .map(|(name, schema)| {
                json!({"name": name, "required": required.contains(&name.as_str()), "schema": schema})
            })
            .collect();
        // OpenRPC wants the required ones first.
        described.sort_by_key(|param| param["required"] != json!(true));
        self.methods.push(json!({
            "name": method.name,
            "summary": method.summary,
            "paramStructure": "by-name",
            "params": described,
            "result": {"name": "result", "schema": result},
            "errors": errors
                .iter()
                .map(|kind| json!({"$ref": format!("#/components/errors/{}", kind.as_str())}))
                .collect::<Vec<_>>(),
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// docs/openrpc.json is what `rpc.discover` answers. `UPDATE_OPENRPC=1 cargo test -p wabridge-rpc` writes it.
    #[test]
    fn kept_in_docs() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openrpc.json");
        let mut text = serde_json::to_string_pretty(&document()).unwrap();
        text.push('\n');
        if std::env::var_os("UPDATE_OPENRPC").is_some() {
            std::fs::write(path, &text).unwrap();
        }
        let kept = std::fs::read_to_string(path).unwrap();
        assert!(
            kept == text,
            "docs/openrpc.json is old: UPDATE_OPENRPC=1 cargo test -p wabridge-rpc"
        );
    }

    #[test]
    fn references_resolve() {
        let Document(page) = document();
        let text = page.to_string();
        for part in text.split("\"$ref\":\"#/").skip(1) {
            let pointer = format!("/{}", part.split('"').next().unwrap());
            assert!(page.pointer(&pointer).is_some(), "{pointer} leads nowhere");
        }
    }
}
