//! Bodies of `contact.opt_out` and `contact.opt_in`.

use std::sync::Arc;

use wabridge_domain::Kind;
use wabridge_domain::event::ChatKind;
use wabridge_rpc::contact::{Consent, ConsentApi, ConsentParams, OPT_IN, OPT_OUT};
use wabridge_rpc::message::Category;
use wabridge_rpc::{Answer, Failure, Identity};
use wabridge_store::consent::{self, Source, Wish};
use wabridge_store::odoo::contact;
use wabridge_store::{StoreError, tx};

use super::{Api, Ctx, Done, Trace};
use crate::access;
use crate::accounts::Account;
use crate::send::Target;

/// Longest reason, characters.
const REASON_MAX_CHARS: usize = 200;

impl ConsentApi for Api {
    async fn opt_out(
        &self,
        identity: Identity,
        params: ConsentParams,
    ) -> Result<Answer<Consent>, Failure> {
        self.note(identity, OPT_OUT.name, params, false).await
    }

    async fn opt_in(
        &self,
        identity: Identity,
        params: ConsentParams,
    ) -> Result<Answer<Consent>, Failure> {
        self.note(identity, OPT_IN.name, params, true).await
    }
}

impl Api {
    async fn note(
        &self,
        identity: Identity,
        method: &'static str,
        params: ConsentParams,
        allowed: bool,
    ) -> Result<Answer<Consent>, Failure> {
        let (uid, configuration_id) = (params.uid, params.configuration_id);
        self.run(identity, method, Trace::Row(method), uid, configuration_id, |ctx| async move {
            if let Some(reason) = &params.reason
                && (reason.chars().count() > REASON_MAX_CHARS || reason.contains('\0'))
            {
                let why = format!("reason has at most {REASON_MAX_CHARS} characters");
                return Err(Failure::new(Kind::InvalidContent, why));
            }
            let account = access::account_for(&ctx.rt, &ctx.user, configuration_id, None).await?;
            access::check_phase(&ctx.rt)?;
            let target = Target::of(&ctx.rt, &ctx.user, &account, &params.to).await?;
            if target.chat.kind != ChatKind::Direct {
                let why = "a group has no wishes; name a person";
                return Err(Failure::new(Kind::InvalidRecipient, why));
            }
            let data = note(&ctx, &account, &target, &params, allowed).await?;
            let provider = account.provider;
            Ok(Done { data, account: Some((account.id, provider)), provider: Some(provider) })
        })
        .await
    }
}

async fn note(
    ctx: &Ctx,
    account: &Arc<Account>,
    target: &Target,
    params: &ConsentParams,
    allowed: bool,
) -> Result<Consent, Failure> {
    let rt = &ctx.rt;
    let at = rt.clock.now();
    let category = params.category.unwrap_or(Category::Marketing);
    let person = target
        .person
        .as_ref()
        .ok_or_else(|| Failure::new(Kind::InvalidRecipient, "the recipient names no person"))?;
    /// Contacts of the person, whether anything changed, (account, row id) of what was written.
    type Noted = (Vec<i32>, bool, Vec<(i32, i32)>);
    let stored: Result<Noted, StoreError> = tx!(&rt.store, "contact.consent", |tx| {
        let seen = contact::Seen {
            configuration_id: account.id,
            provider: account.provider.as_str(),
            person,
            at,
        };
        let known = contact::ensure(tx, &[seen]).await?;
        let contact_id = known
            .id(account.id, person)
            .ok_or_else(|| StoreError::Other("the contact of a wish was not stored".into()))?;
        let before = consent::allowed(tx, contact_id, category.as_str()).await?;
        let wish = Wish {
            contact_id,
            category: category.as_str(),
            allowed,
            reason: params.reason.as_deref(),
            at,
            source: Source::User(params.uid),
        };
        let mut written = consent::note(tx, &[wish]).await?;
        written.extend(known.written);
        let contacts = consent::same_person(tx, contact_id).await?;
        Ok::<_, StoreError>((contacts, before != allowed, written))
    });
    let (contact_ids, changed, written) =
        stored.map_err(|error| access::store_refusal(rt, &error))?;
    for (configuration_id, id) in written {
        rt.live.changed(configuration_id, "whatsapp.contact", [id]);
    }
    Ok(Consent { contact_ids, category, opted_out: !allowed, changed })
}
