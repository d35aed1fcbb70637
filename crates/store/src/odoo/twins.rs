//! Two contact rows that are one person become one: the older stays, everything that names the younger
//! (`whatsapp_message`, `whatsapp_message_receipt`, `whatsapp_chat`, `whatsapp_group_member`, `wabridge.identity` and
//! the facts beside them) names the older from then on, and the younger goes.
//!
//! The caller holds the account alone ([`crate::identity::hold_alone`]), so nothing new names the younger meanwhile.

use std::collections::BTreeSet;

use jiff::civil::DateTime;

use super::contact::fields::{self, FIELDS, NAME, PUSHNAME, State};
use super::group_member;
use crate::{StoreError, Tx, identity};

/// Makes one row of each pair (older, younger); (account, row id) of those that stay.
///
/// # Errors
/// The database's.
pub async fn unite(tx: &Tx<'_>, twins: &[(i32, i32)]) -> Result<Vec<(i32, i32)>, StoreError> {
    let all: BTreeSet<i32> = twins.iter().flat_map(|(older, younger)| [*older, *younger]).collect();
    let ids: Vec<i32> = all.into_iter().collect();
    let sql = "-- odoo::twins::lock
        SELECT c.id FROM public.whatsapp_contact c WHERE c.id = ANY($1) ORDER BY c.id FOR UPDATE OF c";
    tx.query(sql, &[/* ids */ &ids]).await?;
    let mut states = fields::read(tx, &ids).await?;
    let mut stay = BTreeSet::new();
    for (older, younger) in twins {
        let (Some(younger_state), Some(state)) = (states.remove(younger), states.get_mut(older))
        else {
            continue;
        };
        let facts = blend(state, &younger_state);
        fields::put(tx, &[(*older, state.values.clone())]).await?;
        let facts: Vec<fields::Fact> =
            facts.into_iter().map(|(field, at, value)| (*older, field, at, value)).collect();
        fields::note_facts(tx, &facts).await?;
        stay.insert((state.configuration_id, *older));
        repoint(tx, *older, *younger).await?;
    }
    let stay: Vec<(i32, i32)> = stay.into_iter().collect();
    let older: Vec<i32> = stay.iter().map(|(_, id)| *id).collect();
    identity::refresh(tx, &older).await?;
    group_member::refresh_of(tx, &older).await?;
    Ok(stay)
}

type New = (&'static str, DateTime, Option<String>);

/// Takes what was told later of the other row over; the facts that go with it.
fn blend(state: &mut State, other: &State) -> Vec<New> {
    let mut facts = Vec::new();
    let heard = |state: &State, field: &str, at: DateTime| {
        if field == PUSHNAME { state.heard_at.map_or(at, |heard| heard.max(at)) } else { at }
    };
    for (n, field) in FIELDS.into_iter().enumerate() {
        let theirs = other.facts.get(field);
        let typed = |state: &State| {
            field == NAME
                && state.values.0[n].is_some()
                && state.facts.get(field).is_none_or(|(_, told)| *told != state.values.0[n])
        };
        if typed(state) {
            continue;
        }
        if typed(other) {
            state.values.0[n].clone_from(&other.values.0[n]);
            continue;
        }
        match (state.facts.get(field), theirs) {
            (Some((at, value)), Some((their_at, their_value))) => {
                let own = (heard(state, field, *at), value);
                if own < (heard(other, field, *their_at), their_value) {
                    state.values.0[n].clone_from(their_value);
                    facts.push((field, *their_at, their_value.clone()));
                }
            }
            (None, Some((at, value))) => {
                state.values.0[n].clone_from(value);
                facts.push((field, *at, value.clone()));
            }
            (None, None) if state.values.0[n].is_none() => {
                state.values.0[n].clone_from(&other.values.0[n]);
            }
            (_, None) => {}
        }
    }
    for (field, at, value) in &facts {
        state.facts.insert((*field).to_owned(), (*at, value.clone()));
    }
    state.heard_at = state.heard_at.max(other.heard_at);
    facts
}

async fn repoint(tx: &Tx<'_>, older: i32, younger: i32) -> Result<(), StoreError> {
    for sql in [
        "-- odoo::twins::keep
        UPDATE public.whatsapp_contact c
        SET partner_id = CASE WHEN c.partner_chosen THEN c.partner_id WHEN y.partner_chosen THEN y.partner_id
                              ELSE coalesce(c.partner_id, y.partner_id) END,
            partner_chosen = coalesce(c.partner_chosen, false) OR coalesce(y.partner_chosen, false),
            name_edited_at = greatest(c.name_edited_at, y.name_edited_at),
            opted_out = coalesce(c.opted_out, false) OR coalesce(y.opted_out, false),
            synced_at = greatest(c.synced_at, y.synced_at), write_uid = 1, write_date = now() AT TIME ZONE 'UTC'
        FROM public.whatsapp_contact y WHERE c.id = $1 AND y.id = $2",
        group_member::ABSORB_FACTS,
        "-- odoo::twins::drop_members
        DELETE FROM public.whatsapp_group_member m USING public.whatsapp_group_member o
        WHERE m.contact_id = $2 AND o.contact_id = $1 AND o.group_id = m.group_id",
        "-- odoo::twins::members
        UPDATE public.whatsapp_group_member SET contact_id = $1, write_uid = 1,
               write_date = now() AT TIME ZONE 'UTC'
        WHERE contact_id = $2",
        "-- odoo::twins::chats
        UPDATE public.whatsapp_chat SET contact_id = $1, write_uid = 1, write_date = now() AT TIME ZONE 'UTC'
        WHERE contact_id = $2",
        "-- odoo::twins::messages
        UPDATE public.whatsapp_message SET contact_id = $1, write_uid = 1, write_date = now() AT TIME ZONE 'UTC'
        WHERE contact_id = $2",
        "-- odoo::twins::blend_receipts
        UPDATE public.whatsapp_message_receipt o
        SET delivered_at = least(o.delivered_at, y.delivered_at), read_at = least(o.read_at, y.read_at),
            played_at = least(o.played_at, y.played_at), failed_at = least(o.failed_at, y.failed_at),
            write_uid = 1, write_date = now() AT TIME ZONE 'UTC'
        FROM public.whatsapp_message_receipt y
        WHERE o.contact_id = $1 AND y.contact_id = $2 AND y.message_id = o.message_id",
        "-- odoo::twins::drop_receipts
        DELETE FROM public.whatsapp_message_receipt y USING public.whatsapp_message_receipt o
        WHERE y.contact_id = $2 AND o.contact_id = $1 AND o.message_id = y.message_id",
        "-- odoo::twins::receipts
        UPDATE public.whatsapp_message_receipt SET contact_id = $1, write_uid = 1,
               write_date = now() AT TIME ZONE 'UTC'
        WHERE contact_id = $2",
        "-- odoo::twins::names
        UPDATE wabridge.identity SET contact_id = $1 WHERE contact_id = $2",
    ] {
        tx.execute(sql, &[/* older */ &older, /* younger */ &younger]).await?;
    }
    for sql in [
        "-- odoo::twins::forget_facts
        DELETE FROM wabridge.contact_fact WHERE contact_id = $1",
        "-- odoo::twins::forget
        DELETE FROM public.whatsapp_contact WHERE id = $1",
    ] {
        tx.execute(sql, &[/* younger */ &younger]).await?;
    }
    Ok(())
}
