//! Bodies of `group.…`.

use std::sync::Arc;

use wabridge_domain::ProviderKind;
use wabridge_domain::group::MemberOperation;
use wabridge_domain::message::Origin;
use wabridge_rpc::group::{
    ADD, AddParams, CREATE, CreateParams, Created, DEMOTE, GroupApi, GroupParams, INFO,
    INVITE_LINK, Info, InviteLink, JOIN, JoinParams, Joined, LEAVE, Left, MembersChanged,
    MembersParams, PROMOTE, REMOVE, REMOVE_EVERYWHERE, REVOKE_INVITE, RemoveEverywhereParams,
    RemovedEverywhere, UPDATE, UpdateParams, Updated,
};
use wabridge_rpc::{Answer, Failure, Identity};

use super::message::check_held;
use super::{Api, Ctx, Done, Trace};
use crate::accounts::Account;
use crate::group::{self, Work};
use crate::send::Caller;

impl GroupApi for Api {
    async fn create(
        &self,
        who: Identity,
        params: CreateParams,
    ) -> Result<Answer<Created>, Failure> {
        let (uid, account, name) = (params.uid, params.configuration_id, CREATE.name);
        self.run(who, name, Trace::Row(name), uid, account, |ctx| async move {
            check_held(&ctx)?;
            let (data, account) = group::create(&ctx.rt, &caller(&ctx), &params).await?;
            Ok(done(&account, data))
        })
        .await
    }

    async fn info(&self, who: Identity, params: GroupParams) -> Result<Answer<Info>, Failure> {
        let GroupParams { uid, configuration_id, group_id } = params;
        let name = INFO.name;
        self.run(who, name, Trace::Row(name), uid, configuration_id, |ctx| async move {
            let work = work(&ctx, configuration_id, &group_id).await?;
            let data = group::info(&work, &group_id).await?;
            Ok(done(&work.account, data))
        })
        .await
    }

    async fn update(
        &self,
        who: Identity,
        params: UpdateParams,
    ) -> Result<Answer<Updated>, Failure> {
        let (uid, account, name) = (params.uid, params.configuration_id, UPDATE.name);
        self.run(who, name, Trace::Row(name), uid, account, |ctx| async move {
            let work = work(&ctx, account, &params.group_id).await?;
            let data = group::update(&work, &params).await?;
            Ok(done(&work.account, data))
        })
        .await
    }

    async fn add(
        &self,
        who: Identity,
        params: AddParams,
    ) -> Result<Answer<MembersChanged>, Failure> {
        let (uid, account, name) = (params.uid, params.configuration_id, ADD.name);
        self.run(who, name, Trace::Row(name), uid, account, |ctx| async move {
            check_held(&ctx)?;
            let (data, account) = group::add(&ctx.rt, &caller(&ctx), &params).await?;
            Ok(done(&account, data))
        })
        .await
    }

    async fn remove(
        &self,
        who: Identity,
        params: MembersParams,
    ) -> Result<Answer<MembersChanged>, Failure> {
        self.members(who, REMOVE.name, params, MemberOperation::Remove).await
    }

    async fn promote(
        &self,
        who: Identity,
        params: MembersParams,
    ) -> Result<Answer<MembersChanged>, Failure> {
        self.members(who, PROMOTE.name, params, MemberOperation::Promote).await
    }

    async fn demote(
        &self,
        who: Identity,
        params: MembersParams,
    ) -> Result<Answer<MembersChanged>, Failure> {
        self.members(who, DEMOTE.name, params, MemberOperation::Demote).await
    }

    async fn invite_link(
        &self,
        who: Identity,
        params: GroupParams,
    ) -> Result<Answer<InviteLink>, Failure> {
        let GroupParams { uid, configuration_id, group_id } = params;
        let name = INVITE_LINK.name;
        self.run(who, name, Trace::Row(name), uid, configuration_id, |ctx| async move {
            let work = work(&ctx, configuration_id, &group_id).await?;
            let data = group::invite_link(&work, &group_id).await?;
            Ok(done(&work.account, data))
        })
        .await
    }

