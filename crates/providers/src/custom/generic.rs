//! The generic format: what a mapping says that is empty (`docs/CUSTOM_PROVIDER.md`).

use std::collections::BTreeMap;

use http::{HeaderName, Method};
use serde_json::json;
use wabridge_domain::account::AccountState;
use wabridge_domain::message::{MessageType, StatusWord};
use wabridge_domain::webhook::Encoding;

use super::mapping::{
    AccountMap, Api, Auth, CallMap, Chats, EventKind, HealthMap, LocationMap, MediaMap, MessageMap,
    SignatureMap, StatusMap, TimeFormat, Webhook, answer_status, message_id,
};
use super::pointer::Pointers;
use super::sends::{SendMap, Sends};
use super::template::{Body, Path};

fn at(places: &[&str]) -> Option<Pointers> {
    Pointers::at(places)
}

/// Known to be one: the test of the default reads them all.
fn path(text: &str) -> Path {
    Path::parse(text).expect("paths of the generic format are well formed")
}

impl Default for Webhook {
    fn default() -> Self {
        Self {
            secret: super::mapping::SecretMap::default(),
            signature: SignatureMap::default(),
            events: None,
            channel_id: at(&["/channel_id"]),
            event: at(&["/event_type"]),
            event_words: [
                ("message.received", EventKind::Message),
                ("message.sent", EventKind::Echo),
                ("message.typed", EventKind::Phone),
                ("message.status", EventKind::Status),
                ("message.edited", EventKind::Edit),
                ("message.deleted", EventKind::Delete),
                ("message.reaction", EventKind::Reaction),
                ("account.state", EventKind::Account),
            ]
            .map(|(word, kind)| (word.to_owned(), kind))
            .into(),
            timestamp: at(&["/timestamp"]),
            timestamp_format: TimeFormat::Auto,
            message: MessageMap::default(),
            message_types: message_types(),
            status: StatusMap::default(),
            status_words: status_words(),
            account: AccountMap::default(),
            account_states: AccountState::ALL
                .map(|state| (state.as_str().to_owned(), state))
                .into(),
        }
    }
}

/// Our own words, and those that many providers use.
fn message_types() -> BTreeMap<String, MessageType> {
    let own = MessageType::ALL.iter().map(|kind| (kind.as_str(), *kind));
    let other = [
        ("chat", MessageType::Text),
        ("ptt", MessageType::Voice),
        ("file", MessageType::Document),
        ("contacts", MessageType::Contact),
        ("vcard", MessageType::Contact),
    ];
    own.chain(other).map(|(word, kind)| (word.to_owned(), kind)).collect()
}

fn status_words() -> BTreeMap<String, StatusWord> {
    let own = StatusWord::ALL.iter().map(|word| (word.as_str(), *word));
    let other = [
        ("queued", StatusWord::Pending),
        ("accepted", StatusWord::Pending),
        ("seen", StatusWord::Read),
        ("error", StatusWord::Failed),
    ];
    own.chain(other).map(|(given, word)| (given.to_owned(), word)).collect()
}

impl Default for SignatureMap {
    fn default() -> Self {
        Self {
            header: Some(HeaderName::from_static("x-webhook-signature")),
            prefix: "sha256=".to_owned(),
            encoding: Encoding::Hex,
        }
    }
}

impl Default for MessageMap {
    fn default() -> Self {
        Self {
            id: at(&["/data/message/id"]),
            chat: at(&["/data/message/chat_id"]),
            sender: at(&["/data/message/from"]),
            recipient: at(&["/data/message/to"]),
            from_me: at(&["/data/message/from_me"]),
            r#type: at(&["/data/message/type"]),
            body: at(&["/data/message/body"]),
            timestamp: at(&["/data/message/timestamp"]),
            quoted_id: at(&["/data/message/quoted_id"]),
            forwarded: at(&["/data/message/forwarded"]),
            mentions: at(&["/data/message/mentions"]),
            reference: at(&["/data/message/reference"]),
            edit_id: at(&["/data/message/edit_id"]),
            reaction_target: at(&["/data/message/reaction/message_id"]),
            reaction_emoji: at(&["/data/message/reaction/emoji"]),
            contact_name: at(&["/data/contact/name"]),
            pushname: at(&["/data/contact/pushname"]),
            group_name: at(&["/data/group/name"]),
            media: MediaMap::default(),
            location: LocationMap::default(),
        }
    }
}

impl Default for MediaMap {
    fn default() -> Self {
        Self {
            id: at(&["/data/message/media/id"]),
            url: at(&["/data/message/media/url"]),
            mimetype: at(&["/data/message/media/mimetype"]),
            filename: at(&["/data/message/media/filename"]),
            caption: at(&["/data/message/media/caption", "/data/message/caption"]),
            size: at(&["/data/message/media/size"]),
        }
    }
}

impl Default for LocationMap {
    fn default() -> Self {
        Self {
            latitude: at(&["/data/message/location/latitude"]),
            longitude: at(&["/data/message/location/longitude"]),
            name: at(&["/data/message/location/name"]),
            address: at(&["/data/message/location/address"]),
        }
    }
}

impl Default for StatusMap {
    fn default() -> Self {
        Self {
            id: at(&["/data/status/message_id", "/data/status/id", "/data/message/id"]),
            word: at(&["/data/status/status", "/data/message/status"]),
            timestamp: at(&["/data/status/timestamp"]),
            member: at(&["/data/status/member"]),
            error_code: at(&["/data/status/error/code"]),
            error_message: at(&["/data/status/error/message"]),
            reference: at(&["/data/status/reference", "/data/message/reference"]),
        }
    }
}

impl Default for AccountMap {
    fn default() -> Self {
        Self { state: at(&["/data/account/state"]), reason: at(&["/data/account/reason"]) }
    }
}

impl Default for Chats {
    fn default() -> Self {
        Self { direct_suffix: "@s.whatsapp.net".to_owned(), group_suffix: "@g.us".to_owned() }
    }
}

impl Default for Api {
    fn default() -> Self {
        let body = json!({
            "to": "{chat_id}", "type": "text", "body": "{text}", "quoted_id": "{quoted_id}",
            "reference": "{reference}",
        });
        let body = Body::compile(body, "").expect("the generic body is well formed");
        let call = |method, to, body| CallMap { method, path: path(to), headers: vec![], body };
        Self {
            base_path: path("/"),
            auth: Auth::Bearer {},
            send_text: Some(SendMap {
                call: call(Method::POST, "/messages", Some(body)),
                message_id: message_id(),
                status: answer_status(),
            }),
            health: Some(HealthMap {
                call: call(Method::GET, "/health", None),
                state: at(&["/state", "/status"]),
                phone: at(&["/phone"]),
                name: at(&["/name"]),
            }),
            media: Some(call(Method::GET, "/media/{media_id}", None)),
            mark_read: None,
            send: Sends::default(),
            upload: None,
            edit: None,
            delete: None,
            groups: super::groups::Groups::default(),
            lists: super::lists::Lists::default(),
            contact: None,
            block: None,
            unblock: None,
            answers: BTreeMap::new(),
            error: at(&["/error/message", "/error", "/message"]),
        }
    }
}
