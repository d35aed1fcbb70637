//! The Groups API (`meta_cloud_api.md` section 5). Everything that changes a group answers with a request id; what came
//! of it is a webhook that names it. People come by the invitation only. An account whose setting `official` is false
//! has no groups (131215).

use super::{bad_parameter, graph_error, ids, no_such_object};
use crate::{
    form,
    group_calls::{Denied, Verdict, Verdicts, spec},
    groups::{Group, GroupChangeKind as Kind},
    message::Event,
    people::{PersonSpec, digits},
    state::State,
    vendor::{Answer, Call},
    world::World,
};
use http::{StatusCode, header};
use serde_json::{Map, Value, json};

const SUBJECT_MAX_CHARS: usize = 128;
const DESCRIPTION_MAX_CHARS: usize = 2_048;
const PEOPLE_MAX: usize = 8;
const ICON_MAX_BYTES: usize = 5 << 20;

/// The group of the world that a path names.
pub(super) fn named<'a>(state: &'a State, id: &str) -> Option<&'a Group> {
    ids::group_of(id).and_then(|id| state.group(&id))
}

fn new_request() -> String {
    format!("REQ-{:016X}", rand::random::<u64>())
}

fn taken(request_id: &str) -> Answer {
    Answer::ok(json!({"messaging_product": "whatsapp", "request_id": request_id}))
}

fn denied(id: &str, denied: Denied) -> Answer {
    match denied {
        Denied::Unknown => no_such_object(id),
        Denied::NotAdmin => graph_error(StatusCode::FORBIDDEN, 10, "Permission denied", ""),
        Denied::Wrong(why) => bad_parameter(&why),
    }
}

/// Official business accounts only.
fn may(world: &World, call: &Call) -> Result<(), Answer> {
    let state = world.state();
    let official = state.account(call.account).account.settings.get("official");
    if official == Some(&Value::Bool(false)) {
        let words = "The business is not eligible for groups";
        return Err(graph_error(StatusCode::BAD_REQUEST, 131_215, words, ""));
    }
    Ok(())
}

fn body(call: &Call) -> Result<Map<String, Value>, Answer> {
    let body: Map<String, Value> = serde_json::from_slice(&call.body)
        .map_err(|_| bad_parameter("the body is no JSON object"))?;
    if body.get("messaging_product") != Some(&"whatsapp".into()) {
        return Err(bad_parameter("messaging_product must be whatsapp"));
    }
    Ok(body)
}

fn text(body: &Map<String, Value>, name: &str, most: usize) -> Result<Option<String>, Answer> {
    match body.get(name) {
        None => Ok(None),
        Some(Value::String(text)) if text.chars().count() <= most => Ok(Some(text.clone())),
        Some(_) => Err(bad_parameter(&format!("{name} has at most {most} characters"))),
    }
}

/// `POST /{phone-number-id}/groups`.
pub(super) fn create(world: &World, call: &Call) -> Answer {
    let made = || {
        may(world, call)?;
        let body = body(call)?;
        let subject = text(&body, "subject", SUBJECT_MAX_CHARS)?.filter(|text| !text.is_empty());
        let subject = subject.ok_or_else(|| bad_parameter("The parameter subject is required."))?;
        let description = text(&body, "description", DESCRIPTION_MAX_CHARS)?;
        let request = new_request();
        let (account, text) = (call.account, description.as_deref());
        world
            .make_group(account, &subject, text, &[], Some(&request))
            .map_err(|why| denied("", why))?;
        Ok(taken(&request))
    };
    made().unwrap_or_else(|refused: Answer| refused)
}

/// `GET /{phone-number-id}/groups?limit&after`: the cursor is the place of the last one, written as Meta would.
pub(super) fn list(world: &World, call: &Call) -> Answer {
    let listed = || {
        may(world, call)?;
        let limit = call.param("limit").map_or(Ok(25), str::parse).ok();
        let limit = limit.filter(|limit| (1..=1024).contains(limit));
        let limit: usize = limit.ok_or_else(|| bad_parameter("limit is from 1 to 1024"))?;
        let bad_cursor =
            || graph_error(StatusCode::BAD_REQUEST, 131_059, "Invalid pagination cursor", "");
        let offset = match call.param("after") {
            Some(after) => ids::place_of(after).ok_or_else(bad_cursor)?,
            None => 0,
        };
        let state = world.state();
        let own = &state.account(call.account).account.phone;
        let (found, total) = state.groups_of(own, offset, limit);
        let end = offset + found.len();
        let groups: Vec<Value> = found
            .into_iter()
            .map(|group| {
                let created_at = group.created_at.to_string();
                json!({"id": ids::group(&group.id), "subject": group.name, "created_at": created_at})
            })
            .collect();
        let cursors = json!({"before": ids::cursor(offset), "after": ids::cursor(end)});
        let mut answer = json!({"data": {"groups": groups}, "paging": {"cursors": cursors}});
        if end < total {
            let next = format!("{}{}?after={}", state.base_url, call.path, ids::cursor(end));
            answer["paging"]["next"] = next.into();
        }
        Ok(Answer::ok(answer))
    };
    listed().unwrap_or_else(|refused: Answer| refused)
}

