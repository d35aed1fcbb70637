//! One call: from the bytes of a body to the bytes of the answer.
//!
//! The bytes were verified by the listener, so jsonrpsee's own HTTP server is not used: it would read the body
//! a second time, and it writes bodies into the log at its most verbose.

use jsonrpsee::types::{Id, Request};
use jsonrpsee::{ConnectionId, Extensions, MethodCallback, MethodResponse, Methods};
use serde_json::Value;

use crate::error::{self, Failure, Malformed};
use crate::registry::Identity;

/// What a call came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The whole JSON-RPC answer.
    pub json: String,
    /// `error.code`; None for a result.
    pub error_code: Option<i32>,
    /// The method, where there is one of this name.
    pub method: Option<&'static str>,
    /// Why no method ran.
    pub malformed: Option<Malformed>,
}

/// Runs the one call in `body`.
pub async fn dispatch(methods: &Methods, body: &[u8], identity: Identity) -> Outcome {
    let request = match read(body) {
        Ok(request) => request,
        Err(malformed) => return refused(Id::Null, malformed, &identity),
    };
    let (id, params) = (request.id.clone().into_owned(), request.params());
    let Some((name, callback)) = methods.method_with_name(&request.method) else {
        return refused(id, Malformed::UnknownMethod, &identity);
    };
    let mut extensions = Extensions::new();
    extensions.insert(identity.clone());
    let response = match callback {
        MethodCallback::Async(run) => {
            run(id, params.into_owned(), ConnectionId(0), usize::MAX, extensions).await
        }
        MethodCallback::Sync(run) => run(id, params, usize::MAX, extensions),
        MethodCallback::Subscription(_) | MethodCallback::Unsubscription(_) => {
            return refused(id, Malformed::UnknownMethod, &identity);
        }
    };
    let error_code = response.as_error_code();
    let malformed = (error_code == Some(jsonrpsee::types::error::INVALID_PARAMS_CODE))
        .then(|| Malformed::InvalidParams(String::new()));
    Outcome {
        error_code,
        method: Some(name),
        malformed,
        json: response.into_json().get().to_owned(),
    }
}

/// The method that a body asks for; None where the body is no call.
pub fn method_of(body: &[u8]) -> Option<String> {
    read(body).ok().map(|request| request.method.into_owned())
}

/// The answer to a call that is refused before its method runs.
pub fn refuse(body: &[u8], failure: &Failure, request_id: &str) -> Outcome {
    let id = read(body).map_or(Id::Null, |request| request.id.into_owned());
    let response = MethodResponse::error(id, error::object(failure, request_id));
    Outcome {
        error_code: response.as_error_code(),
        json: response.into_json().get().to_owned(),
        method: None,
        malformed: None,
    }
}

fn read(body: &[u8]) -> Result<Request<'_>, Malformed> {
    if body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
        return Err(Malformed::Batch);
    }
    serde_json::from_slice(body).map_err(|_| match serde_json::from_slice::<Value>(body) {
        Err(_) => Malformed::NotJson,
        Ok(Value::Object(fields))
            if fields.contains_key("method") && !fields.contains_key("id") =>
        {
            Malformed::Notification
        }
        Ok(_) => Malformed::NotARequest,
    })
}

