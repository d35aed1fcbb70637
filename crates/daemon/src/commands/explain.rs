//! `wabridge explain MESSAGE`: the life of one message in plain words.

use std::process::ExitCode;

use anyhow::{Context, bail};
use serde_json::{Map, Value};
use wabridge_rpc::explain::{Step, StepKind};
use wabridge_store::explain as store;

use crate::config::Config;
use crate::explain;

/// `message` is a row id or the provider's id.
pub async fn run(
    config: &Config,
    message: &str,
    database: Option<&str>,
) -> anyhow::Result<ExitCode> {
    let rt = super::runtime(config, database)?;
    let client = rt.store.client().await.with_context(|| format!("database {}", rt.name))?;
    let found = match message.parse::<i32>() {
        Ok(id) => store::message(&client, id).await?,
        Err(_) => None,
    };
    let found = match found {
        Some(found) => found,
        None => match store::by_provider_id(&client, message).await?[..] {
            [] => bail!(
                "database {}: no message has the row id or provider's id {message:?}",
                rt.name
            ),
            [(id, _)] => {
                store::message(&client, id).await?.context("the message went meanwhile")?
            }
            ref several => {
                let rows: Vec<String> = several
                    .iter()
                    .map(|(id, account)| format!("{id} (account {account})"))
                    .collect();
                bail!(
                    "several accounts have a message {message:?}; name a row: {}",
                    rows.join(", ")
                )
            }
        },
    };
    drop(client);
    println!(
        "message {}, {} of account {}, chat {}, at the provider {}",
        found.id,
        found.direction.as_deref().unwrap_or("of unknown direction"),
        found.configuration_id,
        found.chat_id.as_deref().unwrap_or("not known yet"),
        found.message_id.as_deref().unwrap_or("not known yet"),
    );
    for step in explain::steps(&rt.store, &found).await? {
        let at = step.at.map_or_else(
            || "now".to_owned(),
            |at| at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        );
        println!("  {at:<24}  {}", sentence(&step));
    }
    Ok(ExitCode::SUCCESS)
}

