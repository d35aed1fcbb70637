//! `wabridge.identity`: every name a provider has for a person, and the contact row it stands for.

use std::collections::BTreeMap;

use deadpool_postgres::GenericClient;
use wabridge_domain::event::Person;

use crate::StoreError;
use crate::odoo::text;

/// Notes the names of people whose contact rows are known; what stands there already is only read.
///
/// # Errors
/// The database's.
pub async fn note(
    client: &impl GenericClient,
    people: &[(i32, &Person, i32)],
) -> Result<(), StoreError> {
    // Sorted and once each: rows are locked in key order, and one statement may touch a row only once.
    let mut names = BTreeMap::new();
    for (configuration_id, person, contact_id) in people {
        for (kind, value) in [
            ("contact_id", Some(person.contact_id.as_str())),
            ("phone", person.phone.as_deref()),
            ("lid", person.lid.as_deref()),
            ("username", person.username.as_deref()),
        ] {
            if let Some(value) = value.and_then(text) {
                names.insert((*configuration_id, kind, value), *contact_id);
            }
        }
    }
    if names.is_empty() {
        return Ok(());
    }
    let sql = "-- identity::note
        INSERT INTO wabridge.identity AS d (configuration_id, kind, value, contact_id)
        SELECT i.configuration_id, i.kind, i.value, i.contact_id
        FROM unnest($1::int4[], $2::text[], $3::text[], $4::int4[])
             AS i(configuration_id, kind, value, contact_id)
        WHERE NOT EXISTS (
            SELECT 1 FROM wabridge.identity d WHERE d.configuration_id = i.configuration_id AND d.kind = i.kind
            AND d.value = i.value AND d.contact_id = i.contact_id)
        ORDER BY i.configuration_id, i.kind, i.value
        ON CONFLICT (configuration_id, kind, value) DO UPDATE SET contact_id = EXCLUDED.contact_id
        WHERE d.contact_id <> EXCLUDED.contact_id";
    let statement = client.prepare_cached(sql).await?;
    let column = |get: fn(&(i32, &'static str)) -> i32| {
        names.keys().map(|(id, kind, _)| get(&(*id, *kind))).collect::<Vec<i32>>()
    };
    let kinds: Vec<&str> = names.keys().map(|(_, kind, _)| *kind).collect();
    let values: Vec<_> = names.keys().map(|(_, _, value)| value).collect();
    let contacts: Vec<i32> = names.values().copied().collect();
    client
        .execute(
            &statement,
            &[
                /* configuration_id */ &column(|(id, _)| *id),
                /* kind */ &kinds,
                /* value */ &values,
                /* contact_id */ &contacts,
            ],
        )
        .await?;
    Ok(())
}
