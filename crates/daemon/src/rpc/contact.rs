//! Bodies of `contact.…`: who is on WhatsApp, and what people want to get.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use wabridge_domain::Kind;
use wabridge_domain::capability::Operation;
use wabridge_domain::error::Refusal;
use wabridge_domain::event::ContactUpdate;
use wabridge_domain::phone::Msisdn;
use wabridge_domain::recipient::Recipient;
use wabridge_providers::{CHECK_MAX, CallError, Checked, Provider};
use wabridge_rpc::change::ItemError;
use wabridge_rpc::contact::{
    CHECK, CheckApi, CheckParams, CheckedNumbers, NUMBERS_MAX, NumberResult,
};
use wabridge_rpc::error::ErrorData;
use wabridge_rpc::{Answer, Failure, Identity};
use wabridge_store::odoo::contact::{self, Seen, Told};
use wabridge_store::{StoreError, number_form, tx};

use super::configuration::failure;
use super::{Api, Ctx, Done, Trace};
use crate::access;
use crate::accounts::Account;

/// Odoo's client gives up after 10 s: the provider's answers, or that there are none, must be there before.
const WHOLE: Duration = Duration::from_secs(8);

impl CheckApi for Api {
    async fn check(
        &self,
        identity: Identity,
        params: CheckParams,
    ) -> Result<Answer<CheckedNumbers>, Failure> {
        let CheckParams { uid, configuration_id, numbers } = params;
        let name = CHECK.name;
        self.run(identity, name, Trace::Row(name), uid, configuration_id, |ctx| async move {
            let account = access::account_for(&ctx.rt, &ctx.user, configuration_id, None).await?;
            if numbers.is_empty() || numbers.len() > NUMBERS_MAX {
                let why = format!("numbers must hold 1 to {NUMBERS_MAX} numbers");
                return Err(Failure::new(Kind::InvalidContent, why));
            }
            let data = CheckedNumbers { results: check(&ctx, &account, numbers).await? };
            let provider = account.provider;
            Ok(Done { data, account: Some((account.id, provider)), provider: Some(provider) })
        })
        .await
    }
}

async fn check(
    ctx: &Ctx,
    account: &Account,
    numbers: Vec<String>,
) -> Result<Vec<NumberResult>, Failure> {
    let adapter = account
        .usable_adapter()
        .ok()
        .filter(|adapter| adapter.capabilities().can(Operation::ContactCheck))
        .ok_or_else(|| {
            let why = "the provider of this account cannot tell who is on WhatsApp";
            Failure::new(Kind::UnsupportedByProvider, why)
        })?;
    access::check_phase(&ctx.rt)?;
    if !ctx.rt.phase().can_send() {
        let why = "this database is held as a copy, so its providers are not asked; run wabridge adopt or neutralize";
        return Err(Failure::new(Kind::Conflict, why));
    }
    let read: Vec<Result<Msisdn, Refusal>> =
        numbers.iter().map(|text| Msisdn::parse(text, account.country.as_deref())).collect();
    let mut asked: Vec<String> = Vec::new();
    for form in read.iter().flatten().flat_map(Msisdn::forms) {
        if !asked.iter().any(|known| known == form.digits()) {
            asked.push(form.digits().to_owned());
        }
    }
    let told = ask(ctx, account, adapter, &asked).await?;
    let found = remember(ctx, account, adapter, &read, &told).await?;
    Ok(numbers
        .into_iter()
        .zip(read)
        .map(|(number, read)| match read {
            Ok(phone) => {
                let best = best(&told, &phone);
                let contact_id =
                    phone.forms().iter().find_map(|form| found.get(&form.e164()).copied());
                NumberResult::Known {
                    number,
                    phone: phone.e164(),
                    is_wa_contact: best.is_some(),
                    chat_id: best.and_then(|checked| checked.chat_id.clone()),
                    contact_id,
                }
            }
            Err(refusal) => {
                let error = item_error(refusal, &ctx.identity.request_id);
                NumberResult::Refused { number, error }
            }
        })
        .collect())
}