fn refused(id: Id<'_>, malformed: Malformed, identity: &Identity) -> Outcome {
    let response = MethodResponse::error(id, malformed.object(&identity.request_id));
    Outcome {
        error_code: response.as_error_code(),
        json: response.into_json().get().to_owned(),
        method: None,
        malformed: Some(malformed),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::configuration::*;
    use crate::explain::{ExplainApi, ExplainParams, Explained};
    use crate::journal::{JournalApi, ReplayParams, Replayed, ShowParams, Webhook};
    use crate::media::*;
    use crate::message::*;
    use crate::{Answer, Failure, Meta};

    /// Answers what its methods were given.
    struct Echo;

    fn meta(identity: &Identity) -> Meta {
        Meta { provider: None, response_time: 0, request_id: identity.request_id.clone() }
    }

    impl MessageApi for Echo {
        async fn send(&self, who: Identity, params: SendParams) -> Result<Answer<Sent>, Failure> {
            let data = Sent {
                id: params.uid,
                message_id: None,
                status: wabridge_domain::message::Status::Queued,
                timestamp: "2026-01-02T03:04:05Z".parse().ok(),
            };
            Ok(Answer { data, meta: meta(&who) })
        }

        async fn status(
            &self,
            _: Identity,
            _: StatusParams,
        ) -> Result<Answer<MessageStatus>, Failure> {
            Err(Failure::new(wabridge_domain::Kind::RecordNotFound, "there is no such message"))
        }
    }

    impl crate::audit::AuditApi for Echo {
        async fn verify(
            &self,
            _: Identity,
            _: crate::audit::VerifyParams,
        ) -> Result<Answer<crate::audit::Verified>, Failure> {
            Err(Failure::new(wabridge_domain::Kind::AccessDenied, "no"))
        }
    }

    impl crate::erase::EraseApi for Echo {
        async fn erase(
            &self,
            _: Identity,
            _: crate::erase::EraseParams,
        ) -> Result<Answer<crate::erase::Erased>, Failure> {
            Err(Failure::new(wabridge_domain::Kind::AccessDenied, "no"))
        }
    }

    impl crate::chat::ChatApi for Echo {
        async fn mark_read(
            &self,
            _: Identity,
            _: crate::chat::MarkReadParams,
        ) -> Result<Answer<crate::chat::MarkedRead>, Failure> {
            Err(Failure::new(wabridge_domain::Kind::AccessDenied, "no"))
        }
    }

    impl crate::change::ChangeApi for Echo {
        async fn retry(
            &self,
            _: Identity,
            _: crate::change::ChangeParams,
        ) -> Result<Answer<crate::change::Changed>, Failure> {
            Err(Failure::new(wabridge_domain::Kind::AccessDenied, "no"))
        }

        async fn cancel(
            &self,
            _: Identity,
            _: crate::change::ChangeParams,
        ) -> Result<Answer<crate::change::Changed>, Failure> {
            Err(Failure::new(wabridge_domain::Kind::AccessDenied, "no"))
        }

        async fn send_bulk(
            &self,
            _: Identity,
            _: crate::bulk::BulkParams,
        ) -> Result<Answer<crate::bulk::BulkSent>, Failure> {
            Err(Failure::new(wabridge_domain::Kind::AccessDenied, "no"))
        }
    }

    impl crate::change::ReviseApi for Echo {
        async fn react(
            &self,
            _: Identity,
            _: crate::change::ReactParams,
        ) -> Result<Answer<crate::message::Sent>, Failure> {
            Err(Failure::new(wabridge_domain::Kind::AccessDenied, "no"))
        }

        async fn edit(
            &self,
            _: Identity,
            _: crate::change::EditParams,
        ) -> Result<Answer<crate::change::Revised>, Failure> {
            Err(Failure::new(wabridge_domain::Kind::AccessDenied, "no"))
        }

        async fn delete(
            &self,
            _: Identity,
            _: crate::change::DeleteParams,
        ) -> Result<Answer<crate::change::Revised>, Failure> {
            Err(Failure::new(wabridge_domain::Kind::AccessDenied, "no"))
        }
    }

    impl crate::template::SyncApi for Echo {
        async fn sync(
            &self,
            _: Identity,
            _: crate::template::TemplateSyncParams,
        ) -> Result<Answer<crate::template::Templates>, Failure> {
            Err(Failure::new(wabridge_domain::Kind::AccessDenied, "no"))
        }
    }

    impl crate::contact::CheckApi for Echo {
        async fn check(
            &self,
            _: Identity,
            _: crate::contact::CheckParams,
        ) -> Result<Answer<crate::contact::CheckedNumbers>, Failure> {
            Err(Failure::new(wabridge_domain::Kind::AccessDenied, "no"))
        }
    }

    impl crate::contact::BlockApi for Echo {
        async fn block(
            &self,
            _: Identity,
            _: crate::contact::BlockParams,
        ) -> Result<Answer<crate::contact::Blocked>, Failure> {
            Err(Failure::new(wabridge_domain::Kind::AccessDenied, "no"))
        }
    }

    impl crate::contact::RefreshApi for Echo {
        async fn refresh(
            &self,
            _: Identity,
            _: crate::contact::RefreshParams,
        ) -> Result<Answer<crate::contact::Refreshed>, Failure> {
            Err(Failure::new(wabridge_domain::Kind::AccessDenied, "no"))
        }
    }

    impl crate::contact::ConsentApi for Echo {
        async fn opt_out(
            &self,
            _: Identity,
            _: crate::contact::ConsentParams,
        ) -> Result<Answer<crate::contact::Consent>, Failure> {
            Err(Failure::new(wabridge_domain::Kind::AccessDenied, "no"))
        }

        async fn opt_in(
            &self,
            _: Identity,
            _: crate::contact::ConsentParams,
        ) -> Result<Answer<crate::contact::Consent>, Failure> {
            Err(Failure::new(wabridge_domain::Kind::AccessDenied, "no"))
        }
    }

    impl MediaApi for Echo {
        async fn fetch_again(
            &self,
            who: Identity,
            params: FetchAgainParams,
        ) -> Result<Answer<Fetching>, Failure> {
            let data = Fetching { id: params.media_id, state: "waiting".into() };
            Ok(Answer { data, meta: meta(&who) })
        }
    }

    impl ExplainApi for Echo {
        async fn explain(
            &self,
            who: Identity,
            _: ExplainParams,
        ) -> Result<Answer<Explained>, Failure> {
            Ok(Answer { data: Explained { steps: vec![] }, meta: meta(&who) })
        }
    }

    impl crate::stats::StatsApi for Echo {
        async fn summary(
            &self,
            who: Identity,
            _: crate::stats::SummaryParams,
        ) -> Result<Answer<crate::stats::Summary>, Failure> {
            let data = crate::stats::Summary {
                first_day: String::new(),
                last_day: String::new(),
                accounts: vec![],
            };
            Ok(Answer { data, meta: meta(&who) })
        }
    }

    impl crate::group::GroupApi for Echo {
        async fn create(
            &self,
            _: Identity,
            _: crate::group::CreateParams,
        ) -> Result<Answer<crate::group::Created>, Failure> {
            Err(Failure::new(wabridge_domain::Kind::AccessDenied, "no"))
        }

        async fn info(
            &self,
            _: Identity,
            _: crate::group::GroupParams,
        ) -> Result<Answer<crate::group::Info>, Failure> {
            Err(Failure::new(wabridge_domain::Kind::AccessDenied, "no"))
        }

        async fn update(
            &self,
            _: Identity,
            _: crate::group::UpdateParams,
        ) -> Result<Answer<crate::group::Updated>, Failure> {
            Err(Failure::new(wabridge_domain::Kind::AccessDenied, "no"))
        }

        async fn add(
            &self,
            _: Identity,
            _: crate::group::AddParams,
        ) -> Result<Answer<crate::group::MembersChanged>, Failure> {
            Err(Failure::new(wabridge_domain::Kind::AccessDenied, "no"))
        }

        async fn remove(
            &self,
            _: Identity,
            _: crate::group::MembersParams,
        ) -> Result<Answer<crate::group::MembersChanged>, Failure> {
            Err(Failure::new(wabridge_domain::Kind::AccessDenied, "no"))
        }

        async fn promote(
            &self,
            _: Identity,
            _: crate::group::MembersParams,
        ) -> Result<Answer<crate::group::MembersChanged>, Failure> {
            Err(Failure::new(wabridge_domain::Kind::AccessDenied, "no"))
        }

        async fn demote(
            &self,
            _: Identity,
            _: crate::group::MembersParams,
        ) -> Result<Answer<crate::group::MembersChanged>, Failure> {
            Err(Failure::new(wabridge_domain::Kind::AccessDenied, "no"))
        }

        async fn invite_link(
            &self,
            _: Identity,
            _: crate::group::GroupParams,
        ) -> Result<Answer<crate::group::InviteLink>, Failure> {
            Err(Failure::new(wabridge_domain::Kind::AccessDenied, "no"))
        }

        async fn revoke_invite(
            &self,
            _: Identity,
            _: crate::group::GroupParams,
        ) -> Result<Answer<crate::group::InviteLink>, Failure> {
            Err(Failure::new(wabridge_domain::Kind::AccessDenied, "no"))
        }

        async fn join(
            &self,
            _: Identity,
            _: crate::group::JoinParams,
        ) -> Result<Answer<crate::group::Joined>, Failure> {
            Err(Failure::new(wabridge_domain::Kind::AccessDenied, "no"))
        }

        async fn leave(
            &self,
            _: Identity,
            _: crate::group::GroupParams,
        ) -> Result<Answer<crate::group::Left>, Failure> {
            Err(Failure::new(wabridge_domain::Kind::AccessDenied, "no"))
        }

        async fn remove_everywhere(
            &self,
            _: Identity,
            _: crate::group::RemoveEverywhereParams,
        ) -> Result<Answer<crate::group::RemovedEverywhere>, Failure> {
            Err(Failure::new(wabridge_domain::Kind::AccessDenied, "no"))
        }
    }

    impl JournalApi for Echo {
        async fn replay(&self, _: Identity, _: ReplayParams) -> Result<Answer<Replayed>, Failure> {
            Err(Failure::new(wabridge_domain::Kind::AccessDenied, "no"))
        }

        async fn show(&self, _: Identity, _: ShowParams) -> Result<Answer<Webhook>, Failure> {
            Err(Failure::new(wabridge_domain::Kind::AccessDenied, "no"))
        }
    }

    impl crate::sync::RunApi for Echo {
        async fn start(
            &self,
            _: Identity,
            _: crate::sync::StartParams,
        ) -> Result<Answer<crate::sync::Started>, Failure> {
            Err(Failure::new(wabridge_domain::Kind::AccessDenied, "no"))
        }

        async fn sync_status(
            &self,
            _: Identity,
            _: crate::sync::JobParams,
        ) -> Result<Answer<crate::sync::Progress>, Failure> {
            Err(Failure::new(wabridge_domain::Kind::AccessDenied, "no"))
        }

        async fn sync_cancel(
            &self,
            _: Identity,
            _: crate::sync::JobParams,
        ) -> Result<Answer<crate::sync::Cancelled>, Failure> {
            Err(Failure::new(wabridge_domain::Kind::AccessDenied, "no"))
        }
    }

    impl ConfigurationApi for Echo {
        async fn seal(&self, who: Identity, _: SealParams) -> Result<Answer<Sealed>, Failure> {
            Ok(Answer { data: Sealed { sealed: "wab1:".into() }, meta: meta(&who) })
        }

        async fn test(&self, _: Identity, _: AccountParams) -> Result<Answer<Tested>, Failure> {
            Err(Failure::new(wabridge_domain::Kind::AccessDenied, "no"))
        }

        async fn health(
            &self,
            _: Identity,
            _: AccountParams,
        ) -> Result<Answer<StoredHealth>, Failure> {
            Err(Failure::new(wabridge_domain::Kind::AccessDenied, "no"))
        }

        async fn register_webhook(
            &self,
            _: Identity,
            _: AccountParams,
        ) -> Result<Answer<WebhookRegistered>, Failure> {
            Err(Failure::new(wabridge_domain::Kind::AccessDenied, "no"))
        }

        async fn capabilities(
            &self,
            _: Identity,
            _: AccountParams,
        ) -> Result<Answer<CapabilityTable>, Failure> {
            Err(Failure::new(wabridge_domain::Kind::AccessDenied, "no"))
        }
    }

    fn identity() -> Identity {
        Identity {
            database: "acme".into(),
            key_id: "odoo".into(),
            act_as: None,
            request_id: "r-1".into(),
            address: None,
            received: std::time::Instant::now(),
        }
    }

    async fn call(body: &str) -> (Value, Outcome) {
        let outcome = dispatch(&crate::methods(Echo), body.as_bytes(), identity()).await;
        (serde_json::from_str(&outcome.json).unwrap(), outcome)
    }

    #[tokio::test]
    async fn results_and_refusals() {
        let send = r#"{"jsonrpc":"2.0","id":"a","method":"message.send",
            "params":{"uid":7,"to":"+447700900801","type":"text","text":{"body":"x"}}}"#;
        let (answer, outcome) = call(send).await;
        assert_eq!(
            answer,
            json!({"jsonrpc": "2.0", "id": "a", "result": {
                "data": {"id": 7, "message_id": null, "status": "queued", "timestamp": "2026-01-02T03:04:05Z"},
                "meta": {"provider": null, "response_time": 0, "request_id": "r-1"}}})
        );
        assert_eq!(
            (outcome.error_code, outcome.method, outcome.malformed),
            (None, Some("message.send"), None)
        );
        let (answer, outcome) =
            call(r#"{"jsonrpc":"2.0","id":1,"method":"message.status","params":{"uid":7,"id":1}}"#)
                .await;
        assert_eq!(answer["error"]["code"], 1504);
        assert_eq!(answer["error"]["data"]["request_id"], "r-1");
        assert_eq!(outcome.malformed, None);
    }

    #[tokio::test]
    async fn malformed_calls_run_nothing() {
        for (body, code, word) in [
            ("", -32700, "parse_error"),
            ("{", -32700, "parse_error"),
            ("5", -32600, "invalid_request"),
            ("[]", -32600, "invalid_request"),
            (
                " [{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"rpc.discover\"}]",
                -32600,
                "invalid_request",
            ),
            ("{\"jsonrpc\":\"2.0\",\"method\":\"rpc.discover\"}", -32600, "invalid_request"),
            ("{\"id\":1,\"method\":\"rpc.discover\"}", -32600, "invalid_request"),
            ("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"nothing\"}", -32601, "method_not_found"),
            (
                "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"message.status\",\"params\":{\"uid\":1}}",
                -32602,
                "invalid_params",
            ),
            (
                "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"message.status\",\"params\":[1,2]}",
                -32602,
                "invalid_params",
            ),
        ] {
            let (answer, outcome) = call(body).await;
            assert_eq!(answer["error"]["code"], code, "{body}");
            assert_eq!(answer["error"]["data"]["kind"], word, "{body}");
            assert!(outcome.malformed.is_some(), "{body}");
        }
    }

    #[tokio::test]
    async fn discover_lists_what_is_registered() {
        let (answer, _) = call(r#"{"jsonrpc":"2.0","id":1,"method":"rpc.discover"}"#).await;
        let mut described: Vec<&str> = answer["result"]["methods"]
            .as_array()
            .unwrap()
            .iter()
            .map(|method| method["name"].as_str().unwrap())
            .collect();
        let methods = crate::methods(Echo);
        let mut registered: Vec<&str> = methods.method_names().collect();
        described.sort_unstable();
        registered.sort_unstable();
        assert_eq!(described, registered);
    }

    #[tokio::test]
    async fn without_identity_nothing_runs() {
        let methods = crate::methods(Echo);
        let (answer, _) = methods
            .raw_json_request(r#"{"jsonrpc":"2.0","id":1,"method":"rpc.discover"}"#, 1)
            .await
            .unwrap();
        assert!(answer.get().contains("not authenticated"), "{answer}");
    }
}
