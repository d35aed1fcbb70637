//! Groups (`whapi.md` section 3). The sheet does not say how several people are refused at once: here those who could
//! not be added stand in a list without a reason, and one who is unknown spoils a change of roles as a whole.

use super::{bad_request, json_body, page, refused, show};
use crate::{
    group_calls::{Denied, Verdict, Verdicts, spec},
    groups::{GroupChangeKind as Kind, is_group_id},
    people::digits,
    state::Condition,
    vendor::{Answer, Call},
    world::World,
};
use http::{StatusCode, header};
use serde_json::{Map, Value, json};

const ICON_MAX_BYTES: usize = 5 << 20;

/// Every call below `/groups`; None for what is not played.
pub(super) fn answer(world: &World, call: &Call, path: &[&str]) -> Option<Answer> {
    if world.state().account(call.account).condition != Condition::Connected {
        return Some(refused(StatusCode::UNAUTHORIZED, "Need channel authorization", ""));
    }
    let answer = match (call.method.as_str(), path) {
        ("POST", []) => create(world, call),
        ("PUT", []) => join(world, call),
        ("GET", []) => list(world, call),
        (_, [id, ..]) if !is_group_id(id) => {
            Err(bad_request("GroupID must match ^[\\d-]{10,31}@g\\.us$"))
        }
        ("GET", [id]) => info(world, call, id),
        ("PUT", [id]) => describe(world, call, id),
        ("PATCH", [id]) => set(world, call, id),
        ("DELETE", [id]) => world.leave_group(call.account, id).map(|()| done()).map_err(denied),
        ("POST", [id, "participants"]) => add(world, call, id),
        ("DELETE", [id, "participants"]) => remove(world, call, id),
        ("PATCH", [id, "admins"]) => roles(world, call, id, true),
        ("DELETE", [id, "admins"]) => roles(world, call, id, false),
        ("GET", [id, "invite"]) => world
            .group_led(call.account, id)
            .map(|group| Answer::ok(json!({"invite_code": group.invite_code})))
            .map_err(denied),
        ("DELETE", [id, "invite"]) => world
            .group_led(call.account, id)
            .and_then(|_| world.change_by(call.account, spec(id, Kind::InviteReset)))
            .map(|()| done())
            .map_err(denied),
        ("PUT", [id, "icon"]) => icon(world, call, id),
        ("DELETE", [id, "icon"]) => {
            let mut change = spec(id, Kind::Icon);
            change.picture = Some(String::new());
            world.describe_group(call.account, change).map(|()| done()).map_err(denied)
        }
        _ => return None,
    };
    Some(answer.unwrap_or_else(|refused| refused))
}

fn done() -> Answer {
    Answer::ok(json!({"success": true}))
}

fn denied(denied: Denied) -> Answer {
    match denied {
        Denied::Unknown => refused(StatusCode::NOT_FOUND, "Specified group not found", ""),
        Denied::NotAdmin => {
            refused(StatusCode::FORBIDDEN, "You do not have permissions for this action", "")
        }
        Denied::Wrong(why) => bad_request(&why),
    }
}

/// `participants` of a body: digits, as ContactID is.
fn participants(body: &Map<String, Value>) -> Result<Vec<String>, Answer> {
    let wrong = || bad_request("participants must be a list of 7 to 15 digits each");
    let listed = body.get("participants").and_then(Value::as_array).ok_or_else(wrong)?;
    let number = |one: &Value| {
        let text = one.as_str().filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?;
        digits(text)
    };
    let numbers: Option<Vec<String>> = listed.iter().map(number).collect();
    numbers.filter(|numbers| !numbers.is_empty()).ok_or_else(wrong)
}

fn text<'a>(body: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, Answer> {
    match body.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(bad_request(&format!("{name} must be a string"))),
    }
}

fn create(world: &World, call: &Call) -> Result<Answer, Answer> {
    let body = json_body(call)?;
    let subject = text(&body, "subject")?.filter(|subject| !subject.is_empty());
    let subject = subject.ok_or_else(|| bad_request("subject is required"))?;
    let people = participants(&body)?;
    let nobody = {
        let state = world.state();
        people.iter().all(|phone| !state.person(phone).on_whatsapp)
    };
    if nobody {
        let words = "Specified participant not found in contacts list";
        return Err(refused(StatusCode::NOT_FOUND, words, ""));
    }
    let (group, verdicts) =
        world.make_group(call.account, subject, None, &people, None).map_err(denied)?;
    let mut answer = show::group(&group, &[], false);
    answer["unprocessed_participants"] = failed(&verdicts);
    Ok(Answer::ok(answer))
}

fn failed(verdicts: &Verdicts) -> Value {
    let failed = verdicts.iter().filter(|(_, verdict)| *verdict != Verdict::Done);
    failed.map(|(phone, _)| Value::from(phone.as_str())).collect()
}

/// `GET /groups?count&offset`, without the invitations.
fn list(world: &World, call: &Call) -> Result<Answer, Answer> {
    let (count, offset) = page(call)?;
    let state = world.state();
    let own = &state.account(call.account).account.phone;
    let (found, total) = state.groups_of(own, offset, count);
    let groups: Vec<Value> = found.iter().map(|group| show::group(group, &[], true)).collect();
    Ok(Answer::ok(json!({"groups": groups, "count": count, "total": total, "offset": offset})))
}