    async fn revoke_invite(
        &self,
        who: Identity,
        params: GroupParams,
    ) -> Result<Answer<InviteLink>, Failure> {
        let GroupParams { uid, configuration_id, group_id } = params;
        let name = REVOKE_INVITE.name;
        self.run(who, name, Trace::Row(name), uid, configuration_id, |ctx| async move {
            let work = work(&ctx, configuration_id, &group_id).await?;
            let data = group::revoke_invite(&work, &group_id).await?;
            Ok(done(&work.account, data))
        })
        .await
    }

    async fn join(&self, who: Identity, params: JoinParams) -> Result<Answer<Joined>, Failure> {
        let JoinParams { uid, configuration_id, invite_link } = params;
        let name = JOIN.name;
        self.run(who, name, Trace::Row(name), uid, configuration_id, |ctx| async move {
            check_held(&ctx)?;
            let work = Work::of(&ctx.rt, &caller(&ctx), configuration_id, None).await?;
            let data = group::join(&work, &invite_link).await?;
            Ok(done(&work.account, data))
        })
        .await
    }

    async fn leave(&self, who: Identity, params: GroupParams) -> Result<Answer<Left>, Failure> {
        let GroupParams { uid, configuration_id, group_id } = params;
        let name = LEAVE.name;
        self.run(who, name, Trace::Row(name), uid, configuration_id, |ctx| async move {
            let work = work(&ctx, configuration_id, &group_id).await?;
            if work.account.provider == ProviderKind::Meta {
                // Meta deletes the group, and removes everybody with it.
                ctx.require_administrator()?;
            }
            let data = group::leave(&work, &group_id).await?;
            Ok(done(&work.account, data))
        })
        .await
    }

    async fn remove_everywhere(
        &self,
        who: Identity,
        params: RemoveEverywhereParams,
    ) -> Result<Answer<RemovedEverywhere>, Failure> {
        let (uid, account, name) = (params.uid, params.configuration_id, REMOVE_EVERYWHERE.name);
        self.run(who, name, Trace::Row(name), uid, account, |ctx| async move {
            ctx.require_administrator()?;
            check_held(&ctx)?;
            let data = group::remove_everywhere(&ctx.rt, &caller(&ctx), &params).await?;
            let account = account.and_then(|id| ctx.rt.accounts().get(id).cloned());
            let account = account.map(|account| (account.id, account.provider));
            Ok(Done { data, account, provider: account.map(|(_, provider)| provider) })
        })
        .await
    }
}

impl Api {
    /// Removes, promotes or demotes.
    async fn members(
        &self,
        who: Identity,
        name: &'static str,
        params: MembersParams,
        operation: MemberOperation,
    ) -> Result<Answer<MembersChanged>, Failure> {
        let MembersParams { uid, configuration_id, group_id, participants } = params;
        self.run(who, name, Trace::Row(name), uid, configuration_id, |ctx| async move {
            if operation == MemberOperation::Remove {
                ctx.require_administrator()?;
            }
            let work = work(&ctx, configuration_id, &group_id).await?;
            let data = group::change(&work, &group_id, operation, &participants).await?;
            Ok(done(&work.account, data))
        })
        .await
    }
}

fn caller(ctx: &Ctx) -> Caller {
    let request_id = ctx.identity.request_id.clone();
    Caller { user: ctx.user.clone(), request_id, origin: Origin::Rpc }
}

async fn work(ctx: &Ctx, account: Option<i32>, group_id: &str) -> Result<Work, Failure> {
    check_held(ctx)?;
    Work::of(&ctx.rt, &caller(ctx), account, Some(group_id)).await
}

fn done<T>(account: &Arc<Account>, data: T) -> Done<T> {
    Done { data, account: Some((account.id, account.provider)), provider: Some(account.provider) }
}