/// What the provider says, by the digits that were asked.
async fn ask(
    ctx: &Ctx,
    account: &Account,
    adapter: &dyn Provider,
    digits: &[String],
) -> Result<HashMap<String, Checked>, Failure> {
    let call = ctx.call(account)?;
    let mut told = HashMap::with_capacity(digits.len());
    let all = async {
        for some in digits.chunks(CHECK_MAX) {
            let some: Vec<&str> = some.iter().map(String::as_str).collect();
            for checked in adapter.check_numbers(&call, &some).await? {
                told.insert(checked.number.clone(), checked);
            }
        }
        Ok::<_, CallError>(())
    };
    match tokio::time::timeout(WHOLE, all).await {
        Ok(Ok(())) => Ok(told),
        Ok(Err(error)) => Err(failure(error)),
        Err(_) => Err(Failure::new(
            Kind::ProviderTimeout,
            "the provider did not answer in time; asking again changes nothing",
        )),
    }
}

/// The answer for a number that is on WhatsApp, in whichever of its forms; None where it is not.
fn best<'a>(told: &'a HashMap<String, Checked>, number: &Msisdn) -> Option<&'a Checked> {
    number
        .forms()
        .iter()
        .filter_map(|form| told.get(form.digits()))
        .find(|checked| checked.is_wa_contact)
}

/// Keeps what was told with the contacts that are there, and the forms that were confirmed. Contact rows by phone.
async fn remember(
    ctx: &Ctx,
    account: &Account,
    adapter: &dyn Provider,
    read: &[Result<Msisdn, Refusal>],
    told: &HashMap<String, Checked>,
) -> Result<HashMap<String, i32>, Failure> {
    let rt = &ctx.rt;
    let at = rt.clock.now();
    let phones: Vec<String> =
        read.iter().flatten().flat_map(Msisdn::forms).map(|form| form.e164()).collect();
    let forms: Vec<(String, String)> = read
        .iter()
        .flatten()
        .filter_map(|number| {
            let confirmed = best(told, number)?.chat_id.as_deref()?;
            let phone = adapter.person(confirmed)?.phone?;
            Some((number.shared_name()?, Msisdn::of_digits(&phone)?.digits().to_owned()))
        })
        .collect();
    /// Row ids by number, (account, row id) of what was written.
    type Noted = (HashMap<String, i32>, Vec<(i32, i32)>);
    let stored: Result<Noted, StoreError> = tx!(&rt.store, "contact.check", |tx| {
        number_form::confirm(tx, account.id, &forms).await?;
        let found: HashMap<String, i32> =
            number_form::contacts(tx, account.id, &phones).await?.into_iter().collect();
        let updates: Vec<ContactUpdate> = read
            .iter()
            .flatten()
            .filter_map(|number| {
                let form =
                    number.forms().into_iter().find(|form| found.contains_key(&form.e164()))?;
                let chat = adapter.chat(&Recipient::Phone(form)).ok()?;
                Some(ContactUpdate {
                    person: adapter.person(&chat.id)?,
                    at,
                    picture: None,
                    is_business: None,
                    is_blocked: None,
                    is_wa_contact: Some(best(told, number).is_some()),
                    formerly: None,
                })
            })
            .collect();
        let news: Vec<Told<'_>> = updates
            .iter()
            .map(|update| Told {
                seen: Seen {
                    configuration_id: account.id,
                    provider: account.provider.as_str(),
                    person: &update.person,
                    at,
                },
                update: Some(update),
            })
            .collect();
        let ids: BTreeSet<i32> = found.values().copied().collect();
        let known = contact::learn(tx, &news, &ids).await?;
        let ids: Vec<i32> = ids.into_iter().collect();
        number_form::checked(tx, &ids).await?;
        let mut written = known.written;
        written.extend(ids.iter().map(|id| (account.id, *id)));
        Ok::<_, StoreError>((found, written))
    });
    let (found, written) = stored.map_err(|error| access::store_refusal(rt, &error))?;
    for (configuration_id, id) in written {
        rt.live.changed(configuration_id, "whatsapp.contact", [id]);
    }
    Ok(found)
}

fn item_error(refusal: Refusal, request_id: &str) -> ItemError {
    let Refusal { kind, message } = refusal;
    ItemError {
        code: kind.code(),
        data: ErrorData {
            kind: kind.as_str().to_owned(),
            retryable: kind.retryable(),
            retry_after: None,
            details: Some(message.clone().into()),
            request_id: request_id.to_owned(),
        },
        message,
    }
}
