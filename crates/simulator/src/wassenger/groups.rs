//! Groups (`wassenger.md` section 4). What these calls answer is not confirmed: here an object with the group's `wid`,
//! and each person with a code as linked devices see them (200, 403 refuses, 404 not on WhatsApp, 409 already so).

use super::{bad_request, ids, json_body, page, refused, show};
use crate::{
    group_calls::{Denied, Verdict, Verdicts, spec},
    groups::{Group, GroupChangeKind as Kind, Role, is_group_id},
    people::digits,
    state::Condition,
    vendor::{Answer, Call},
    world::World,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Map, Value, json};

const GROUP: [&str; 5] = ["name", "description", "ephemeral", "permissions", "participants"];
const DESCRIPTION_MAX_CHARS: usize = 500;
const ICON_MAX_BYTES: usize = 1_000_000;

/// Every call below `/devices/{device}/groups`; None for what is not played.
pub(super) fn answer(world: &World, call: &Call, path: &[&str]) -> Option<Answer> {
    if world.state().account(call.account).condition != Condition::Connected {
        return Some(refused(StatusCode::SERVICE_UNAVAILABLE, "device_not_connected"));
    }
    let answer = match (call.method.as_str(), path) {
        ("POST", []) => create(world, call),
        ("PUT", []) => join(world, call),
        ("DELETE", []) => leave(world, call),
        ("GET", []) => Ok(list(world, call)),
        (_, [id, ..]) if !is_group_id(id) => Err(bad_request("group: not a group id")),
        ("GET", [id]) => world.group_seen(call.account, id).map(|g| shown(&g)).map_err(denied),
        ("PATCH", [id]) => change(world, call, id),
        ("PUT", [id, "image"]) => image(world, call, id),
        ("POST", [id, "participants"]) => add(world, call, id),
        ("PATCH", [id, "participants"]) => roles(world, call, id),
        ("DELETE", [id, "participants"]) => remove(world, call, id),
        ("GET", [id, "invite"]) => world
            .group_led(call.account, id)
            .map(|group| Answer::ok(json!({"code": group.invite_code})))
            .map_err(denied),
        ("DELETE", [id, "invite"]) => world
            .group_led(call.account, id)
            .and_then(|_| world.change_by(call.account, spec(id, Kind::InviteReset)))
            .and_then(|()| world.group_seen(call.account, id))
            .map(|group| Answer::ok(json!({"code": group.invite_code})))
            .map_err(denied),
        _ => return None,
    };
    Some(answer.unwrap_or_else(|refused| refused))
}

/// `GET /chat/{device}/chats/{wid}/participants`.
pub(super) fn members(world: &World, call: &Call, id: &str) -> Answer {
    match world.group_seen(call.account, id) {
        Ok(group) => Answer::ok(group.members.iter().map(member).collect()),
        Err(why) => denied(why),
    }
}

fn member(member: &crate::groups::Member) -> Value {
    let role = match member.role {
        Role::Superadmin => "owner",
        Role::Admin => "admin",
        Role::Member => "user",
    };
    json!({"wid": ids::person(&member.phone), "phone": format!("+{}", member.phone), "role": role})
}

/// `GET /devices/{device}/groups?kind=group&size&page`.
fn list(world: &World, call: &Call) -> Answer {
    let (size, offset) = page(call);
    let state = world.state();
    let own = &state.account(call.account).account.phone;
    let (found, _) = state.groups_of(own, offset, size);
    Answer::ok(found.into_iter().map(entry).collect())
}

fn shown(group: &Group) -> Answer {
    Answer::ok(entry(group))
}

fn entry(group: &Group) -> Value {
    let who = |admins: bool| if admins { "admins" } else { "all" };
    let mut json = json!({
        "id": group.id, "wid": group.id, "name": group.name, "kind": "group",
        "description": group.description.clone().unwrap_or_default(),
        "totalParticipants": group.members.len(), "isArchive": false,
        "createdAt": show::iso(group.created_at),
        "permissions": {
            "edit": who(group.only_admins_edit), "send": who(group.only_admins_send),
            "invite": "all", "approval": group.join_approval,
        },
    });
    if let Some(picture) = &group.picture {
        json["image"] = json!({"url": picture});
    }
    json
}