/// `POST` and `DELETE /{phone-number-id}/block_users`; who is not on WhatsApp fails.
pub(super) fn block(world: &World, call: &Call, blocked: bool) -> Answer {
    let body = match body(call) {
        Ok(body) => body,
        Err(refused) => return refused,
    };
    let named = body.get("block_users").and_then(Value::as_array);
    let user = |one: &Value| one.get("user").and_then(Value::as_str).and_then(digits);
    let named: Option<Vec<String>> = named.and_then(|named| named.iter().map(user).collect());
    let Some(named) = named.filter(|named| !named.is_empty()) else {
        return bad_parameter("block_users: a list of {user} is wanted");
    };
    let mut state = world.state();
    let (mut done, mut failed) = (vec![], vec![]);
    for phone in named {
        let input = format!("+{phone}");
        if state.person(&phone).on_whatsapp {
            let spec = PersonSpec {
                phone: phone.clone(),
                is_blocked: Some(blocked),
                ..PersonSpec::default()
            };
            if let Err(why) = state.put_person(&spec) {
                return bad_parameter(&why);
            }
            done.push(json!({"input": input, "wa_id": phone}));
        } else {
            let error = json!({"code": 139_100, "message": "Failed to block some users"});
            failed.push(json!({"input": input, "wa_id": phone, "errors": [error]}));
        }
    }
    let key = if blocked { "added_users" } else { "removed_users" };
    let mut told = json!({key: done});
    if !failed.is_empty() {
        told["failed_users"] = failed.into();
    }
    Answer::ok(json!({"messaging_product": "whatsapp", "block_users": told}))
}

/// Every call to a group; None for what is not played.
pub(super) fn answer(world: &World, call: &Call, id: &str, tail: &[&str]) -> Option<Answer> {
    if let Err(refused) = may(world, call) {
        return Some(refused);
    }
    let group = ids::group_of(id).unwrap_or_default();
    let answer = match (call.method.as_str(), tail) {
        ("GET", []) => info(world, call, &group),
        ("POST", []) => change(world, call, &group),
        ("DELETE", []) => {
            let request = new_request();
            let mut gone = spec(&group, Kind::Deleted);
            gone.request_id = Some(request.clone());
            world
                .group_led(call.account, &group)
                .and_then(|_| world.change_by(call.account, gone))
                .map(|()| Answer::ok(json!({"success": true, "request_id": request})))
                .map_err(Refused::Denied)
        }
        ("DELETE", ["participants"]) => remove(world, call, &group),
        ("GET", ["invite_link"]) => link(world, call, &group),
        ("POST", ["invite_link"]) => body(call)
            .map_err(Refused::Answer)
            .and_then(|_| {
                world.group_led(call.account, &group).map_err(Refused::Denied)?;
                world
                    .change_by(call.account, spec(&group, Kind::InviteReset))
                    .map_err(Refused::Denied)
            })
            .and_then(|()| link(world, call, &group)),
        _ => return None,
    };
    Some(answer.unwrap_or_else(|why| match why {
        Refused::Denied(why) => denied(id, why),
        Refused::Answer(answer) => answer,
    }))
}

enum Refused {
    Denied(Denied),
    Answer(Answer),
}

impl From<Answer> for Refused {
    fn from(answer: Answer) -> Self {
        Self::Answer(answer)
    }
}

impl From<Denied> for Refused {
    fn from(denied: Denied) -> Self {
        Self::Denied(denied)
    }
}

fn info(world: &World, call: &Call, group: &str) -> Result<Answer, Refused> {
    let group = world.group_seen(call.account, group)?;
    let state = world.state();
    let own = &state.account(call.account).account.phone;
    let others = group.members.iter().filter(|member| member.phone != *own);
    let participants: Vec<Value> = others
        .map(|member| match state.person(&member.phone) {
            person if person.number().is_some() => json!({"wa_id": person.number()}),
            person => json!({"user_id": ids::user_id(&person)}),
        })
        .collect();
    let all = json!({
        "subject": group.name, "description": group.description.clone().unwrap_or_default(),
        "total_participant_count": participants.len(), "participants": participants,
        "join_approval_mode": if group.join_approval { "approval_required" } else { "auto_approve" },
        "suspended": false, "creation_timestamp": group.created_at,
    });
    let mut shown = json!({"id": ids::group(&group.id), "messaging_product": "whatsapp"});
    // Only what is asked for.
    for field in call.param("fields").unwrap_or_default().split(',') {
        match all.get(field) {
            Some(value) => shown[field] = value.clone(),
            None if field.is_empty() => {}
            None => return Err(bad_parameter(&format!("fields: unknown field {field}")).into()),
        }
    }
    Ok(Answer::ok(shown))
}

