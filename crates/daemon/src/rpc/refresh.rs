//! Body of `contact.refresh`: chosen people as the provider knows them now, brought into their rows as a synchronisation
//! does.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use wabridge_domain::Kind;
use wabridge_domain::capability::Operation;
use wabridge_domain::event::{ContactUpdate, Person, What};
use wabridge_domain::phone::Msisdn;
use wabridge_domain::recipient::Recipient;
use wabridge_providers::{Call, CallError, Provider};
use wabridge_rpc::change::ItemError;
use wabridge_rpc::contact::{
    REFRESH, REFRESH_MAX, RefreshApi, RefreshParams, RefreshResult, Refreshed,
};
use wabridge_rpc::error::ErrorData;
use wabridge_rpc::{Answer, Failure, Identity};
use wabridge_store::sync::refresh::{self, Written};
use wabridge_store::{StoreError, read, tx};

use super::configuration::failure;
use super::{Api, Ctx, Done, Trace};
use crate::access;
use crate::accounts::Account;
use crate::ingest::publish::publish;

/// Odoo's client gives up after 10 s: what was told by then is kept.
const WHOLE: Duration = Duration::from_secs(8);
/// So many people are asked for together.
const AT_ONCE: usize = 4;

/// By row id.
type Told = BTreeMap<i32, Result<ContactUpdate, CallError>>;

impl RefreshApi for Api {
    async fn refresh(
        &self,
        identity: Identity,
        params: RefreshParams,
    ) -> Result<Answer<Refreshed>, Failure> {
        let RefreshParams { uid, configuration_id, contact_ids } = params;
        let name = REFRESH.name;
        self.run(identity, name, Trace::Row(name), uid, configuration_id, |ctx| async move {
            let account = access::account_for(&ctx.rt, &ctx.user, configuration_id, None).await?;
            if contact_ids.is_empty() || contact_ids.len() > REFRESH_MAX {
                let why = format!("contact_ids must hold 1 to {REFRESH_MAX} ids");
                return Err(Failure::new(Kind::InvalidContent, why));
            }
            let data = Refreshed { results: refresh(&ctx, &account, &contact_ids).await? };
            let provider = account.provider;
            Ok(Done { data, account: Some((account.id, provider)), provider: Some(provider) })
        })
        .await
    }
}

async fn refresh(
    ctx: &Ctx,
    account: &Account,
    contact_ids: &[i32],
) -> Result<Vec<RefreshResult>, Failure> {
    let rt = &ctx.rt;
    let adapter = account
        .usable_adapter()
        .ok()
        .filter(|adapter| adapter.capabilities().can(Operation::ContactRefresh))
        .ok_or_else(|| {
            let why = "the provider of this account does not tell what it knows of a person";
            Failure::new(Kind::UnsupportedByProvider, why)
        })?;
    access::check_phase(rt)?;
    if !rt.phase().can_send() {
        let why = "this database is held as a copy, so its providers are not asked; run wabridge adopt or neutralize";
        return Err(Failure::new(Kind::Conflict, why));
    }
    let ids: Vec<i32> =
        contact_ids.iter().copied().collect::<BTreeSet<i32>>().into_iter().collect();
    let people: Result<BTreeMap<i32, Person>, StoreError> =
        read!(&rt.store, "contact.refresh.people", |client| {
            refresh::people(client, account.id, &ids).await
        });
    let people = people.map_err(|error| access::store_refusal(rt, &error))?;
    let call = ctx.call(account)?;
    let at = rt.clock.now();
    let told = ask(&call, adapter, &people, at).await;
    let news: Vec<(i32, ContactUpdate)> =
        told.iter().filter_map(|(id, told)| Some((*id, told.as_ref().ok()?.clone()))).collect();
    let written = remember(ctx, account, &news, at).await?;
    let result = |id: &i32| {
        let error = match told.get(id) {
            None if !people.contains_key(id) => {
                Failure::new(Kind::RecordNotFound, "this account has no such contact")
            }
            None => Failure::new(
                Kind::ProviderTimeout,
                "the provider did not answer in time; asking again changes nothing",
            ),
            Some(Err(error)) => failure(error.clone()),
            Some(Ok(_)) if written.refused.contains_key(id) => {
                Failure::new(Kind::Conflict, "the database refused what the provider told")
            }
            Some(Ok(_)) => {
                return RefreshResult::Asked { id: *id, changed: written.changed.contains(id) };
            }
        };
        RefreshResult::Refused { id: *id, error: item_error(error, &ctx.identity.request_id) }
    };
    Ok(contact_ids.iter().map(result).collect())
}

