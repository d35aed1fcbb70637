//! Body of `contact.block`: at the provider first, then in the row.

use std::collections::BTreeSet;
use std::time::Duration;

use wabridge_domain::Kind;
use wabridge_domain::capability::Operation;
use wabridge_domain::event::{ChatKind, ContactUpdate};
use wabridge_rpc::contact::{BLOCK, BlockApi, BlockParams, Blocked};
use wabridge_rpc::{Answer, Failure, Identity};
use wabridge_store::odoo::contact::{self, Seen, Told};
use wabridge_store::{StoreError, tx};

use super::configuration::failure;
use super::{Api, Ctx, Done, Trace};
use crate::access;
use crate::accounts::Account;
use crate::send::Target;

/// Odoo's client gives up after 10 s: the provider's answer, or that there is none, must be there before.
const WHOLE: Duration = Duration::from_secs(8);

impl BlockApi for Api {
    async fn block(
        &self,
        identity: Identity,
        params: BlockParams,
    ) -> Result<Answer<Blocked>, Failure> {
        let BlockParams { uid, configuration_id, to, blocked } = params;
        let name = BLOCK.name;
        self.run(identity, name, Trace::Row(name), uid, configuration_id, |ctx| async move {
            let account = access::account_for(&ctx.rt, &ctx.user, configuration_id, None).await?;
            access::check_phase(&ctx.rt)?;
            if !ctx.rt.phase().can_send() {
                let why = "this database is held as a copy, so its providers are not asked; run wabridge adopt or neutralize";
                return Err(Failure::new(Kind::Conflict, why));
            }
            let target = Target::of(&ctx.rt, &ctx.user, &account, &to).await?;
            if target.chat.kind != ChatKind::Direct {
                let why = "a group cannot be blocked; name a person, or leave the group";
                return Err(Failure::new(Kind::InvalidRecipient, why));
            }
            tell(&ctx, &account, &target, blocked).await?;
            let contact_id = remember(&ctx, &account, &target, blocked).await?;
            let (data, provider) = (Blocked { contact_id, blocked }, account.provider);
            Ok(Done { data, account: Some((account.id, provider)), provider: Some(provider) })
        })
        .await
    }
}

/// Asking again changes nothing at the provider.
async fn tell(ctx: &Ctx, account: &Account, target: &Target, blocked: bool) -> Result<(), Failure> {
    let adapter = account
        .usable_adapter()
        .ok()
        .filter(|adapter| adapter.capabilities().can(Operation::ContactBlock))
        .ok_or_else(|| {
            let why = "the provider of this account cannot block anybody";
            Failure::new(Kind::UnsupportedByProvider, why)
        })?;
    let call = ctx.call(account)?;
    match tokio::time::timeout(WHOLE, adapter.contact_block(&call, &target.chat.id, blocked)).await
    {
        Ok(answer) => answer.map_err(failure),
        Err(_) => Err(Failure::new(
            Kind::ProviderTimeout,
            "the provider did not answer in time; asking again changes nothing",
        )),
    }
}

async fn remember(
    ctx: &Ctx,
    account: &Account,
    target: &Target,
    blocked: bool,
) -> Result<i32, Failure> {
    let rt = &ctx.rt;
    let at = rt.clock.now();
    let person = target
        .person
        .as_ref()
        .ok_or_else(|| Failure::new(Kind::InvalidRecipient, "the recipient names no person"))?;
    let stored = tx!(&rt.store, "contact.block", |tx| {
        let provider = account.provider.as_str();
        let mut at = at;
        loop {
            let update = ContactUpdate {
                person: person.clone(),
                at,
                picture: None,
                is_business: None,
                is_blocked: Some(blocked),
                is_wa_contact: None,
                formerly: None,
            };
            let seen = Seen { configuration_id: account.id, provider, person, at };
            let told = Told { seen, update: Some(&update) };
            let known = contact::learn(tx, &[told], &BTreeSet::new()).await?;
            let id = known.id(account.id, person).ok_or_else(|| {
                StoreError::Other("the contact that was blocked was not stored".into())
            })?;
            // Facts have whole seconds: the contrary of a moment ago is older.
            if contact::is_blocked(tx, id).await? == blocked || at > rt.clock.now() {
                break Ok::<_, StoreError>((id, known.written));
            }
            at += Duration::from_secs(1);
        }
    });
    let (id, written) = stored.map_err(|error| access::store_refusal(rt, &error))?;
    for (configuration_id, row) in written {
        rt.live.changed(configuration_id, "whatsapp.contact", [row]);
    }
    Ok(id)
}