/// Name and description as JSON; the picture as a form.
fn change(world: &World, call: &Call, group: &str) -> Result<Answer, Refused> {
    let request = new_request();
    let change = |kind| {
        let mut change = spec(group, kind);
        change.request_id = Some(request.clone());
        change
    };
    let kind = call.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if kind.is_some_and(|kind| kind.starts_with("multipart/")) {
        let parts = form::parts(call).ok_or_else(|| bad_parameter("the body is no form"))?;
        let picture = parts.iter().find(|part| part.name == "profile_picture_file");
        let picture =
            picture.ok_or_else(|| bad_parameter("the form has no profile_picture_file"))?;
        let jpeg = picture.content_type.as_deref() == Some("image/jpeg");
        if !jpeg || picture.bytes.is_empty() || picture.bytes.len() > ICON_MAX_BYTES {
            let words = "a JPEG of at most 5 MB is wanted";
            return Err(graph_error(StatusCode::BAD_REQUEST, 131_209, "Picture", words).into());
        }
        let mut icon = change(Kind::Icon);
        let bytes = picture.bytes.clone();
        icon.picture = Some(world.keep_picture(call.account, "image/jpeg", bytes));
        world.describe_group(call.account, icon)?;
        return Ok(taken(&request));
    }
    let body = body(call)?;
    let subject = text(&body, "subject", SUBJECT_MAX_CHARS)?;
    let description = text(&body, "description", DESCRIPTION_MAX_CHARS)?;
    if subject.is_none() && description.is_none() {
        return Err(bad_parameter("nothing to change").into());
    }
    if subject.is_some() {
        let subject = crate::groups::GroupChangeSpec { subject, ..change(Kind::Subject) };
        world.describe_group(call.account, subject)?;
    }
    if description.is_some() {
        let change = crate::groups::GroupChangeSpec { description, ..change(Kind::Description) };
        world.describe_group(call.account, change)?;
    }
    Ok(taken(&request))
}

/// Who was not in the group is told by the webhook, as everything is.
fn remove(world: &World, call: &Call, group: &str) -> Result<Answer, Refused> {
    let body = body(call)?;
    let listed = body.get("participants").and_then(Value::as_array);
    let listed = listed.filter(|listed| (1..=PEOPLE_MAX).contains(&listed.len()));
    let listed = listed.ok_or_else(|| bad_parameter("participants has 1 to 8 entries"))?;
    let people: Option<Vec<String>> = {
        let state = world.state();
        let one = |item: &Value| match (item.get("user"), item.get("user_id")) {
            (Some(Value::String(user)), None) => digits(user),
            (None, Some(Value::String(id))) => state
                .people()
                .find(|person| ids::user_id(person) == *id)
                .map(|person| person.phone.clone()),
            _ => None,
        };
        listed.iter().map(one).collect()
    };
    let people = people.ok_or_else(|| bad_parameter("participants: {user} or {user_id} each"))?;
    let request = new_request();
    let verdicts = world.remove_people(call.account, group, &people, Some(&request))?;
    tell_failed(world, call, group, &request, &verdicts);
    Ok(taken(&request))
}

fn tell_failed(world: &World, call: &Call, group: &str, request: &str, verdicts: &Verdicts) {
    let failed: Vec<Value> = verdicts
        .iter()
        .filter(|(_, verdict)| *verdict != Verdict::Done)
        .map(|(phone, _)| {
            let error = json!({"code": 131_212, "title": "Participant not in group",
                "message": "Participant not in group"});
            json!({"input": phone, "errors": [error]})
        })
        .collect();
    if failed.is_empty() {
        return;
    }
    let item = json!({
        "timestamp": crate::clock::seconds().to_string(), "group_id": ids::group(group),
        "type": "group_participants_remove", "request_id": request, "initiated_by": "business",
        "removed_participants": [], "failed_participants": failed,
    });
    let event = Event::Own {
        kind: "group_participants_update".to_owned(),
        content: json!({"groups": [item]}),
    };
    world.emit(call.account, &event, call.effects);
}

fn link(world: &World, call: &Call, group: &str) -> Result<Answer, Refused> {
    let group = world.group_seen(call.account, group)?;
    let link = format!("https://chat.whatsapp.com/{}", group.invite_code);
    Ok(Answer::ok(json!({"messaging_product": "whatsapp", "invite_link": link})))
}
