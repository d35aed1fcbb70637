//! What changed of groups, contacts, chats and the device itself.

use serde_json::Value;
use wabridge_domain::account::AccountState;
use wabridge_domain::event::{
    AccountUpdate, Chat, ChatKind, ChatUpdate, ContactUpdate, GroupUpdate, MemberChange,
    MemberState, Person, Role, What,
};

use super::super::wire;
use super::{Reading, broken, id};
use crate::Broken;
use crate::body::bounded;
use crate::json::{ID_MAX_BYTES, string, text, word};

/// Where an invite link begins; what follows is its code.
const INVITE: &str = "https://chat.whatsapp.com/";

impl Reading<'_> {
    /// One change of a group. A member that cannot be read spoils no other.
    pub(super) fn group(self, unreadable: &mut Vec<Broken>) -> Result<What, &'static str> {
        let data = self.data;
        let chat = data.get("chat").unwrap_or(&Value::Null);
        let group_id = [id(chat, "id"), id(data, "wid"), id(data, "id"), id(data, "chat")]
            .into_iter()
            .flatten()
            .map(|id| wire::chat_id(&id))
            .find(|id| wire::chat_kind(id) == ChatKind::Group)
            .ok_or("it names no group")?;
        let group = chat.get("group").unwrap_or(&Value::Null);
        let given = ["type", "action", "kind"].into_iter().find_map(|name| text(data, name));
        let given = given.unwrap_or("info").to_ascii_lowercase();
        let kind = kind_of(&given);
        let mut update = GroupUpdate {
            group_id,
            kind: kind.to_owned(),
            at: self.created(),
            event_id: id(self.envelope, "id").unwrap_or_default(),
            name: string(data, "subject")
                .or_else(|| string(data, "name"))
                .or_else(|| string(chat, "name")),
            description: string(data, "description").or_else(|| string(group, "description")),
            picture: picture(data).or_else(|| string(group, "imageUrl")),
            invite_link: invite_link(data),
            by: ["author", "by"].into_iter().find_map(|name| person_of(data.get(name)?)),
            ..GroupUpdate::default()
        };
        settings(&mut update, data, &given);
        let (role, state) = match kind {
            "promoted" => (Some(Role::Admin), MemberState::Joined),
            "demoted" => (Some(Role::Member), MemberState::Joined),
            "removed" => (None, MemberState::Removed),
            "left" => (None, MemberState::Left),
            _ => (None, MemberState::Joined),
        };
        let members = data.get("participants").or_else(|| data.get("members"));
        let members = match members {
            Some(Value::Array(members)) => members.as_slice(),
            Some(Value::Null) | None => &[],
            Some(member) => std::slice::from_ref(member),
        };
        for (index, member) in members.iter().enumerate() {
            match person_of(member) {
                Some(person) => {
                    update.members.push(MemberChange {
                        person,
                        role: role.or_else(|| role_of(member)),
                        state,
                    });
                }
                None => {
                    unreadable.push(broken("group:update participants", index, "it names nobody"));
                }
            }
        }
        let own = update.members.iter().any(|member| self.is_own(&member.person));
        update.is_active = match kind {
            "deleted" => Some(false),
            "removed" | "left" if own => Some(false),
            "created" => Some(true),
            "joined" if own => Some(true),
            _ => None,
        };
        Ok(What::Group(Box::new(update)))
    }

    pub(super) fn contact(self) -> Result<What, &'static str> {
        let data = self.data;
        let given = ["wid", "id", "phone"].into_iter().find_map(|name| id(data, name));
        let given = given.or_else(|| id(self.envelope, "id")).ok_or("it names no contact")?;
        let Some(mut person) = wire::person(&given) else {
            // A group's or channel's entry in the address book.
            return Ok(What::Other { kind: "contact:update".to_owned() });
        };
        self.describe(&mut person, data);
        let flag =
            |names: &[&str]| names.iter().find_map(|name| data.get(name).and_then(Value::as_bool));
        Ok(What::Contact(Box::new(ContactUpdate {
            person,
            at: self.created(),
            picture: picture(data),
            is_business: flag(&["isBusiness", "isBiz"]),
            is_blocked: flag(&["isBlocked", "blocked"]),
            is_wa_contact: None,
            formerly: None,
        })))
    }

    /// Names, number and LID of an entry of the address book.
    fn describe(self, person: &mut Person, entry: &Value) {
        let first = |names: &[&str]| names.iter().find_map(|name| string(entry, name));
        person.name = first(&["name"]);
        person.pushname = first(&["pushName", "pushname", "notifyName", "displayName"]);
        if person.phone.is_none() {
            person.phone = text(entry, "phone").and_then(wire::phone);
        }
        if person.lid.is_none() {
            person.lid = [id(entry, "lid"), id(self.data, "lid")]
                .into_iter()
                .flatten()
                .find(|id| id.ends_with("@lid"));
        }
    }

    /// The chat, and the person of a direct one: the event holds its entry of the address book.
    pub(super) fn chat_update(self) -> Result<Vec<What>, &'static str> {
        let data = self.data;
        let id = id(data, "id").or_else(|| id(data, "wid")).or_else(|| id(self.envelope, "id"));
        let id = id.map(|id| wire::chat_id(&id)).filter(|id| id.len() <= ID_MAX_BYTES);
        let id = id.ok_or("it names no chat")?;
        let at = self.created();
        let mut whats = Vec::with_capacity(2);
        let kind = wire::chat_kind(&id);
        if let (ChatKind::Direct, Some(entry)) = (kind, data.get("contact"))
            && let Some(mut person) = wire::person(&id)
        {
            self.describe(&mut person, entry);
            let picture = picture(entry);
            whats.push(What::Contact(Box::new(ContactUpdate {
                person,
                at,
                picture,
                ..ContactUpdate::default()
            })));
        }
        let unread =
            ["unreadCount", "unread"].into_iter().find_map(|name| word(data, name)?.parse().ok());
        whats.push(What::Chat(ChatUpdate {
            chat: Chat { id, kind, name: string(data, "name") },
            at,
            unread,
        }));
        Ok(whats)
    }

    pub(super) fn session(self) -> What {
        let data = self.data;
        let session = data.get("session").unwrap_or(&Value::Null);
        let word = text(session, "status")
            .or_else(|| session.as_str().filter(|word| !word.is_empty()))
            .or_else(|| text(data, "status"))
            .or_else(|| text(data, "state"));
        match word {
            Some(word) => What::Account(AccountUpdate {
                state: state_of(word),
                reason: Some(bounded(word)),
                at: Some(self.created()),
            }),
            None => What::Other { kind: "number:session".to_owned() },
        }
    }
}

