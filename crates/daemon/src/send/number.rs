//! From what names a person to the chat that is written to: a partner's numbers, and the two forms that numbers of
//! some countries have. Chat ids that a caller writes out stay as they are.

use wabridge_domain::Kind;
use wabridge_domain::error::Refusal;
use wabridge_domain::event::Chat;
use wabridge_domain::phone::Msisdn;
use wabridge_domain::recipient::Recipient;
use wabridge_providers::Provider;
use wabridge_store::odoo::recipient::{self, Partner};
use wabridge_store::{GenericClient, number_form};

use super::Problem;

/// The numbers of a partner, the most likely first: in E.164 where they or his country say the country.
///
/// # Errors
/// `invalid_recipient` where there is no such partner, or he has no number; the database's.
pub(crate) async fn of_partner(
    client: &impl GenericClient,
    id: i32,
) -> Result<Vec<String>, Problem> {
    let refuse = |why: String| Refusal::new(Kind::InvalidRecipient, why);
    let Some(partner) = recipient::partner(client, id).await? else {
        return Err(refuse(format!("there is no partner with id {id}")).into());
    };
    let numbers = numbers(partner);
    if numbers.is_empty() {
        let why = "this partner has no phone number; add one to the contact form";
        return Err(refuse(why.to_owned()).into());
    }
    Ok(numbers)
}

/// What is certain comes before what depends on the account's country, and that before what the addon took the
/// company's country for.
fn numbers(partner: Partner) -> Vec<String> {
    let country = partner.country.as_deref();
    let (mut sure, mut open) = (Vec::new(), Vec::new());
    for text in partner.typed {
        match Msisdn::parse(&text, country) {
            Ok(number) => sure.push(number.e164()),
            Err(_) => open.push(text),
        }
    }
    sure.append(&mut open);
    sure.extend(partner.normalized);
    sure
}

/// The first of these that is a recipient; else what is wrong with the first of all.
pub(crate) fn first(texts: &[String], country: Option<&str>) -> Result<Recipient, Refusal> {
    let mut wrong = None;
    for text in texts {
        match Recipient::parse(text, country) {
            Ok(recipient) => return Ok(recipient),
            Err(refusal) => wrong = wrong.or(Some(refusal)),
        }
    }
    Err(wrong.unwrap_or_else(|| Refusal::new(Kind::InvalidRecipient, "there is no recipient")))
}

/// All chats that a recipient may stand for: two where a number has two forms.
pub(crate) fn chats(adapter: &dyn Provider, recipient: &Recipient) -> Vec<(Msisdn, Chat)> {
    let Recipient::Phone(number) = recipient else { return vec![] };
    number
        .forms()
        .into_iter()
        .filter_map(|form| {
            let chat = adapter.chat(&Recipient::Phone(form.clone())).ok()?;
            Some((form, chat))
        })
        .collect()
}

/// True where `recipient` may be the chat with this id.
pub(crate) fn may_be(adapter: &dyn Provider, recipient: &Recipient, chat_id: &str) -> bool {
    adapter.chat(recipient).is_ok_and(|chat| chat.id == chat_id)
        || chats(adapter, recipient).iter().any(|(_, chat)| chat.id == chat_id)
}

/// The provider's chat of a recipient; a number with two forms in the one that the provider confirmed.
///
/// # Errors
/// `invalid_recipient`, the database's.
pub(crate) async fn chat(
    client: &impl GenericClient,
    configuration_id: i32,
    adapter: &dyn Provider,
    recipient: &Recipient,
) -> Result<Chat, Problem> {
    let as_given = adapter.chat(recipient)?;
    let Recipient::Phone(number) = recipient else { return Ok(as_given) };
    let Some(shared) = number.shared_name() else { return Ok(as_given) };
    let mut forms = chats(adapter, recipient);
    let named: Vec<(String, String)> =
        forms.iter().map(|(form, chat)| (form.digits().to_owned(), chat.id.clone())).collect();
    let form = number_form::preferred(client, configuration_id, &shared, &named).await?;
    let place = forms.iter().position(|(known, _)| Some(known.digits()) == form.as_deref());
    Ok(place.map_or(as_given, |place| forms.swap_remove(place).1))
}

/// As [`chat`], for the id of a contact: a number where it tells one.
///
/// # Errors
/// As [`chat`].
pub(crate) async fn chat_of_contact(
    client: &impl GenericClient,
    configuration_id: i32,
    adapter: &dyn Provider,
    recipient: &Recipient,
) -> Result<Chat, Problem> {
    let as_given = adapter.chat(recipient)?;
    let number = adapter
        .person(&as_given.id)
        .and_then(|person| Msisdn::of_digits(&person.phone?))
        .filter(|number| number.shared_name().is_some());
    match number {
        Some(number) => chat(client, configuration_id, adapter, &Recipient::Phone(number)).await,
        None => Ok(as_given),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partner(typed: &[&str], country: Option<&str>, normalized: &[&str]) -> Vec<String> {
        let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        numbers(Partner {
            typed: own(typed),
            country: country.map(str::to_owned),
            normalized: own(normalized),
        })
    }

    #[test]
    fn the_partners_country_comes_before_the_accounts() {
        assert_eq!(partner(&["0471 23 45 67"], Some("BE"), &[]), ["+32471234567"]);
        assert_eq!(
            partner(&["0471 23 45 67", "+447700900123"], None, &["+33471234567"]),
            ["+447700900123", "0471 23 45 67", "+33471234567"]
        );
        assert!(partner(&[], Some("BE"), &[]).is_empty());
        let texts = partner(&["0471 23 45 67"], None, &[]);
        assert!(
            matches!(first(&texts, Some("BE")), Ok(Recipient::Phone(n)) if n.digits() == "32471234567")
        );
        let wrong = first(&texts, None).unwrap_err();
        assert!(wrong.message.contains("0471 23 45 67"), "{wrong}");
    }
}
