//! The contents, and the request that each is at each provider; who is not named cannot send it.

use serde_json::{Value, json};

use super::Provider::{self, Custom, Meta, Wassenger, Whapi};

/// A request: method, path below the account's, JSON body.
pub struct Want {
    pub method: &'static str,
    pub path: &'static str,
    pub body: Value,
}

pub struct Case {
    pub name: &'static str,
    /// `type` of `message.send`.
    pub kind: &'static str,
    /// The part that the type names, without the file's bytes.
    pub part: Value,
    /// Bytes and name of the file.
    pub file: Option<(Vec<u8>, &'static str)>,
    /// As the daemon tells it by the bytes.
    pub mimetype: &'static str,
    pub reply: bool,
    pub wants: Vec<(Provider, Want)>,
}

impl Case {
    /// The name of the part.
    pub fn named(&self) -> &'static str {
        if self.file.is_some() && self.kind != "template" { "media" } else { self.kind }
    }
}

fn post(path: &'static str, body: Value) -> Want {
    Want { method: "POST", path, body }
}

/// As every send begins.
fn whapi(path: &'static str, more: Value) -> (Provider, Want) {
    (Whapi, post(path, with(json!({"to": "447700900123@s.whatsapp.net"}), more)))
}

fn wassenger(more: Value) -> (Provider, Want) {
    let first = json!({"device": Wassenger.channel(), "phone": "+447700900123", "reference": "{reference}", "enqueue": "never"});
    (Wassenger, post("/messages", with(first, more)))
}

fn meta(more: Value) -> (Provider, Want) {
    let first = json!({"messaging_product": "whatsapp", "recipient_type": "individual", "to": "447700900123", "biz_opaque_callback_data": "{reference}"});
    (Meta, post("/messages", with(first, more)))
}

fn custom(more: Value) -> (Provider, Want) {
    let first = json!({"to": "447700900123@s.whatsapp.net", "reference": "{reference}"});
    (Custom, post("/messages", with(first, more)))
}

fn with(mut first: Value, more: Value) -> Value {
    if let (Some(first), Value::Object(more)) = (first.as_object_mut(), more) {
        first.extend(more);
    }
    first
}

fn plain(
    name: &'static str,
    kind: &'static str,
    part: Value,
    wants: Vec<(Provider, Want)>,
) -> Case {
    Case { name, kind, part, file: None, mimetype: "", reply: false, wants }
}

fn file(
    kind: &'static str,
    (bytes, filename, mimetype): (&[u8], &'static str, &'static str),
    part: Value,
    wants: Vec<(Provider, Want)>,
) -> Case {
    Case {
        name: kind,
        kind,
        part,
        file: Some((bytes.to_vec(), filename)),
        mimetype,
        reply: false,
        wants,
    }
}

const IMAGE: &[u8] = include_bytes!("../../../crates/simulator/samples/image.jpeg");
const VIDEO: &[u8] = include_bytes!("../../../crates/simulator/samples/video.mp4");
const AUDIO: &[u8] = include_bytes!("../../../crates/simulator/samples/audio.mp3");
const VOICE: &[u8] = include_bytes!("../../../crates/simulator/samples/voice.ogg");
const PDF: &[u8] = include_bytes!("../../../crates/simulator/samples/document.pdf");

/// WhatsApp takes stickers of 512 × 512 only.
fn sticker() -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::DynamicImage::from(image::RgbImage::from_pixel(512, 512, image::Rgb([9, 99, 9])))
        .write_to(&mut bytes, image::ImageFormat::WebP)
        .expect("a picture");
    bytes.into_inner()
}
/// An empty box behind the video: other bytes, so that it is handed over as well.
const GIF_END: &[u8] = b"\0\0\0\x08free";

/// The card that WHAPI is sent.
const VCARD: &str = "BEGIN:VCARD\r\nVERSION:3.0\r\nN:;Amira Osei;;;\r\nFN:Amira Osei\r\nTEL;type=CELL;waid=447700900801:+447700900801\r\nEND:VCARD";

pub fn all() -> Vec<Case> {
    [texts(), files(), objects(), headers(), choices()].into_iter().flatten().collect()
}

