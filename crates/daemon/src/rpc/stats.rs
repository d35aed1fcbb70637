//! Body of `stats.summary`.

use jiff::ToSpan;
use jiff::tz::TimeZone;
use wabridge_domain::Kind;
use wabridge_rpc::stats::{AccountSummary, MOST_DAYS, SUMMARY, StatsApi, Summary, SummaryParams};
use wabridge_rpc::{Answer, Failure, Identity};
use wabridge_store::odoo::message_count::{self, Figures};
use wabridge_store::{StoreError, read};

use super::{Api, Done, Trace};
use crate::access;

impl StatsApi for Api {
    async fn summary(
        &self,
        identity: Identity,
        params: SummaryParams,
    ) -> Result<Answer<Summary>, Failure> {
        let SummaryParams { uid, configuration_id, days } = params;
        let name = SUMMARY.name;
        self.run(identity, name, Trace::Nothing, uid, configuration_id, |ctx| async move {
            let accounts = access::accounts_for(&ctx.user, configuration_id)?;
            if !(1..=MOST_DAYS).contains(&days) {
                let why = format!("days goes from 1 to {MOST_DAYS}");
                return Err(Failure::new(Kind::InvalidContent, why));
            }
            let rt = &ctx.rt;
            let today = TimeZone::UTC.to_datetime(rt.clock.now()).date();
            let first = today.saturating_sub((i64::from(days) - 1).days());
            let (first_day, last_day) = (first.to_string(), today.to_string());
            let found: Result<Vec<Figures>, StoreError> =
                read!(&rt.store, "stats.summary", |client| {
                    message_count::figures(client, &accounts, &first_day, &last_day).await
                });
            let found = found.map_err(|error| access::store_refusal(rt, &error))?;
            let account = configuration_id
                .and_then(|id| rt.accounts().get(id).map(|account| (account.id, account.provider)));
            let accounts = found.into_iter().map(shown).collect();
            Ok(Done {
                data: Summary { first_day, last_day, accounts },
                account,
                provider: account.map(|(_, provider)| provider),
            })
        })
        .await
    }
}

fn shown(figures: Figures) -> AccountSummary {
    let Figures {
        configuration_id,
        state,
        received,
        sent,
        delivered,
        read,
        failed,
        waiting,
        oldest_waiting_at,
        sent_today,
        daily_limit,
        counted_at,
    } = figures;
    AccountSummary {
        configuration_id,
        state,
        received,
        sent,
        delivered,
        read,
        failed,
        waiting,
        oldest_waiting_at,
        sent_today,
        daily_limit,
        counted_at,
    }
}