/// What the provider tells until time is up. Where it cannot go on with anybody, the others are not asked for.
async fn ask(
    call: &Call<'_>,
    adapter: &dyn Provider,
    people: &BTreeMap<i32, Person>,
    at: Timestamp,
) -> Told {
    let mut told = Told::new();
    let mut waiting = people.iter();
    let mut over: Option<CallError> = None;
    let all = async {
        let mut asked = FuturesUnordered::new();
        loop {
            while over.is_none() && asked.len() < AT_ONCE {
                let Some((id, person)) = waiting.next() else { break };
                asked.push(one(call, adapter, *id, person, at));
            }
            let Some((id, outcome)) = asked.next().await else { break };
            if let Err(error @ (CallError::AccountDown { .. } | CallError::RateLimited { .. })) =
                &outcome
            {
                over = Some(error.clone());
            }
            told.insert(id, outcome);
        }
    };
    let in_time = tokio::time::timeout(WHOLE, all).await.is_ok();
    if let Some(over) = over.filter(|_| in_time) {
        for id in people.keys() {
            told.entry(*id).or_insert_with(|| Err(over.clone()));
        }
    }
    told
}

async fn one(
    call: &Call<'_>,
    adapter: &dyn Provider,
    id: i32,
    person: &Person,
    at: Timestamp,
) -> (i32, Result<ContactUpdate, CallError>) {
    let told = adapter.contact_info(call, &asked_by(adapter, person), at).await;
    let told = told.and_then(|event| match event.what {
        What::Contact(update) => Ok(about(person, *update)),
        _ => Err(CallError::Unavailable {
            kind: Kind::ProviderUnavailable,
            message: "the answer is about no person".to_owned(),
        }),
    });
    (id, told)
}

/// The id that the provider is asked by: the number's, where the row's own tells none.
fn asked_by(adapter: &dyn Provider, person: &Person) -> String {
    let tells = adapter.person(&person.contact_id).is_some_and(|told| told.phone.is_some());
    let by_phone = || {
        let digits = person.phone.as_deref()?.strip_prefix('+')?;
        adapter.chat(&Recipient::Phone(Msisdn::of_digits(digits)?)).ok()
    };
    match by_phone() {
        Some(chat) if !tells => chat.id,
        _ => person.contact_id.clone(),
    }
}

/// Who was asked for is meant, in whatever form the answer names them.
fn about(asked: &Person, mut update: ContactUpdate) -> ContactUpdate {
    let told = std::mem::take(&mut update.person);
    update.person = Person {
        contact_id: asked.contact_id.clone(),
        phone: asked.phone.clone().or(told.phone),
        lid: asked.lid.clone().or(told.lid),
        user_id: asked.user_id.clone().or(told.user_id),
        username: told.username,
        name: told.name,
        pushname: told.pushname,
    };
    update
}

async fn remember(
    ctx: &Ctx,
    account: &Account,
    news: &[(i32, ContactUpdate)],
    at: Timestamp,
) -> Result<Written, Failure> {
    let rt = &ctx.rt;
    if news.is_empty() {
        return Ok(Written::default());
    }
    let written: Result<Written, StoreError> = tx!(&rt.store, "contact.refresh", |tx| {
        refresh::write(tx, account.id, account.provider, at, news).await
    });
    let written = written.map_err(|error| access::store_refusal(rt, &error))?;
    for (id, why) in &written.refused {
        tracing::warn!(
            db.name = %rt.name, account.id = account.id, contact.id = id,
            "the database refuses what the provider told of contact {id}: {why}"
        );
    }
    publish(rt, &written.changes);
    Ok(written)
}

fn item_error(failure: Failure, request_id: &str) -> ItemError {
    let kind = failure.kind();
    let message = failure.refusal.message;
    ItemError {
        code: kind.code(),
        data: ErrorData {
            kind: kind.as_str().to_owned(),
            retryable: kind.retryable(),
            retry_after: failure.retry_after.map(|wait| wait.as_millis().div_ceil(1000) as u64),
            details: Some(message.clone().into()),
            request_id: request_id.to_owned(),
        },
        message,
    }
}
