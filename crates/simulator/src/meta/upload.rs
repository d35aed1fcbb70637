//! `POST /{phone-number-id}/media`: a file handed over as a form (`meta_cloud_api.md` section 4).

use super::{bad_parameter, graph_error, ids};
use crate::{
    form,
    media::File,
    vendor::{Answer, Call},
    world::World,
};
use http::StatusCode;
use serde_json::json;

/// Kinds by the beginning of their media type, and what is taken of each at most (section 4).
const LIMITS: [(&str, usize); 4] =
    [("image/webp", 500 << 10), ("image/", 5 << 20), ("audio/", 16 << 20), ("video/", 16 << 20)];
const DOCUMENT_LIMIT: usize = 100 << 20;

pub(super) fn keep(world: &World, call: &Call) -> Answer {
    let Some(parts) = form::parts(call) else {
        return bad_parameter("the body is no multipart/form-data");
    };
    let part = |name: &str| parts.iter().find(|part| part.name == name);
    let text = |name: &str| part(name).and_then(|part| std::str::from_utf8(&part.bytes).ok());
    if text("messaging_product") != Some("whatsapp") {
        return bad_parameter("messaging_product must be whatsapp");
    }
    let Some(file) = part("file") else { return bad_parameter("the form has no file") };
    let mime = text("type").or(file.content_type.as_deref()).unwrap_or_default().to_owned();
    if !mime.contains('/') {
        return bad_parameter("type must be a media type");
    }
    let limit = LIMITS
        .iter()
        .find(|(prefix, _)| mime.starts_with(prefix))
        .map_or(DOCUMENT_LIMIT, |(_, limit)| *limit);
    if file.bytes.is_empty() || file.bytes.len() > limit {
        let words = format!("a file of this type has 1 to {limit} bytes");
        return graph_error(StatusCode::BAD_REQUEST, 131_053, "Media upload error", &words);
    }
    let file = File::new(ids::new_file(), file.bytes.clone(), mime, file.filename.clone());
    let file = world.state().files.keep(call.account, file);
    Answer::ok(json!({"id": file.id}))
}
