//! Body of `audit.verify`.

use jiff::Timestamp;
use wabridge_domain::Kind;
use wabridge_domain::audit::Head;
use wabridge_rpc::audit::{AuditApi, BrokenRow, VERIFY, Verified, VerifyParams};
use wabridge_rpc::{Answer, Failure, Identity};

use super::{Api, Done, Trace};
use crate::access;
use crate::audit::proof;

impl AuditApi for Api {
    async fn verify(
        &self,
        identity: Identity,
        params: VerifyParams,
    ) -> Result<Answer<Verified>, Failure> {
        let VerifyParams { uid, head } = params;
        self.run(identity, VERIFY.name, Trace::Row(VERIFY.name), uid, None, |ctx| async move {
            ctx.require_administrator()?;
            let head: Option<Head> = head
                .map(|head| head.parse())
                .transpose()
                .map_err(|error| Failure::new(Kind::InvalidContent, format!("head: {error}")))?;
            let report = proof::verify(&ctx.rt, head.as_ref())
                .await
                .map_err(|error| access::store_refusal(&ctx.rt, &error))?;
            let time = |us: i64| Timestamp::from_microsecond(us).ok();
            let data = Verified {
                intact: report.broken.is_none(),
                segments: report.segments,
                removed_segments: report.removed_segments,
                rows: report.rows,
                erased_fields: report.erased_fields,
                unsealed: report.unsealed,
                unsealed_since: report.unsealed_since.and_then(time),
                head: report.head.map(|head| head.to_string()),
                broken: report.broken.map(|broken| BrokenRow {
                    id: broken.row_id,
                    segment: broken.segment,
                    problem: broken.problem.as_str().to_owned(),
                    detail: broken.detail,
                }),
            };
            Ok(Done { data, account: None, provider: None })
        })
        .await
    }
}