fn denied(denied: Denied) -> Answer {
    match denied {
        Denied::Unknown => refused(StatusCode::NOT_FOUND, "group not found"),
        Denied::NotAdmin => refused(StatusCode::FORBIDDEN, "you are not a group admin"),
        Denied::Wrong(why) => bad_request(&why),
    }
}

fn number(value: &Value) -> Option<String> {
    value.as_str().filter(|text| text.starts_with('+')).and_then(digits)
}

/// `participants: [{phone, admin}]`, all of one kind.
fn participants(body: &Map<String, Value>) -> Result<(Vec<String>, bool), Answer> {
    let wrong = || bad_request("participants: [{phone, admin}] with phones like +447700900123");
    let listed = body.get("participants").and_then(Value::as_array).ok_or_else(wrong)?;
    let mut admin = false;
    let mut phones = Vec::with_capacity(listed.len());
    for one in listed {
        phones.push(one.get("phone").and_then(number).ok_or_else(wrong)?);
        admin |= one.get("admin").and_then(Value::as_bool).ok_or_else(wrong)?;
    }
    if phones.is_empty() { Err(wrong()) } else { Ok((phones, admin)) }
}

fn told(group_id: &str, verdicts: &Verdicts) -> Answer {
    let people: Vec<Value> = verdicts
        .iter()
        .map(|(phone, verdict)| {
            let (code, words) = match verdict {
                Verdict::Done => (200, ""),
                Verdict::Already => (409, "already so"),
                Verdict::NotMember => (404, "not a participant"),
                Verdict::NotOnWhatsapp => (404, "not on WhatsApp"),
                Verdict::Refuses => (403, "privacy settings"),
                Verdict::Maker => (405, "made the group"),
            };
            let mut one = json!({"phone": format!("+{phone}"), "code": code});
            if !words.is_empty() {
                one["message"] = words.into();
            }
            one
        })
        .collect();
    Answer::ok(json!({"wid": group_id, "participants": people}))
}

fn create(world: &World, call: &Call) -> Result<Answer, Answer> {
    let body = json_body(call, &GROUP)?;
    let name = body.get("name").and_then(Value::as_str).filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| bad_request("name is required"))?;
    let description = description(&body)?;
    let (people, _) = participants(&body)?;
    let (group, verdicts) =
        world.make_group(call.account, name, description, &people, None).map_err(denied)?;
    let mut answer = told(&group.id, &verdicts);
    answer.status = StatusCode::CREATED;
    if let Some(body) = &mut answer.body {
        body["name"] = name.into();
    }
    Ok(answer)
}

fn description(body: &Map<String, Value>) -> Result<Option<&str>, Answer> {
    let text = body.get("description").map(|text| text.as_str().unwrap_or_default());
    if text.is_some_and(|text| text.chars().count() > DESCRIPTION_MAX_CHARS) {
        return Err(bad_request("description has at most 500 characters"));
    }
    Ok(text)
}

fn change(world: &World, call: &Call, id: &str) -> Result<Answer, Answer> {
    let body = json_body(call, &GROUP[..4])?;
    if let Some(name) = body.get("name") {
        let name = name.as_str().filter(|name| !name.is_empty());
        let mut change = spec(id, Kind::Subject);
        change.subject =
            Some(name.ok_or_else(|| bad_request("name must not be empty"))?.to_owned());
        world.describe_group(call.account, change).map_err(denied)?;
    }
    if let Some(text) = description(&body)? {
        let mut change = spec(id, Kind::Description);
        change.description = Some(text.to_owned());
        world.describe_group(call.account, change).map_err(denied)?;
    }
    if let Some(permissions) = body.get("permissions") {
        let who = |name: &str| match permissions.get(name).map(|word| word.as_str()) {
            None => Ok(None),
            Some(Some("admins")) => Ok(Some(true)),
            Some(Some("all")) => Ok(Some(false)),
            Some(_) => Err(bad_request(&format!("permissions.{name} must be all or admins"))),
        };
        let mut change = spec(id, Kind::Settings);
        (change.only_admins_send, change.only_admins_edit) = (who("send")?, who("edit")?);
        who("invite")?;
        change.join_approval = permissions.get("approval").and_then(Value::as_bool);
        world.group_led(call.account, id).map_err(denied)?;
        world.change_by(call.account, change).map_err(denied)?;
    }
    world.group_seen(call.account, id).map(|group| shown(&group)).map_err(denied)
}

