//! `message.explain`: the life of one message, as steps of a closed list of kinds. The daemon answers kinds and
//! parameters; the addon and `wabridge explain` make sentences of them, each in its own language.

use std::future::Future;

use jiff::Timestamp;
use jsonrpsee::RpcModule;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wabridge_domain::Kind;

use crate::error::Failure;
use crate::registry::{Answer, Identity, Method, register};

/// The body of `message.explain`.
pub trait ExplainApi: Send + Sync + 'static {
    /// What is known of the life of a message of an account that the user may use.
    fn explain(
        &self,
        identity: Identity,
        params: ExplainParams,
    ) -> impl Future<Output = Result<Answer<Explained>, Failure>> + Send;
}

pub const EXPLAIN: Method<ExplainParams, Answer<Explained>> = Method::new(
    "message.explain",
    "The life of one message, step by step, oldest first",
    &[Kind::RecordNotFound],
);

pub(crate) fn add_to<A: ExplainApi>(module: &mut RpcModule<A>) {
    register(module, &EXPLAIN, |api, who, params| async move { api.explain(who, params).await });
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExplainParams {
    pub uid: i32,
    /// The `whatsapp_message` row.
    pub id: i32,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Explained {
    pub steps: Vec<Step>,
}

/// One thing that happened to the message, or that it waits for.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Step {
    /// When; null where that is not known, or where it is so at this moment.
    #[schemars(with = "Option<String>")]
    pub at: Option<Timestamp>,
    pub kind: StepKind,
    /// What the sentence of this kind names: texts, numbers, or times (RFC 3339).
    pub parameters: Map<String, Value>,
}

macro_rules! step_kinds {
    ($($(#[doc = $doc:literal])* $kind:ident = $word:literal [$($parameter:literal),*],)+) => {
        /// What a step is about.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
        pub enum StepKind {
            $($(#[doc = $doc])* #[serde(rename = $word)] $kind,)+
        }

        impl StepKind {
            pub const ALL: &'static [Self] = &[$(Self::$kind,)+];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$kind => $word,)+ }
            }

            /// The names that `parameters` of this kind always holds.
            pub fn parameters(self) -> &'static [&'static str] {
                match self { $(Self::$kind => &[$($parameter),*],)+ }
            }
        }
    };
}

// In the order in which steps of the same moment are told.
step_kinds! {
    /// A webhook brought it.
    Received = "received" ["journal_id", "provider", "verified_by"],
    /// A webhook or a synchronization brought it; the journal holds no webhook of it (any more).
    ReceivedBefore = "received_before" ["provider"],
    /// Odoo's tables could not take it at once.
    SetAside = "set_aside" ["seconds"],
    /// Somebody typed it on the phone of the account.
    TypedOnPhone = "typed_on_phone" [],
    /// Another program sent it with the same account.
    SentElsewhere = "sent_elsewhere" [],
    /// A call asked for it (wizard, route, another program).
    QueuedByCall = "queued_by_call" ["user_id", "request_id"],
    /// A transaction of Odoo asked for it (server action, automation).
    QueuedByTransaction = "queued_by_transaction" ["user_id", "request_id"],
    /// The caller named no account: the one that wrote last in this chat was taken, or the user's first.
    AccountByDefault = "account_by_default" ["configuration_id"],
    /// It waited until earlier messages of its chat were dealt with.
    WaitedForChat = "waited_for_chat" ["messages"],
    /// Its account was paused meanwhile: the provider asked for it, or the account could not send.
    AccountPaused = "account_paused" ["reason", "seconds"],
    /// It waited so long before the first call: pace, daily limit, schedule, or no daemon ran.
    Waited = "waited" ["seconds"],
    /// A call to the provider began, and no outcome is known yet.
    AttemptOpen = "attempt_open" ["number"],
    AttemptAccepted = "attempt_accepted" ["number", "latency_ms", "provider_message_id"],
    /// Nothing of the call reached the provider.
    AttemptNotSent = "attempt_not_sent" ["number", "latency_ms", "error_kind", "error_message", "retry_s"],
    /// The provider answered that it did not take it, for now.
    AttemptNotAccepted = "attempt_not_accepted" ["number", "latency_ms", "error_kind", "error_message", "retry_s"],
    AttemptRateLimited = "attempt_rate_limited" ["number", "latency_ms", "error_message", "retry_s"],
    AttemptAccountDown = "attempt_account_down" ["number", "latency_ms", "error_message"],
    AttemptRefused = "attempt_refused" ["number", "latency_ms", "error_kind", "error_message"],
    /// The provider may have taken it or not.
    AttemptUncertain = "attempt_uncertain" ["number", "latency_ms", "error_message"],
    /// The provider's own words showed later that it had taken it.
    SettledAccepted = "settled_accepted" ["number", "provider_message_id"],
    /// Nothing showed what became of it; the account's policy decided.
    SettledUnknown = "settled_unknown" ["number"],
    /// The provider's copy of a message sent by API came before we knew whose it was, and waited.
    EchoParked = "echo_parked" ["seconds"],
    /// Words about the message came before the message, and were joined with it.
    EarlyJoined = "early_joined" ["seconds"],
    StatusPending = "status_pending" [],
    StatusSent = "status_sent" [],
    StatusDelivered = "status_delivered" [],
    StatusRead = "status_read" [],
    StatusPlayed = "status_played" [],
    StatusFailed = "status_failed" ["error_code", "error_message"],
    StatusUncertain = "status_uncertain" [],
    StatusCancelled = "status_cancelled" [],
    StatusDeleted = "status_deleted" [],
    /// Members of the group to whom it was delivered; the time is the last one's.
    MembersDelivered = "members_delivered" ["count"],
    MembersRead = "members_read" ["count"],
    MembersPlayed = "members_played" ["count"],
    MembersFailed = "members_failed" ["count"],
    /// Its author changed the text.
    Edited = "edited" ["revision"],
    MediaWaiting = "media_waiting" [],
    MediaReady = "media_ready" ["mimetype", "bytes"],
    MediaFailed = "media_failed" ["reason"],
    MediaRefused = "media_refused" ["reason"],
    /// Odoo's handlers are still to run for it.
    HandlersWaiting = "handlers_waiting" ["event", "attempts"],
    HandlersRan = "handlers_ran" ["event"],
    /// Odoo's handlers failed so often that they were given up.
    HandlersFailed = "handlers_failed" ["event", "attempts"],
    /// What an unfinished message waits for now.
    WaitsForTime = "waits_for_time" ["until"],
    WaitsForChat = "waits_for_chat" [],
    WaitsForAccount = "waits_for_account" ["reason", "until"],
    WaitsForSettling = "waits_for_settling" [],
    WaitsForTurn = "waits_for_turn" [],
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDON: &str = include_str!("../../../odoo_addon/whatsapp_integration/explain_words.py");

    /// (kind, sentence) of each line `"kind": _("sentence"),`; a sentence may go on in further lines.
    fn sentences() -> Vec<(String, String)> {
        let table = ADDON.split("SENTENCES = {").nth(1).unwrap().split("\n}").next().unwrap();
        table
            .split("\n    \"")
            .skip(1)
            .map(|entry| {
                let (kind, rest) = entry.split_once("\": _(").unwrap();
                (kind.to_owned(), rest.to_owned())
            })
            .collect()
    }

    #[test]
    fn the_addon_has_a_sentence_for_each_kind_and_no_other() {
        let mut own: Vec<&str> = StepKind::ALL.iter().map(|kind| kind.as_str()).collect();
        let sentences = sentences();
        let mut addons: Vec<&str> = sentences.iter().map(|(kind, _)| kind.as_str()).collect();
        own.sort_unstable();
        addons.sort_unstable();
        assert_eq!(own, addons);
    }

    #[test]
    fn its_sentences_name_only_parameters_that_are_there() {
        for (kind, sentence) in sentences() {
            let known =
                StepKind::ALL.iter().find(|known| known.as_str() == kind).unwrap().parameters();
            for part in sentence.split("%(").skip(1) {
                let name = part.split(')').next().unwrap();
                assert!(known.contains(&name), "{kind}: %({name})s");
            }
        }
    }
}
