//! What a row of `whatsapp_outbox_in` asks for, as the parameters of a call of door (a).

use serde::Deserialize;
use serde_json::Value;
use wabridge_domain::Kind;
use wabridge_domain::error::Refusal;
use wabridge_rpc::to::To;
use wabridge_store::consent::MARKETING;
use wabridge_store::odoo::outbox_in::Row;

use crate::send::{Parts, SendRequest, handed};

/// `whatsapp_outbox_in.request`: the rest of the `message.send` parameters.
#[derive(Debug, Deserialize)]
struct Parameters {
    #[serde(flatten)]
    parts: Parts,
    #[serde(default)]
    reply_to: Option<i32>,
    #[serde(default)]
    category: Option<String>,
    #[serde(default)]
    res_model: Option<String>,
    #[serde(default)]
    res_id: Option<i32>,
}

/// The parameters of a row, as those of a call of door (a), and the row of the file that came with it.
pub(super) fn understand(row: &Row) -> Result<(SendRequest, Option<i32>), Refusal> {
    let invalid = |text: String| Refusal::new(Kind::InvalidContent, text);
    let unreadable = |error| invalid(format!("the request cannot be read: {error}"));
    let mut request: Value =
        serde_json::from_str(row.request.as_deref().unwrap_or("{}")).map_err(unreadable)?;
    let upload = upload(&mut request)?;
    let parameters: Parameters = serde_json::from_value(request).map_err(unreadable)?;
    let content = parameters.parts.content()?;
    if content.file().is_some_and(|file| (file.id == handed::NO_ROW) != upload.is_some()) {
        return Err(invalid(
            "media names no file: a row of whatsapp_media or of whatsapp_media_upload".into(),
        ));
    }
    let request = SendRequest {
        configuration_id: Some(row.configuration_id),
        to: recipient(row.recipient.as_deref().unwrap_or_default())?,
        content,
        handed: None,
        reply_to: parameters.reply_to,
        idempotency_key: row.idempotency_key.clone().filter(|key| !key.is_empty()),
        category: stricter(parameters.category, row.category.as_deref()),
        res_model: parameters.res_model,
        res_id: parameters.res_id,
        schedule_at: row.schedule_at,
        wait_ms: 0,
    };
    Ok((request, upload))
}

/// The category of a send whose row and whose parameters name one: marketing wherever one of them says so.
fn stricter(asked: Option<String>, row: Option<&str>) -> Option<String> {
    let plain = |word: &str| Some(word.trim().to_lowercase()).filter(|word| !word.is_empty());
    let (asked, row) = (asked.as_deref().and_then(plain), row.and_then(plain));
    if row.as_deref() == Some(MARKETING) { row } else { asked.or(row) }
}

/// Takes `media.upload` out, the row of `whatsapp_media_upload`.
fn upload(request: &mut Value) -> Result<Option<i32>, Refusal> {
    let Some(media) = request.get_mut("media").and_then(Value::as_object_mut) else {
        return Ok(None);
    };
    let Some(id) = media.remove("upload").filter(|id| !id.is_null()) else { return Ok(None) };
    let id = id.as_i64().and_then(|id| i32::try_from(id).ok()).filter(|id| *id > 0);
    if id.is_none() || media.contains_key("id") {
        let why = "media.upload is a row of whatsapp_media_upload, and stands instead of media.id";
        return Err(Refusal::new(Kind::InvalidContent, why));
    }
    media.insert("id".into(), handed::NO_ROW.into());
    Ok(id)
}

/// One string as people write it, or JSON that names a row.
pub(in crate::send) fn recipient(text: &str) -> Result<To, Refusal> {
    let text = text.trim();
    if !text.starts_with('{') {
        return Ok(To::Text(text.to_owned()));
    }
    serde_json::from_str(text).map_err(|error| {
        Refusal::new(Kind::InvalidRecipient, format!("the recipient cannot be read: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(recipient: &str, request: &str) -> Row {
        Row {
            id: 1,
            message_id: 2,
            configuration_id: 3,
            recipient: Some(recipient.into()),
            schedule_at: None,
            request: Some(request.into()),
            idempotency_key: Some(String::new()),
            user_id: None,
            status: Some("queued".into()),
            request_id: None,
            category: None,
        }
    }

    #[test]
    fn rows_are_understood_like_calls() {
        let request = r#"{"type":"text","text":{"body":"hello"},"category":"utility","res_model":"res.partner","res_id":5}"#;
        let (understood, _) = understand(&row("+44 7700 900123", request)).unwrap();
        assert_eq!(understood.to, To::Text("+44 7700 900123".into()));
        assert_eq!(understood.content.body(), Some("hello"));
        assert_eq!(understood.res_id, Some(5));
        assert_eq!(understood.idempotency_key, None, "an empty key is none");
        let (partner, _) = understand(&row(r#"{"partner_id": 7}"#, request)).unwrap();
        assert_eq!(partner.to, To::Partner(7));
    }

    #[test]
    fn marketing_wherever_row_or_request_says_so() {
        for (asked, row, category) in [
            (None, None, None),
            (Some("marketing"), None, Some("marketing")),
            (Some("utility"), Some("Marketing "), Some("marketing")),
            (Some("MARKETING"), Some("utility"), Some("marketing")),
            (None, Some("utility"), Some("utility")),
            (Some(" "), None, None),
        ] {
            let found = stricter(asked.map(str::to_owned), row);
            assert_eq!(found.as_deref(), category, "{asked:?}, {row:?}");
        }
    }

    #[test]
    fn a_file_comes_as_a_row_of_its_own() {
        let with = |media: &str| {
            understand(&row("+447700900123", &format!(r#"{{"type":"image","media":{media}}}"#)))
        };
        let (request, upload) = with(r#"{"upload": 9, "caption": "c"}"#).unwrap();
        assert_eq!((upload, request.content.caption()), (Some(9), Some("c")));
        assert_eq!(with(r#"{"id": 4}"#).unwrap().1, None);
        for wrong in [r#"{"upload": 9, "id": 4}"#, r#"{"upload": "x"}"#, r#"{"id": 0}"#, "{}"] {
            assert_eq!(with(wrong).map(|_| ()).unwrap_err().kind, Kind::InvalidContent, "{wrong}");
        }
    }

    #[test]
    fn bad_rows_name_their_fault() {
        let kind = |recipient: &str, request: &str| {
            understand(&row(recipient, request)).map(|_| ()).map_err(|refusal| refusal.kind)
        };
        let text = r#"{"type":"text","text":{"body":"x"}}"#;
        assert_eq!(kind("{\"partner\":1}", text), Err(Kind::InvalidRecipient));
        assert_eq!(kind("+447700900123", "{"), Err(Kind::InvalidContent));
        assert_eq!(kind("+447700900123", r#"{"type":"text"}"#), Err(Kind::InvalidContent));
        assert_eq!(
            kind("+447700900123", r#"{"type":"text","text":{"body":" "}}"#),
            Err(Kind::InvalidContent)
        );
        assert_eq!(kind("+447700900123", r#"{"type":"image"}"#), Err(Kind::InvalidContent));
    }
}
