//! What happens beside texts: files and their links, groups, people, chats, statuses.

use crate::harness::{AMIRA, GROUP, Sim, TOKEN};
use crate::shapes::{same_shape, vector};
use serde_json::{Value, json};

impl Sim {
    /// With a webhook for every type there is.
    async fn for_everything() -> Self {
        let sim = Self::start_silent().await;
        let events: Vec<Value> = [
            "messages",
            "statuses",
            "groups",
            "contacts",
            "chats",
            "channel",
            "users",
            "presences",
        ]
        .map(|kind| json!({"type": kind}))
        .into();
        let hook = json!({"url": format!("{}/hook", sim.hooks.url), "events": events});
        let settings = json!({"webhooks": [hook], "media": {"auto_download": ["image"]}});
        assert_eq!(sim.call("PATCH", "/settings", Some(settings)).await.status, 200);
        sim
    }

    async fn change(&self, key: &str, mut body: Value) -> Value {
        self.hooks.forget();
        body["token"] = TOKEN.into();
        self.control("POST", "/state", Some(json!({ key: [body] }))).await;
        self.hooks.wait(1).await.remove(0).body
    }
}

#[tokio::test]
async fn files_are_real_and_their_links_end() {
    let sim = Sim::for_everything().await;
    for (kind, beginning) in [
        ("image", &b"\xff\xd8\xff"[..]),
        ("voice", b"OggS"),
        ("document", b"%PDF"),
        ("sticker", b"RIFF"),
    ] {
        sim.hooks.forget();
        sim.inbound(json!({"from": AMIRA, "type": kind})).await;
        let message = sim.hooks.wait(1).await.remove(0).body["messages"][0].clone();
        let file = &message[kind];
        let id = file["id"].as_str().expect("files have ids");
        let bytes = sim.bytes(&format!("/media/{id}"), Some(TOKEN)).await.expect("it is there");
        assert!(bytes.starts_with(beginning), "{kind}");
        assert_eq!(bytes.len() as u64, file["file_size"].as_u64().expect("its size"));
        assert_eq!(sim.bytes(&format!("/media/{id}"), Some("wrong")).await, None);
        assert_eq!(file.get("link").is_some(), kind == "image", "only what is downloaded has one");
    }
    sim.hooks.forget();
    let written = json!({"from": AMIRA, "type": "image", "media": {"base64": "aGVsbG8=", "mime_type": "image/png"}});
    sim.inbound(written).await;
    let image = sim.hooks.wait(1).await.remove(0).body["messages"][0]["image"].clone();
    let link = image["link"].as_str().expect("a link");
    let path = link.strip_prefix(&sim.url).expect("to the simulator");
    assert_eq!(sim.bytes(path, None).await.as_deref(), Some(&b"hello"[..]), "no token is needed");
    let ended = json!({"files": [{"token": TOKEN, "id": image["id"], "end_links": true}]});
    sim.control("POST", "/state", Some(ended)).await;
    assert_eq!(sim.bytes(path, None).await, None);
    let id = image["id"].as_str().expect("an id");
    assert!(
        sim.bytes(&format!("/media/{id}"), Some(TOKEN)).await.is_some(),
        "by its id it is there"
    );
    let gone = json!({"files": [{"token": TOKEN, "id": id, "forget": true}]});
    sim.control("POST", "/state", Some(gone.clone())).await;
    assert_eq!(sim.bytes(&format!("/media/{id}"), Some(TOKEN)).await, None);
    let again = sim.call("POST", "/_control/state", Some(gone)).await;
    assert_eq!(again.status, 400);
    sim.stop().await;
}

#[tokio::test]
async fn groups_change() {
    let sim = Sim::for_everything().await;
    let change = |body: Value| {
        let mut body = body;
        body["group"] = GROUP.into();
        body
    };
    let created = sim.change("group_changes", change(json!({"change": "created"}))).await;
    same_shape(&created, vector!("group_created"));
    for (word, action) in
        [("promoted", "promote"), ("demoted", "demote"), ("removed", "remove"), ("joined", "add")]
    {
        let body = sim
            .change(
                "group_changes",
                change(json!({"change": word, "participants": ["447700900777"]})),
            )
            .await;
        same_shape(&body, vector!("group_participants_add"));
        assert_eq!(body["groups_participants"][0]["action"], action);
    }
    let renamed = json!({"change": "subject", "subject": "Ops Night Shift B"});
    same_shape(
        &sim.change("group_changes", change(renamed)).await,
        vector!("group_update_subject"),
    );
    let closed = json!({"change": "settings", "only_admins_send": true});
    let closed = sim.change("group_changes", change(closed)).await;
    let update = &closed["groups_updates"][0];
    assert_eq!(update["changes"], json!(["announcements"]));
    assert_eq!(update["before_update"]["announcements"], false);
    let wrong = json!({"group_changes": [{"group": GROUP, "change": "removed", "participants": ["447700900111"]}]});
    let refused = sim.call("POST", "/_control/state", Some(wrong)).await;
    assert_eq!(refused.status, 400);
    assert!(refused.body["error"].as_str().expect("words").contains("is not in the group"));
    sim.stop().await;
}

