//! Whom a call about a group names.

use std::collections::HashMap;

use wabridge_domain::Kind;
use wabridge_domain::error::Refusal;
use wabridge_domain::event::{ChatKind, Person};
use wabridge_domain::group::{MemberOutcome, MemberResult};
use wabridge_domain::phone::Msisdn;
use wabridge_domain::recipient::Recipient;
use wabridge_rpc::Failure;
use wabridge_rpc::group::{PARTICIPANTS_MAX, Participant};
use wabridge_rpc::to::To;
use wabridge_store::odoo::group_view;
use wabridge_store::{StoreError, read};

use super::{Work, invalid};
use crate::access;
use crate::send::Target;

/// Somebody as he was given, and who that is at the provider.
pub(super) struct Named {
    pub given: String,
    pub person: Result<Person, Refusal>,
}

/// Who is meant, as `message.send` reads recipients; what names nobody is that one's own result.
pub(super) async fn named(work: &Work, texts: &[String]) -> Result<Vec<Named>, Failure> {
    if texts.len() > PARTICIPANTS_MAX {
        let why = format!("participants has at most {PARTICIPANTS_MAX} numbers or chat ids");
        return Err(invalid(why));
    }
    let mut all = Vec::with_capacity(texts.len());
    for given in texts {
        let to = To::Text(given.clone());
        let person = match Target::of(&work.rt, &work.caller.user, &work.account, &to).await {
            Ok(target) if target.chat.kind == ChatKind::Direct => {
                let id = target.chat.id;
                Ok(target.person.unwrap_or(Person { contact_id: id, ..Person::default() }))
            }
            Ok(_) => Err(Refusal::new(
                Kind::InvalidRecipient,
                "this is a group or a channel; give the number of a person",
            )),
            Err(refusal) if refusal.kind == Kind::InvalidRecipient => Err(refusal),
            Err(refusal) => return Err(refusal.into()),
        };
        all.push(Named { given: given.clone(), person });
    }
    number(work, &mut all).await?;
    Ok(all)
}

/// Providers change members by their numbers: who was given by an id without one is named by the number that is known.
async fn number(work: &Work, all: &mut [Named]) -> Result<(), Failure> {
    let hidden: Vec<String> = all
        .iter()
        .filter_map(|one| one.person.as_ref().ok())
        .filter(|person| person.phone.is_none())
        .map(|person| person.contact_id.clone())
        .collect();
    if hidden.is_empty() {
        return Ok(());
    }
    let found: Result<Vec<(String, String)>, StoreError> =
        read!(&work.rt.store, "group.numbers", |client| {
            let ids: Vec<&str> = hidden.iter().map(String::as_str).collect();
            group_view::numbers(client, work.account.id, &ids).await
        });
    let found = found.map_err(|error| access::store_refusal(&work.rt, &error))?;
    let known: HashMap<String, String> = found.into_iter().collect();
    let adapter = work.adapter()?;
    for person in all.iter_mut().filter_map(|one| one.person.as_mut().ok()) {
        let named = known
            .get(&person.contact_id)
            .filter(|_| person.phone.is_none())
            .and_then(|phone| Msisdn::of_digits(phone))
            .and_then(|number| adapter.chat(&Recipient::Phone(number)).ok())
            .and_then(|chat| adapter.person(&chat.id));
        if let Some(named) = named {
            *person = named;
        }
    }
    Ok(())
}

/// Everybody once, in their order.
pub(super) fn unique(all: &[Named]) -> Vec<Person> {
    let mut people: Vec<Person> = Vec::with_capacity(all.len());
    for person in all.iter().filter_map(|one| one.person.as_ref().ok()) {
        if !people.iter().any(|known| known.contact_id == person.contact_id) {
            people.push(person.clone());
        }
    }
    people
}

/// One result for each that was given, in their order.
pub(super) fn results(all: &[Named], outcomes: &[MemberOutcome]) -> Vec<Participant> {
    let known: HashMap<&str, &MemberOutcome> =
        outcomes.iter().map(|outcome| (outcome.contact_id.as_str(), outcome)).collect();
    all.iter()
        .map(|one| {
            let participant = one.given.clone();
            match &one.person {
                Ok(person) => {
                    let outcome = known.get(person.contact_id.as_str());
                    Participant {
                        participant,
                        contact_id: Some(person.contact_id.clone()),
                        result: outcome.and_then(|o| o.result).unwrap_or(MemberResult::Failed),
                        reason: outcome.and_then(|outcome| outcome.reason.clone()),
                    }
                }
                Err(refusal) => Participant {
                    participant,
                    contact_id: None,
                    result: MemberResult::Failed,
                    reason: Some(refusal.message.clone()),
                },
            }
        })
        .collect()
}
