//! Groups of a made-up provider, which a mapping has to describe (`docs/CUSTOM_PROVIDER.md`, `api.groups`): each person
//! has a word of the provider's own (`ok`, `privacy`, `unknown`, `present`, `absent`).

use super::{refused, show};
use crate::{
    group_calls::{Denied, Verdict, Verdicts, spec},
    groups::{Group, GroupChangeKind as Kind, GroupChangeSpec, Role},
    message::Chat,
    people::digits,
    state::Condition,
    vendor::{Answer, Call},
    world::World,
};
use http::StatusCode;
use serde_json::{Map, Value, json};

/// Every call below `/groups`; None for what is not played.
pub(super) fn answer(world: &World, call: &Call, path: &[&str]) -> Option<Answer> {
    if world.state().account(call.account).condition != Condition::Connected {
        return Some(refused(StatusCode::SERVICE_UNAVAILABLE, "the number is not connected"));
    }
    let account = call.account;
    let answer = match (call.method.as_str(), path) {
        ("POST", []) => create(world, call),
        ("POST", ["join"]) => join(world, call),
        ("GET", [id]) => world.group_seen(account, id).map(|group| shown(&group)).map_err(denied),
        ("PATCH", [id]) => change(world, call, id),
        ("DELETE", [id]) => world.leave_group(account, id).map(|()| done()).map_err(denied),
        ("POST", [id, "members"]) => members(call)
            .and_then(|people| world.add_people(account, id, &people).map_err(denied))
            .map(|verdicts| told(&verdicts)),
        ("POST", [id, "members", "remove"]) => members(call)
            .and_then(|people| world.remove_people(account, id, &people, None).map_err(denied))
            .map(|verdicts| told(&verdicts)),
        ("POST", [id, "members", role @ ("promote" | "demote")]) => members(call)
            .and_then(|people| {
                world.change_roles(account, id, &people, *role == "promote").map_err(denied)
            })
            .map(|verdicts| told(&verdicts)),
        ("GET", [id, "invite"]) => world
            .group_led(account, id)
            .map(|group| Answer::ok(json!({"code": group.invite_code})))
            .map_err(denied),
        ("DELETE", [id, "invite"]) => world
            .group_led(account, id)
            .and_then(|_| world.change_by(account, spec(id, Kind::InviteReset)))
            .map(|()| done())
            .map_err(denied),
        _ => return None,
    };
    Some(answer.unwrap_or_else(|refused| refused))
}

fn done() -> Answer {
    Answer::ok(json!({}))
}

fn denied(denied: Denied) -> Answer {
    match denied {
        Denied::Unknown => refused(StatusCode::NOT_FOUND, "no such group"),
        Denied::NotAdmin => refused(StatusCode::FORBIDDEN, "you do not lead this group"),
        Denied::Wrong(why) => refused(StatusCode::BAD_REQUEST, &why),
    }
}

fn object(call: &Call, known: &[&str]) -> Result<Map<String, Value>, Answer> {
    let wrong = |words: &str| refused(StatusCode::BAD_REQUEST, words);
    let body: Map<String, Value> =
        serde_json::from_slice(&call.body).map_err(|_| wrong("the body is no JSON object"))?;
    match body.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(wrong(&format!("{name}: unknown field"))),
        None => Ok(body),
    }
}

fn people(body: &Map<String, Value>) -> Result<Vec<String>, Answer> {
    let listed = body.get("members").and_then(Value::as_array);
    let numbers = listed.and_then(|listed| {
        listed.iter().map(|one| one.as_str().and_then(digits)).collect::<Option<Vec<_>>>()
    });
    numbers.ok_or_else(|| refused(StatusCode::BAD_REQUEST, "members is a list of chats"))
}

fn members(call: &Call) -> Result<Vec<String>, Answer> {
    people(&object(call, &["members"])?)
}

fn chat(phone: &str) -> String {
    show::chat(&Chat::Person(phone.to_owned()))
}

fn words(verdicts: &Verdicts) -> Vec<Value> {
    verdicts
        .iter()
        .map(|(phone, verdict)| {
            let word = match verdict {
                Verdict::Done => "ok",
                Verdict::Already => "present",
                Verdict::NotMember => "absent",
                Verdict::NotOnWhatsapp => "unknown",
                Verdict::Refuses => "privacy",
                Verdict::Maker => "maker",
            };
            json!({"member": chat(phone), "outcome": word})
        })
        .collect()
}

fn told(verdicts: &Verdicts) -> Answer {
    Answer::ok(json!({"outcomes": words(verdicts)}))
}

fn create(world: &World, call: &Call) -> Result<Answer, Answer> {
    let body = object(call, &["title", "about", "members"])?;
    let title = body.get("title").and_then(Value::as_str).filter(|title| !title.is_empty());
    let title = title.ok_or_else(|| refused(StatusCode::BAD_REQUEST, "title is required"))?;
    let about = body.get("about").and_then(Value::as_str);
    let people = people(&body)?;
    let (group, verdicts) =
        world.make_group(call.account, title, about, &people, None).map_err(denied)?;
    Ok(Answer::ok(json!({"group": {"id": group.id}, "outcomes": words(&verdicts)})))
}

fn shown(group: &Group) -> Answer {
    Answer::ok(json!({"group": entry(group)}))
}

pub(super) fn entry(group: &Group) -> Value {
    let members: Vec<Value> = group
        .members
        .iter()
        .map(|member| json!({"id": chat(&member.phone), "leads": member.role != Role::Member}))
        .collect();
    json!({"id": group.id, "title": group.name, "about": group.description, "members": members})
}

fn change(world: &World, call: &Call, id: &str) -> Result<Answer, Answer> {
    let body = object(call, &["title", "about"])?;
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    if let subject @ Some(_) = text("title") {
        let change = GroupChangeSpec { subject, ..spec(id, Kind::Subject) };
        world.describe_group(call.account, change).map_err(denied)?;
    }
    if let description @ Some(_) = text("about") {
        let change = GroupChangeSpec { description, ..spec(id, Kind::Description) };
        world.describe_group(call.account, change).map_err(denied)?;
    }
    Ok(done())
}

fn join(world: &World, call: &Call) -> Result<Answer, Answer> {
    let body = object(call, &["code"])?;
    let code = body.get("code").and_then(Value::as_str).unwrap_or_default();
    match world.join_by(call.account, code) {
        Ok((_, Verdict::Already)) => Err(refused(StatusCode::CONFLICT, "already in the group")),
        Ok((group, _)) => Ok(Answer::ok(json!({"group": {"id": group.id}}))),
        Err(why) => Err(denied(why)),
    }
}