#[tokio::test]
async fn people_chats_and_the_rest() {
    let sim = Sim::for_everything().await;
    sim.change("contact_changes", json!({"phone": AMIRA, "saved_name": "Amira"})).await;
    let body =
        sim.change("contact_changes", json!({"phone": AMIRA, "saved_name": "Amira (Acme)"})).await;
    let update = &body["contacts_updates"][0];
    assert_eq!(update["changes"], json!(["name"]));
    assert_eq!(update["after_update"]["name"], "Amira (Acme)");
    let body =
        sim.change("chat_changes", json!({"chat": AMIRA, "unread": 1, "created": true})).await;
    same_shape(&body, vector!("chat_created"));
    let body = sim.change("chat_changes", json!({"chat": AMIRA, "unread": 3})).await;
    assert_eq!(body["chats_updates"][0]["after_update"]["unread"], 3);
    let own =
        json!({"kind": "presences.post", "content": [{"contact_id": AMIRA, "status": "typing"}]});
    assert_eq!(sim.change("events", own).await["presences"][0]["status"], "typing");
    sim.stop().await;
}

#[tokio::test]
async fn contents_in_whapis_words() {
    let sim = Sim::for_everything().await;
    let poll = sim.inbound(json!({"from": AMIRA, "type": "poll", "poll": {"title": "When?", "options": ["a", "b"]}})).await;
    sim.hooks.wait(1).await;
    for (written, pointer, expected) in [
        (
            json!({"type": "vote", "target": poll["id"], "options": ["a"]}),
            "/action/votes/0",
            json!("a"),
        ),
        (
            json!({"type": "answer", "answer": {"id": "1", "title": "Yes"}}),
            "/reply/buttons_reply/title",
            json!("Yes"),
        ),
        (
            json!({"type": "answer", "answer": {"list": true, "id": "1", "title": "Yes", "description": "x"}}),
            "/reply/list_reply/description",
            json!("x"),
        ),
        (
            json!({"type": "order", "order": {"id": "7", "items": [{"id": "a", "name": "b", "quantity": 2, "price": 1.5}]}}),
            "/order/total_price",
            json!(3.0),
        ),
        (
            json!({"type": "contact", "contacts": [{"name": "a", "phone": "447700900456"}, {"name": "b", "vcard": "x"}]}),
            "/contact_list/list/1/name",
            json!("b"),
        ),
        (json!({"text": "x", "forwarded": true}), "/context/forwarded", json!(true)),
        (
            json!({"text": "x", "from": "183800000000123@lid"}),
            "/chat_id",
            json!("183800000000123@lid"),
        ),
        (
            json!({"text": "x", "chat": "120363025550100777@newsletter"}),
            "/chat_id",
            json!("120363025550100777@newsletter"),
        ),
        (json!({"type": "image", "caption": "see"}), "/image/caption", json!("see")),
    ] {
        sim.hooks.forget();
        let mut written = written;
        if written.get("from").is_none() {
            written["from"] = AMIRA.into();
        }
        sim.inbound(written.clone()).await;
        let body = sim.hooks.wait(1).await.remove(0).body;
        assert_eq!(body["messages"][0].pointer(pointer), Some(&expected), "{written}: {body}");
    }
    sim.hooks.forget();
    let ours = sim.inbound(json!({"from_me": true, "chat": GROUP, "text": "to all"})).await;
    let status = json!({"type": "status", "target": ours["id"], "status": "played", "from": AMIRA});
    sim.inbound(status).await;
    let body = sim.hooks.wait(2).await.remove(1).body;
    assert_eq!(body["statuses"][0]["viewer_id"], AMIRA);
    assert_eq!(body["statuses"][0]["status"], "played");
    sim.stop().await;
}
