//! Invitations: a text with the link, through the outbox like every other message.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use wabridge_domain::capability::Operation;
use wabridge_domain::content::{Content, Text};
use wabridge_domain::error::Refusal;
use wabridge_domain::group::{MemberOutcome, MemberResult};
use wabridge_rpc::Failure;
use wabridge_rpc::to::To;

use super::{Work, invalid};
use crate::rpc::failure;
use crate::runtime::Runtime;
use crate::send::{self, Accepted, Caller, SendRequest};

/// Longest text of the caller's own, characters.
const TEXT_MAX_CHARS: usize = 1024;
/// Stands for the link in a text.
const LINK: &str = "{link}";

/// That who cannot be added shall be invited.
pub(super) struct Wish {
    /// The message, with [`LINK`].
    body: String,
    /// Tells the messages of this call from those of another one.
    call: String,
}

impl Wish {
    /// `key` is the call's own, where it has one.
    ///
    /// # Errors
    /// `invalid_content` for a text that is too long.
    pub fn new(
        work: &Work,
        text: Option<&str>,
        name: Option<&str>,
        key: Option<&str>,
    ) -> Result<Self, Failure> {
        let body = match text.map(str::trim).filter(|text| !text.is_empty()) {
            Some(text) if text.chars().count() > TEXT_MAX_CHARS || text.contains('\0') => {
                return Err(invalid(format!(
                    "invite_text has at most {TEXT_MAX_CHARS} characters and no NUL"
                )));
            }
            Some(text) if text.contains(LINK) => text.to_owned(),
            Some(text) => format!("{text}\n{LINK}"),
            None => match name {
                Some(name) => format!("You are invited to the WhatsApp group “{name}”: {LINK}"),
                None => format!("You are invited to a WhatsApp group: {LINK}"),
            },
        };
        let call = key.unwrap_or(&work.caller.request_id).to_owned();
        Ok(Self { body, call })
    }

    pub fn body(&self) -> &str {
        &self.body
    }
}

/// The message with the link in it.
pub(super) fn filled(body: &str, link: &str) -> String {
    body.replace(LINK, link)
}

/// Hands the message to the outbox; the same key is the same message.
pub(super) async fn hand_over(
    rt: &Arc<Runtime>,
    caller: &Caller,
    configuration_id: i32,
    contact_id: &str,
    text: String,
    key: String,
    wait_ms: u32,
) -> Result<Accepted, Refusal> {
    let text = Text { body: text, preview: None, mentions: vec![] };
    let request = SendRequest {
        configuration_id: Some(configuration_id),
        to: To::Text(contact_id.to_owned()),
        content: Content::text(text)?,
        handed: None,
        reply_to: None,
        idempotency_key: Some(key),
        category: None,
        res_model: None,
        res_id: None,
        schedule_at: None,
        wait_ms,
    };
    send::send(rt, caller, request).await.map_err(|failure| failure.0)
}

/// A key for a message of a call: what it is for, of which call, for whom.
pub(super) fn key_of(what: &str, call: &str, place: &str, contact_id: &str) -> String {
    let digest = Sha256::digest(format!("{call}\0{place}\0{contact_id}").as_bytes());
    format!("{what}:{}", hex::encode(&digest[..20]))
}

/// Invites those of `outcomes` that `fits` chooses; `link` is the group's where it is known already. Who got the
/// invitation has the result `invited`; who did not keeps his, with the reason.
pub(super) async fn invite(
    work: &Work,
    group_id: &str,
    wish: &Wish,
    outcomes: &mut [MemberOutcome],
    link: Option<&str>,
    fits: impl Fn(MemberResult) -> bool,
) -> Option<String> {
    let chosen = |one: &MemberOutcome| one.result.is_some_and(&fits);
    if !outcomes.iter().any(chosen) {
        return None;
    }
    let link = match link {
        Some(link) => Ok(link.to_owned()),
        None => ask(work, group_id).await,
    };
    for one in outcomes.iter_mut().filter(|one| chosen(one)) {
        let sent = match &link {
            Ok(link) => {
                let text = filled(&wish.body, link);
                let key = key_of("group-invite", &wish.call, group_id, &one.contact_id);
                let account = work.account.id;
                hand_over(&work.rt, &work.caller, account, &one.contact_id, text, key, 0)
                    .await
                    .map_err(|refusal| refusal.message)
            }
            Err(why) => Err(why.clone()),
        };
        match sent {
            Ok(_) => {
                one.result = Some(MemberResult::Invited);
                one.reason = None;
            }
            Err(why) => one.reason = Some(format!("the invitation could not be sent: {why}")),
        }
    }
    link.ok()
}

async fn ask(work: &Work, group_id: &str) -> Result<String, String> {
    let asked = async {
        let adapter = work.able(Operation::GroupInvite, "groups have no invitations")?;
        adapter.group_invite(&work.call()?, group_id).await.map_err(failure)
    };
    asked.await.map_err(|failure: Failure| failure.refusal.message)
}