fn texts() -> Vec<Case> {
    let mut reply = plain(
        "reply",
        "text",
        json!({"body": "an answer"}),
        vec![
            whapi("/messages/text", json!({"body": "an answer", "quoted": "{quoted}"})),
            wassenger(json!({"message": "an answer", "quote": "{quoted}"})),
            meta(
                json!({"type": "text", "text": {"body": "an answer"}, "context": {"message_id": "{quoted}"}}),
            ),
            custom(json!({"type": "text", "body": "an answer", "quoted_id": "{quoted}"})),
        ],
    );
    reply.reply = true;
    vec![
        plain(
            "text",
            "text",
            json!({"body": "hello"}),
            vec![
                whapi("/messages/text", json!({"body": "hello"})),
                wassenger(json!({"message": "hello"})),
                meta(json!({"type": "text", "text": {"body": "hello"}})),
                custom(json!({"type": "text", "body": "hello"})),
            ],
        ),
        plain(
            "text without preview",
            "text",
            json!({"body": "https://a.example", "preview": false}),
            vec![
                whapi(
                    "/messages/text",
                    json!({"body": "https://a.example", "no_link_preview": true}),
                ),
                wassenger(json!({"message": "https://a.example", "previewUrl": false})),
                meta(
                    json!({"type": "text", "text": {"body": "https://a.example", "preview_url": false}}),
                ),
                custom(json!({"type": "text", "body": "https://a.example"})),
            ],
        ),
        plain(
            "text with a mention",
            "text",
            json!({"body": "hi @447700900124", "mentions": ["+447700900124"]}),
            vec![
                whapi(
                    "/messages/text",
                    json!({"body": "hi @447700900124", "mentions": ["447700900124"]}),
                ),
                wassenger(json!({"message": "hi @447700900124"})),
                meta(json!({"type": "text", "text": {"body": "hi @447700900124"}})),
                custom(json!({"type": "text", "body": "hi @447700900124"})),
            ],
        ),
        reply,
    ]
}

fn files() -> Vec<Case> {
    let whapi = |path: &'static str, mimetype: &str, more: Value| {
        whapi(path, with(json!({"media": "{file}", "mime_type": mimetype}), more))
    };
    vec![
        file(
            "image",
            (IMAGE, "a.jpeg", "image/jpeg"),
            json!({"caption": "as seen"}),
            vec![
                whapi("/messages/image", "image/jpeg", json!({"caption": "as seen"})),
                wassenger(json!({"media": {"file": "{file}"}, "message": "as seen"})),
                meta(json!({"type": "image", "image": {"id": "{file}", "caption": "as seen"}})),
                custom(
                    json!({"type": "image", "file": "{file}", "filename": "a.jpeg", "caption": "as seen"}),
                ),
            ],
        ),
        file(
            "video",
            (VIDEO, "a.mp4", "video/mp4"),
            json!({}),
            vec![
                whapi("/messages/video", "video/mp4", json!({})),
                wassenger(json!({"media": {"file": "{file}"}})),
                meta(json!({"type": "video", "video": {"id": "{file}"}})),
                custom(json!({"type": "video", "file": "{file}", "filename": "a.mp4"})),
            ],
        ),
        file(
            "audio",
            (AUDIO, "a.mp3", "audio/mpeg"),
            json!({}),
            vec![
                whapi("/messages/audio", "audio/mpeg", json!({})),
                wassenger(json!({"media": {"file": "{file}"}})),
                meta(json!({"type": "audio", "audio": {"id": "{file}"}})),
                custom(json!({"type": "audio", "file": "{file}", "filename": "a.mp3"})),
            ],
        ),
        file(
            "voice",
            (VOICE, "a.ogg", "audio/ogg"),
            json!({}),
            vec![
                whapi("/messages/voice", "audio/ogg", json!({})),
                wassenger(json!({"media": {"file": "{file}", "format": "ptt"}})),
                meta(json!({"type": "audio", "audio": {"id": "{file}", "voice": true}})),
                custom(json!({"type": "voice", "file": "{file}", "filename": "a.ogg"})),
            ],
        ),
        file(
            "document",
            (PDF, "offer.pdf", "application/pdf"),
            json!({"caption": "our offer"}),
            vec![
                whapi(
                    "/messages/document",
                    "application/pdf",
                    json!({"filename": "offer.pdf", "caption": "our offer"}),
                ),
                wassenger(
                    json!({"media": {"file": "{file}", "filename": "offer.pdf"}, "message": "our offer"}),
                ),
                meta(
                    json!({"type": "document", "document": {"id": "{file}", "filename": "offer.pdf", "caption": "our offer"}}),
                ),
                custom(
                    json!({"type": "document", "file": "{file}", "filename": "offer.pdf", "caption": "our offer"}),
                ),
            ],
        ),
        file(
            "sticker",
            (&sticker(), "a.webp", "image/webp"),
            json!({}),
            vec![
                whapi("/messages/sticker", "image/webp", json!({})),
                meta(json!({"type": "sticker", "sticker": {"id": "{file}"}})),
                custom(json!({"type": "sticker", "file": "{file}", "filename": "a.webp"})),
            ],
        ),
        file(
            "gif",
            (&[VIDEO, GIF_END].concat(), "b.mp4", "video/mp4"),
            json!({}),
            vec![
                whapi("/messages/gif", "video/mp4", json!({})),
                wassenger(json!({"media": {"file": "{file}", "format": "gif"}})),
                custom(json!({"type": "gif", "file": "{file}", "filename": "b.mp4"})),
            ],
        ),
    ]
}

