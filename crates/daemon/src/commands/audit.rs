//! `wabridge audit`: whether the audit log is as it was sealed.

use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;
use jiff::Timestamp;
use wabridge_domain::audit::Head;

use crate::audit::{proof, words};
use crate::config::Config;

#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Compare every sealed row with what was sealed; print the first one that is not as it was.
    Verify {
        /// A head that was logged before, <segment>:<mac>: tells whether the end was cut off.
        #[arg(long)]
        head: Option<Head>,
        /// Database of the settings; needed when there are several.
        #[arg(long)]
        database: Option<String>,
    },
    /// Begin a new audit key after the sealing key was lost for good.
    NewKey {
        /// Database of the settings; needed when there are several.
        #[arg(long)]
        database: Option<String>,
    },
}

pub async fn run(config: &Config, command: AuditCommand) -> anyhow::Result<ExitCode> {
    match command {
        AuditCommand::Verify { head, database } => {
            verify(config, head.as_ref(), database.as_deref()).await
        }
        AuditCommand::NewKey { database } => {
            let rt = super::runtime(config, database.as_deref())?;
            let id = proof::new_key(&rt).await?;
            super::note(&rt.store, words::NEW_KEY).await;
            println!("database {}: rows are sealed with audit key {id} from now on", rt.name);
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn verify(
    config: &Config,
    head: Option<&Head>,
    database: Option<&str>,
) -> anyhow::Result<ExitCode> {
    let rt = super::runtime(config, database)?;
    let report = proof::verify(&rt, head).await.with_context(|| format!("database {}", rt.name))?;
    println!(
        "{} rows in {} segments compared; the rows of {} segments are past their time and removed; {} fields emptied on request",
        report.rows, report.segments, report.removed_segments, report.erased_fields
    );
    if report.unsealed > 0 {
        let since = report
            .unsealed_since
            .and_then(|us| Timestamp::from_microsecond(us).ok())
            .map(|at| format!(", the oldest of {at}"))
            .unwrap_or_default();
        println!("{} rows are not sealed yet{since}: nothing is known of them", report.unsealed);
    }
    if let Some(head) = &report.head {
        println!("head {head}");
    }
    let Some(broken) = report.broken else {
        println!("every sealed row is as it was sealed");
        return Ok(ExitCode::SUCCESS);
    };
    let row = broken.row_id.map_or_else(String::new, |id| format!("row {id}: "));
    println!("{row}{}: {}", broken.problem.as_str(), broken.detail);
    Ok(ExitCode::FAILURE)
}