/// One English sentence.
fn sentence(step: &Step) -> String {
    let p = |name: &str| value(&step.parameters, name);
    let next_try = || {
        if step.parameters.get("retry_s").is_some_and(|retry| !retry.is_null()) {
            format!("; next try after {} s", p("retry_s"))
        } else {
            String::new()
        }
    };
    match step.kind {
        StepKind::Received => format!(
            "received from {} as webhook {} of the journal, verified by {}",
            p("provider"),
            p("journal_id"),
            p("verified_by")
        ),
        StepKind::ReceivedBefore => {
            format!("received from {}; its webhook is not in the journal (any more)", p("provider"))
        }
        StepKind::SetAside => format!(
            "could not be applied at once, Odoo's tables were busy or did not fit: stored {} s after it was received",
            p("seconds")
        ),
        StepKind::TypedOnPhone => "was typed on the account's phone".into(),
        StepKind::SentElsewhere => "was sent by another program with the same account".into(),
        StepKind::QueuedByCall => {
            format!("user {} asked for it by call {}; queued", p("user_id"), p("request_id"))
        }
        StepKind::QueuedByTransaction => format!(
            "a transaction of Odoo asked for it, for user {}; queued when that was committed",
            p("user_id")
        ),
        StepKind::AccountByDefault => {
            format!("the caller named no account, account {} was taken", p("configuration_id"))
        }
        StepKind::WaitedForChat => {
            format!("waited until {} earlier messages of this chat were dealt with", p("messages"))
        }
        StepKind::AccountPaused => {
            format!("the account paused for {} s: {}", p("seconds"), reason(&p("reason")))
        }
        StepKind::Waited => format!("waited {} s in all before its first call", p("seconds")),
        StepKind::AttemptOpen => {
            format!("attempt {} was handed to the provider; no answer yet", p("number"))
        }
        StepKind::AttemptAccepted => format!(
            "attempt {} was accepted after {} ms, as {}",
            p("number"),
            p("latency_ms"),
            p("provider_message_id")
        ),
        StepKind::AttemptNotSent => format!(
            "attempt {} did not reach the provider: {}{}",
            p("number"),
            p("error_message"),
            next_try()
        ),
        StepKind::AttemptNotAccepted => format!(
            "attempt {} was not taken by the provider: {}{}",
            p("number"),
            p("error_message"),
            next_try()
        ),
        StepKind::AttemptRateLimited => format!(
            "attempt {}: the provider asked to slow down: {}{}",
            p("number"),
            p("error_message"),
            next_try()
        ),
        StepKind::AttemptAccountDown => {
            format!("attempt {}: the account could not send: {}", p("number"), p("error_message"))
        }
        StepKind::AttemptRefused => format!(
            "attempt {} was refused ({}): {}",
            p("number"),
            p("error_kind"),
            p("error_message")
        ),
        StepKind::AttemptUncertain => format!(
            "attempt {}: it is not known whether the provider took it: {}",
            p("number"),
            p("error_message")
        ),
        StepKind::SettledAccepted => format!(
            "settled: the provider's own words showed that it had taken it, as {}",
            p("provider_message_id")
        ),
        StepKind::SettledUnknown => format!(
            "nothing showed what became of attempt {}; the account's policy decided",
            p("number")
        ),
        StepKind::EchoParked => {
            format!(
                "the provider's copy came first and waited {} s for our own answer",
                p("seconds")
            )
        }
        StepKind::EarlyJoined => {
            format!("words about it that had come {} s before were joined with it", p("seconds"))
        }
        StepKind::StatusPending => "pending at the provider".into(),
        StepKind::StatusSent => "sent".into(),
        StepKind::StatusDelivered => "delivered".into(),
        StepKind::StatusRead => "read".into(),
        StepKind::StatusPlayed => "played".into(),
        StepKind::StatusFailed => {
            format!("failed ({}): {}", p("error_code"), p("error_message"))
        }
        StepKind::StatusUncertain => "uncertain from here on".into(),
        StepKind::StatusCancelled => "cancelled".into(),
        StepKind::StatusDeleted => "deleted".into(),
        StepKind::MembersDelivered => {
            format!("delivered to {} members of the group by now", p("count"))
        }
        StepKind::MembersRead => format!("read by {} members of the group by now", p("count")),
        StepKind::MembersPlayed => format!("played by {} members of the group by now", p("count")),
        StepKind::MembersFailed => {
            format!("not delivered to {} members of the group", p("count"))
        }
        StepKind::Edited => format!("its author changed the text (change {})", p("revision")),
        StepKind::MediaWaiting => "its file is still to be fetched".into(),
        StepKind::MediaReady => {
            format!("its file is here: {}, {} bytes", p("mimetype"), p("bytes"))
        }
        StepKind::MediaFailed => format!("its file could not be fetched: {}", p("reason")),
        StepKind::MediaRefused => format!("its file was refused: {}", p("reason")),
        StepKind::HandlersWaiting => {
            format!("Odoo's handlers are still to run for it ({})", p("event"))
        }
        StepKind::HandlersRan => format!("Odoo's handlers ran for it ({})", p("event")),
        StepKind::HandlersFailed => format!(
            "Odoo's handlers failed {} times and were given up ({})",
            p("attempts"),
            p("event")
        ),
        StepKind::WaitsForTime => format!("waits until it is due: {}", p("until")),
        StepKind::WaitsForChat => "waits for an earlier message of this chat".into(),
        StepKind::WaitsForAccount => {
            format!("waits for its account until {}: {}", p("until"), reason(&p("reason")))
        }
        StepKind::WaitsForSettling => "is being settled: did the provider take it or not?".into(),
        StepKind::WaitsForTurn => "waits for its turn".into(),
    }
}

fn reason(word: &str) -> String {
    match word {
        "rate_limited" => "the provider asked to slow down".into(),
        "account_down" => "it could not send".into(),
        other => other.to_owned(),
    }
}

fn value(parameters: &Map<String, Value>, name: &str) -> String {
    match parameters.get(name) {
        None | Some(Value::Null) => "not known".to_owned(),
        Some(Value::String(text)) => super::journal::printable(text),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_names_all_that_it_knows() {
        for kind in StepKind::ALL {
            let parameters: Map<String, Value> = kind
                .parameters()
                .iter()
                .map(|name| ((*name).to_owned(), Value::String(format!("<{name}>"))))
                .collect();
            let text = sentence(&Step { at: None, kind: *kind, parameters });
            assert!(!text.contains("not known") || *kind == StepKind::AttemptUncertain, "{text}");
        }
    }
}