fn objects() -> Vec<Case> {
    vec![
        plain(
            "location",
            "location",
            json!({"latitude": 51.5, "longitude": -0.125, "name": "Depot 4", "address": "1 Quay"}),
            vec![
                whapi(
                    "/messages/location",
                    json!({"latitude": 51.5, "longitude": -0.125, "name": "Depot 4", "address": "1 Quay"}),
                ),
                wassenger(json!({"location": {"coordinates": [51.5, -0.125], "name": "Depot 4"}})),
                meta(
                    json!({"type": "location", "location": {"latitude": "51.5", "longitude": "-0.125", "name": "Depot 4", "address": "1 Quay"}}),
                ),
                custom(
                    json!({"type": "location", "location": {"latitude": 51.5, "longitude": -0.125, "name": "Depot 4", "address": "1 Quay"}}),
                ),
            ],
        ),
        plain(
            "contact",
            "contact",
            json!({"name": "Amira Osei", "phone": "+44 7700 900801"}),
            vec![
                whapi("/messages/contact", json!({"name": "Amira Osei", "vcard": VCARD})),
                wassenger(json!({"contacts": [{"phone": "+447700900801", "name": "Amira Osei"}]})),
                meta(json!({"type": "contacts", "contacts": [{
                    "name": {"formatted_name": "Amira Osei", "first_name": "Amira Osei"},
                    "phones": [{"phone": "+447700900801", "wa_id": "447700900801"}],
                }]})),
                custom(
                    json!({"type": "contact", "contact": {"name": "Amira Osei", "number": "447700900801"}}),
                ),
            ],
        ),
        plain(
            "poll",
            "poll",
            json!({"title": "When?", "options": ["Mon", "Tue"]}),
            vec![
                whapi(
                    "/messages/poll",
                    json!({"title": "When?", "options": ["Mon", "Tue"], "count": 1}),
                ),
                wassenger(json!({"poll": {"name": "When?", "options": ["Mon", "Tue"]}})),
                custom(
                    json!({"type": "poll", "poll": {"title": "When?", "options": ["Mon", "Tue"], "count": 1}}),
                ),
            ],
        ),
        plain(
            "poll with any number of choices",
            "poll",
            json!({"title": "When?", "options": ["Mon", "Tue"], "count": 0}),
            vec![
                whapi(
                    "/messages/poll",
                    json!({"title": "When?", "options": ["Mon", "Tue"], "count": 0}),
                ),
                wassenger(
                    json!({"poll": {"name": "When?", "options": ["Mon", "Tue"], "multiple": true}}),
                ),
                custom(
                    json!({"type": "poll", "poll": {"title": "When?", "options": ["Mon", "Tue"], "count": 0}}),
                ),
            ],
        ),
        plain(
            "template",
            "template",
            json!({"name": "appointment", "language": "en", "parameters": {"header": ["Monday"], "body": ["Amira", "8", "10"]}}),
            vec![meta(json!({"type": "template", "template": {
                "name": "appointment", "language": {"policy": "deterministic", "code": "en"}, "components": [
                    {"type": "header", "parameters": [{"type": "text", "text": "Monday"}]},
                    {"type": "body", "parameters": [
                        {"type": "text", "text": "Amira"}, {"type": "text", "text": "8"}, {"type": "text", "text": "10"},
                    ]},
                ],
            }}))],
        ),
    ]
}