fn image(world: &World, call: &Call, id: &str) -> Result<Answer, Answer> {
    let body = json_body(call, &["image", "url"])?;
    let picture = match (body.get("image"), body.get("url")) {
        (Some(Value::String(image)), None) => {
            let bytes = BASE64_STANDARD.decode(image).map_err(|_| bad_request("image: base64"))?;
            if bytes.len() > ICON_MAX_BYTES {
                return Err(bad_request("image has at most 1 MB"));
            }
            let png = bytes.starts_with(b"\x89PNG");
            let mime = if png { "image/png" } else { "image/jpeg" };
            world.keep_picture(call.account, mime, Bytes::from(bytes))
        }
        (None, Some(Value::String(url))) => url.clone(),
        _ => return Err(bad_request("image or url is required")),
    };
    let mut change = spec(id, Kind::Icon);
    change.picture = Some(picture);
    world.describe_group(call.account, change).map_err(denied)?;
    world.group_seen(call.account, id).map(|group| shown(&group)).map_err(denied)
}

fn add(world: &World, call: &Call, id: &str) -> Result<Answer, Answer> {
    let (people, _) = participants(&json_body(call, &["participants"])?)?;
    world.add_people(call.account, id, &people).map(|v| told(id, &v)).map_err(denied)
}

fn roles(world: &World, call: &Call, id: &str) -> Result<Answer, Answer> {
    let (people, admin) = participants(&json_body(call, &["participants"])?)?;
    world.change_roles(call.account, id, &people, admin).map(|v| told(id, &v)).map_err(denied)
}

/// The body is a bare list of phones.
fn remove(world: &World, call: &Call, id: &str) -> Result<Answer, Answer> {
    let people: Option<Vec<String>> = serde_json::from_slice::<Vec<Value>>(&call.body)
        .ok()
        .and_then(|list| list.iter().map(number).collect());
    let people = people.filter(|people| !people.is_empty());
    let people = people.ok_or_else(|| bad_request("the body is a list of phones"))?;
    world.remove_people(call.account, id, &people, None).map(|v| told(id, &v)).map_err(denied)
}

fn join(world: &World, call: &Call) -> Result<Answer, Answer> {
    let body = json_body(call, &["code", "url"])?;
    let given = ["code", "url"].iter().find_map(|name| body.get(*name)?.as_str());
    let code = given.unwrap_or_default().rsplit('/').next().unwrap_or_default();
    match world.join_by(call.account, code) {
        Ok((_, Verdict::Already)) => Err(refused(StatusCode::CONFLICT, "already in the group")),
        Ok((group, _)) => {
            let status = if group.join_approval { "pending" } else { "joined" };
            Ok(Answer::ok(json!({"wid": group.id, "status": status})))
        }
        Err(Denied::Unknown) => Err(refused(StatusCode::NOT_FOUND, "invite not found")),
        Err(other) => Err(denied(other)),
    }
}

fn leave(world: &World, call: &Call) -> Result<Answer, Answer> {
    let body = json_body(call, &["id", "remove"])?;
    let id = body.get("id").and_then(Value::as_str).unwrap_or_default();
    world.leave_group(call.account, id).map_err(denied)?;
    Ok(Answer::ok(json!({"wid": id, "status": "left"})))
}