/// The state behind a word for a device or its session. Only `operative` is confirmed; what is no known good
/// word counts as degraded: nothing is lost by waiting until somebody looks.
pub(in crate::wassenger) fn state_of(word: &str) -> AccountState {
    match word.to_ascii_lowercase().as_str() {
        "operative" | "online" | "connected" | "authenticated" | "ready" => AccountState::Connected,
        "authorize" | "unauthorized" | "qr" | "scan" | "unpaired" | "logout" | "loggedout"
        | "new" => AccountState::QrNeeded,
        "banned" | "blocked" => AccountState::Banned,
        _ => AccountState::Disconnected,
    }
}

fn kind_of(given: &str) -> &'static str {
    // Some words bring their value along (`announce:on`).
    match given.split([':', '.', ' ']).next().unwrap_or_default() {
        "create" | "created" | "new" => "created",
        "add" | "added" | "join" | "joined" | "invite" => "joined",
        "remove" | "removed" => "removed",
        "leave" | "left" => "left",
        "promote" | "promoted" => "promoted",
        "demote" | "demoted" => "demoted",
        "subject" | "name" => "subject",
        "description" | "desc" => "description",
        "picture" | "image" | "icon" | "photo" => "icon",
        "announce" | "restrict" | "permissions" | "settings" | "approval" => "settings",
        "revoke" | "invite_reset" | "revoke_invite" => "invite_reset",
        "delete" | "deleted" => "deleted",
        _ => "info",
    }
}

