//! Everybody whom a batch names.

use wabridge_domain::event::{Person, What};

use super::{Item, groups};
use crate::odoo::contact::{Seen, Told};

pub(super) fn told<'a>(items: &[&'a Item]) -> Vec<Told<'a>> {
    let mut told = Vec::new();
    for item in items {
        let one = |person: &'a Person, at, update| Told {
            seen: Seen {
                configuration_id: item.configuration_id,
                provider: item.provider.as_str(),
                person,
                at,
            },
            update,
        };
        let at = match &item.what {
            What::Message(message) => message.at,
            What::Status(status) => status.at,
            What::Chat(update) => update.at,
            What::Contact(update) => {
                told.push(one(&update.person, update.at, Some(&**update)));
                continue;
            }
            What::Preference(update) => {
                told.push(one(&update.person, update.at, None));
                continue;
            }
            What::Group(update) => {
                told.extend(groups::people(item, update));
                continue;
            }
            _ => continue,
        };
        told.extend(item.person.iter().map(|person| one(person, at, None)));
    }
    told
}