fn info(world: &World, call: &Call, id: &str) -> Result<Answer, Answer> {
    let group = world.group_seen(call.account, id).map_err(denied)?;
    let leads = world.group_led(call.account, id).is_ok();
    let mut answer = show::group(&group, &[], true);
    // Who leads the group sees its invitation.
    if leads {
        answer["invite_code"] = group.invite_code.as_str().into();
    }
    Ok(Answer::ok(answer))
}

fn describe(world: &World, call: &Call, id: &str) -> Result<Answer, Answer> {
    let body = json_body(call)?;
    let (subject, description) = (text(&body, "subject")?, text(&body, "description")?);
    if subject.is_none() && description.is_none() {
        return Err(bad_request("subject or description is required"));
    }
    let change = |kind| spec(id, kind);
    if let Some(subject) = subject {
        let mut change = change(Kind::Subject);
        change.subject = Some(subject.to_owned());
        world.describe_group(call.account, change).map_err(denied)?;
    }
    if let Some(description) = description {
        let mut change = change(Kind::Description);
        change.description = Some(description.to_owned());
        world.describe_group(call.account, change).map_err(denied)?;
    }
    Ok(done())
}

fn set(world: &World, call: &Call, id: &str) -> Result<Answer, Answer> {
    let body = json_body(call)?;
    let on = match text(&body, "policy")? {
        Some("admins") => true,
        Some("anyone") => false,
        _ => return Err(bad_request("policy must be anyone or admins")),
    };
    let mut change = spec(id, Kind::Settings);
    match text(&body, "setting")? {
        Some("send_messages") => change.only_admins_send = Some(on),
        Some("edit_group_info") => change.only_admins_edit = Some(on),
        Some("approve_participants") => change.join_approval = Some(on),
        // Nobody in the world adds others, so there is nothing to keep.
        Some("add_participants") => {}
        _ => return Err(bad_request("setting: unknown word")),
    }
    world.group_led(call.account, id).map_err(denied)?;
    world.change_by(call.account, change).map_err(denied)?;
    Ok(done())
}

fn icon(world: &World, call: &Call, id: &str) -> Result<Answer, Answer> {
    let kind = call.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let Some(kind @ ("image/jpeg" | "image/png")) = kind else {
        let words = "the simulator takes image/jpeg and image/png here";
        return Err(refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Unsupported media type", words));
    };
    if call.body.is_empty() || call.body.len() > ICON_MAX_BYTES {
        return Err(bad_request("the picture has 1 byte to 5 MB"));
    }
    let mut change = spec(id, Kind::Icon);
    change.picture = Some(world.keep_picture(call.account, kind, call.body.clone()));
    world.describe_group(call.account, change).map(|()| done()).map_err(denied)
}

fn add(world: &World, call: &Call, id: &str) -> Result<Answer, Answer> {
    let people = participants(&json_body(call)?)?;
    let verdicts = world.add_people(call.account, id, &people).map_err(denied)?;
    if verdicts.iter().all(|(_, verdict)| *verdict == Verdict::Already) {
        let words = "Specified participant already in group";
        return Err(refused(StatusCode::CONFLICT, words, ""));
    }
    Ok(listed(&verdicts))
}

fn remove(world: &World, call: &Call, id: &str) -> Result<Answer, Answer> {
    let people = participants(&json_body(call)?)?;
    world.remove_people(call.account, id, &people, None).map(|v| listed(&v)).map_err(denied)
}

fn listed(verdicts: &Verdicts) -> Answer {
    let done = verdicts.iter().filter(|(_, verdict)| *verdict == Verdict::Done);
    let processed: Vec<&str> = done.map(|(phone, _)| phone.as_str()).collect();
    Answer::ok(json!({
        "success": !processed.is_empty(), "processed": processed, "failed": failed(verdicts),
    }))
}

fn roles(world: &World, call: &Call, id: &str, admin: bool) -> Result<Answer, Answer> {
    let people = participants(&json_body(call)?)?;
    let group = world.group_led(call.account, id).map_err(denied)?;
    if people.iter().any(|phone| !group.has(phone)) {
        let words = "Specified group or participant not found";
        return Err(refused(StatusCode::NOT_FOUND, words, ""));
    }
    let verdicts = world.change_roles(call.account, id, &people, admin).map_err(denied)?;
    if verdicts.iter().any(|(_, verdict)| *verdict == Verdict::Maker) {
        return Err(denied(Denied::NotAdmin));
    }
    Ok(done())
}

fn join(world: &World, call: &Call) -> Result<Answer, Answer> {
    let body = json_body(call)?;
    let code = text(&body, "invite_code")?.unwrap_or_default();
    match world.join_by(call.account, code) {
        Ok((_, Verdict::Already)) => Err(refused(StatusCode::CONFLICT, "Already in the group", "")),
        Ok((group, _)) => Ok(Answer::ok(json!({"group_id": group.id}))),
        Err(Denied::Unknown) => Err(refused(StatusCode::NOT_FOUND, "Wrong invite code", "")),
        Err(other) => Err(denied(other)),
    }
}