/// The templates of Meta's account.
pub fn templates() -> Value {
    let one = |n: u32, name: &str, header: Value, body: &str, buttons: Value| {
        json!({"id": format!("90000000000{n:04}"), "name": name, "language": "en", "status": "APPROVED",
            "category": "UTILITY", "components": [header, {"type": "BODY", "text": body}, buttons]})
    };
    let buttons = json!({"type": "BUTTONS", "buttons": [
        {"type": "QUICK_REPLY", "text": "Call me"},
        {"type": "URL", "text": "Look", "url": "https://shop.example/{{1}}"},
    ]});
    let mut all = vec![one(
        1,
        "appointment",
        json!({"type": "HEADER", "format": "TEXT", "text": "Visit on {{1}}"}),
        "{{1}}, we come between {{2}} and {{3}}.",
        json!({"type": "BUTTONS", "buttons": []}),
    )];
    for (n, format) in [(2, "document"), (3, "image"), (4, "video")] {
        let header = json!({"type": "HEADER", "format": format.to_uppercase()});
        let name = format!("offer_{format}");
        all.push(one(n, &name, header, "New for you, {{first_name}}!", buttons.clone()));
    }
    all.into()
}

/// Templates whose header is a file; placeholders with names, a button that is not the first.
fn headers() -> Vec<Case> {
    let template = |name: &'static str,
                    file: (&[u8], &'static str, &'static str),
                    header: Value| Case {
        name,
        kind: "template",
        part: json!({"name": header["type"].as_str().map(|format| format!("offer_{format}")), "language": "en", "parameters": {
            "body": [{"name": "first_name", "text": "Amira"}], "buttons": [{"index": 1, "text": "118"}],
        }}),
        file: Some((file.0.to_vec(), file.1)),
        mimetype: file.2,
        reply: false,
        wants: vec![meta(json!({"type": "template", "template": {
            "name": header["type"].as_str().map(|format| format!("offer_{format}")), "language": {"policy": "deterministic", "code": "en"}, "components": [
                {"type": "header", "parameters": [header]},
                {"type": "body", "parameters": [{"type": "text", "parameter_name": "first_name", "text": "Amira"}]},
                {"type": "button", "sub_type": "url", "index": "1", "parameters": [{"type": "text", "text": "118"}]},
            ],
        }}))],
    };
    vec![
        template(
            "template with a document",
            (&[PDF, b"\n"].concat(), "terms.pdf", "application/pdf"),
            json!({"type": "document", "document": {"id": "{file}", "filename": "terms.pdf"}}),
        ),
        template(
            "template with an image",
            (&[IMAGE, b"\0"].concat(), "b.jpeg", "image/jpeg"),
            json!({"type": "image", "image": {"id": "{file}"}}),
        ),
        template(
            "template with a video",
            (&[VIDEO, GIF_END, GIF_END].concat(), "c.mp4", "video/mp4"),
            json!({"type": "video", "video": {"id": "{file}"}}),
        ),
    ]
}

fn choices() -> Vec<Case> {
    vec![
        plain(
            "buttons",
            "interactive",
            json!({"kind": "buttons", "body": "Shall we come?", "header": "Visit", "footer": "Acme",
                "options": [{"id": "y", "title": "Yes"}, {"id": "n", "title": "No"}]}),
            vec![
                whapi(
                    "/messages/interactive",
                    json!({
                        "type": "button", "header": {"text": "Visit"}, "body": {"text": "Shall we come?"}, "footer": {"text": "Acme"},
                        "action": {"buttons": [
                            {"type": "quick_reply", "title": "Yes", "id": "y"}, {"type": "quick_reply", "title": "No", "id": "n"},
                        ]},
                    }),
                ),
                meta(json!({"type": "interactive", "interactive": {
                    "type": "button", "header": {"type": "text", "text": "Visit"}, "body": {"text": "Shall we come?"},
                    "footer": {"text": "Acme"},
                    "action": {"buttons": [
                        {"type": "reply", "reply": {"id": "y", "title": "Yes"}},
                        {"type": "reply", "reply": {"id": "n", "title": "No"}},
                    ]},
                }})),
            ],
        ),
        plain(
            "list",
            "interactive",
            json!({"kind": "list", "body": "Which day?", "button": "Days",
                "options": [{"id": "mo", "title": "Monday", "description": "8 to 10"}, {"id": "tu", "title": "Tuesday"}]}),
            vec![
                whapi(
                    "/messages/interactive",
                    json!({
                        "type": "list", "body": {"text": "Which day?"},
                        "action": {"list": {"label": "Days", "sections": [{"rows": [
                            {"id": "mo", "title": "Monday", "description": "8 to 10"}, {"id": "tu", "title": "Tuesday"},
                        ]}]}},
                    }),
                ),
                meta(json!({"type": "interactive", "interactive": {
                    "type": "list", "body": {"text": "Which day?"},
                    "action": {"button": "Days", "sections": [{"rows": [
                        {"id": "mo", "title": "Monday", "description": "8 to 10"}, {"id": "tu", "title": "Tuesday"},
                    ]}]},
                }})),
            ],
        ),
    ]
}