/// `announce` and `restrict` stand in the kind with a value beside it, as fields, or as `permissions`.
pub(in crate::wassenger) fn settings(update: &mut GroupUpdate, data: &Value, given: &str) {
    let mut words = given.split([':', '.', ' ']);
    let (subject, behind) = (words.next().unwrap_or_default(), words.next());
    let of = |name: &str| {
        let beside =
            ["value", "enabled", "body"].into_iter().find_map(|place| switch(data.get(place)?));
        let stated = behind.and_then(|word| switch(&Value::from(word))).or(beside);
        if subject == name { stated } else { data.get(name).and_then(switch) }
    };
    update.only_admins_send = of("announce");
    update.only_admins_edit = of("restrict");
    update.join_approval = of("approval");
    let group = data.get("chat").and_then(|chat| chat.get("group"));
    let permissions =
        data.get("permissions").or_else(|| group.and_then(|group| group.get("permissions")));
    let Some(permissions) = permissions else { return };
    let admins = |name: &str| match text(permissions, name)? {
        "admins" => Some(true),
        "all" => Some(false),
        _ => None,
    };
    update.only_admins_send = update.only_admins_send.or_else(|| admins("send"));
    update.only_admins_edit = update.only_admins_edit.or_else(|| admins("edit"));
    update.join_approval =
        update.join_approval.or_else(|| permissions.get("approval").and_then(Value::as_bool));
}

fn switch(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(on) => Some(*on),
        Value::String(word) => match word.to_ascii_lowercase().as_str() {
            "on" | "true" => Some(true),
            "off" | "false" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// The address of a picture, as `image.url`, or as a field of its own.
pub(in crate::wassenger) fn picture(entry: &Value) -> Option<String> {
    let image = entry.get("image").or_else(|| entry.get("picture"));
    image
        .and_then(|image| string(image, "url").or_else(|| image.as_str().map(str::to_owned)))
        .or_else(|| string(entry, "imageUrl"))
        .filter(|url| url.starts_with("https://") || url.starts_with("http://"))
}

pub(in crate::wassenger) fn invite_link(data: &Value) -> Option<String> {
    let link =
        ["inviteLink", "link", "url", "invite"].into_iter().find_map(|name| text(data, name));
    let link = link.filter(|link| link.starts_with(INVITE)).map(str::to_owned);
    let code = || ["inviteCode", "code"].into_iter().find_map(|name| text(data, name));
    let is_code = |code: &&str| code.len() <= 64 && code.bytes().all(|b| b.is_ascii_alphanumeric());
    link.or_else(|| code().filter(is_code).map(|code| format!("{INVITE}{code}")))
}

/// A member: an id or number, or an object with one.
pub(in crate::wassenger) fn person_of(member: &Value) -> Option<Person> {
    match member {
        Value::String(id) if id.len() <= ID_MAX_BYTES => wire::person(id),
        Value::Object(_) => ["wid", "id", "phone", "number"]
            .into_iter()
            .find_map(|name| id(member, name).and_then(|id| wire::person(&id)))
            .map(|mut person| {
                person.name = string(member, "name");
                person
            }),
        _ => None,
    }
}

pub(in crate::wassenger) fn role_of(member: &Value) -> Option<Role> {
    match text(member, "role") {
        Some("superadmin" | "owner") => return Some(Role::Superadmin),
        Some("admin") => return Some(Role::Admin),
        Some("member" | "user") => return Some(Role::Member),
        _ => {}
    }
    let admin = ["admin", "isAdmin"].into_iter().find_map(|name| member.get(name)?.as_bool())?;
    Some(if admin { Role::Admin } else { Role::Member })
}
