//! Body of `contact.erase`.

use wabridge_domain::Kind;
use wabridge_rpc::erase::{ERASE, EraseApi, EraseParams, Erased};
use wabridge_rpc::{Answer, Failure, Identity};
use wabridge_store::odoo::recipient;
use wabridge_store::{StoreError, read};

use super::{Api, Done, Trace};
use crate::access;
use crate::erase::{self, Whom};

impl EraseApi for Api {
    async fn erase(
        &self,
        identity: Identity,
        params: EraseParams,
    ) -> Result<Answer<Erased>, Failure> {
        let EraseParams { uid, configuration_id, contact_id } = params;
        let name = ERASE.name;
        self.run(identity, name, Trace::Row(name), uid, configuration_id, |ctx| async move {
            ctx.require_administrator()?;
            access::check_phase(&ctx.rt)?;
            let rt = &ctx.rt;
            let mut accounts: Vec<i32> = access::usable_accounts(&ctx.user);
            let mut provider = None;
            if configuration_id.is_some() {
                let account = access::account_for(rt, &ctx.user, configuration_id, None).await?;
                accounts.retain(|id| *id == account.id);
                provider = Some(account.provider);
            }
            let contact: Result<Option<recipient::Contact>, StoreError> =
                read!(&rt.store, "erase.contact", |client| {
                    recipient::contact(client, contact_id).await
                });
            let contact = contact.map_err(|error| access::store_refusal(rt, &error))?;
            let owner = contact.map(|contact| contact.configuration_id);
            match owner {
                Some(owner) if accounts.contains(&owner) => {}
                Some(_) => {
                    let why = "this user may not use the account of that contact";
                    return Err(Failure::new(Kind::AccessDenied, why));
                }
                None => {
                    let why = format!("there is no contact with id {contact_id}");
                    return Err(Failure::new(Kind::RecordNotFound, why));
                }
            }
            let counts = erase::run(rt, &accounts, &Whom::Contact(contact_id))
                .await
                .map_err(|error| access::store_refusal(rt, &error))?;
            let counts = counts.unwrap_or_default();
            let counts = counts.into_iter().map(|(table, n)| (table.to_owned(), n)).collect();
            let account = configuration_id.zip(provider);
            Ok(Done { data: Erased { counts }, account, provider })
        })
        .await
    }
}
