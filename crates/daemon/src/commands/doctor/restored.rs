//! What is missing where a database was restored without the rest: sealing keys, files, the decision who sends.

use std::collections::BTreeMap;
use std::path::Path;

use wabridge_store::seal::{key, value};
use wabridge_store::{StoreError, health, media};

use super::Report;
use crate::runtime::Runtime;

/// Files that are looked for at a time, and accounts that are named in one line.
const PAGE: i64 = 5000;
const NAMED: usize = 20;

/// What waits in a copy: whoever adopts it sends that.
pub(super) async fn waiting(rt: &Runtime) -> Result<String, StoreError> {
    let found = health::waiting(&rt.store).await?;
    let newest = found
        .newest_webhook
        .map_or_else(|| "no webhook".to_owned(), |at| format!("its newest webhook of {at:.0}"));
    Ok(format!(
        "it holds {} messages that would be sent, {} whose outcome is unknown, and {newest}; what happened after that is not known here",
        found.queued, found.uncertain
    ))
}

/// The keys that something is sealed with, held against those of the settings.
pub(super) async fn keys(report: &mut Report, rt: &Runtime, name: &str) -> Result<(), StoreError> {
    let what = format!("{name}, keys");
    let client = rt.store.client().await?;
    let (counts, known) = (value::counts(&client).await?, key::all(&client).await?);
    let held = rt.keys.held();
    let mut accounts: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let read = rt.accounts();
    for account in read.iter() {
        for lost in &account.lost {
            let said = format!("{} \"{}\"", account.id, account.name);
            let of = accounts.entry(lost.key_id.as_str()).or_default();
            if !of.contains(&said) {
                of.push(said);
            }
        }
    }
    let mut well = true;
    for count in counts.iter().filter(|count| count.total() > 0) {
        let id = count.key_id.as_str();
        let here = held.iter().find(|(held, _)| held == id);
        let other = here.is_some_and(|(_, print)| {
            known.iter().any(|key| key.key_id == id && key.fingerprint != *print)
        });
        if here.is_some() && !other {
            continue;
        }
        well = false;
        let which = accounts.get(id).map_or_else(String::new, |all| {
            let more = all.len().saturating_sub(NAMED);
            let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!(" of account {}{rest}", all[..all.len() - more].join(", "))
        });
        let cause = if other {
            format!(
                "sealing key {id} of the settings is not the one that this database was sealed with"
            )
        } else {
            format!("sealing key {id} is not in the settings")
        };
        report.fail(
            &what,
            format!(
                "{cause}: {} credentials{which}, {} files and {} audit keys cannot be opened; fetch the key from where it is kept apart from the backups and give it as sealing_keys.{id}, or, if it is lost for good, see \"A lost sealing key\" in OPERATIONS.md",
                count.credentials, count.files, count.audit_keys
            ),
        );
    }
    if well {
        report.ok(&what, "everything that is sealed can be opened");
    }
    Ok(())
}

/// The files that the database names, held against the directory.
pub(super) async fn files(
    report: &mut Report,
    rt: &Runtime,
    name: &str,
    directory: &Path,
) -> Result<(), StoreError> {
    let what = format!("{name}, files");
    let client = rt.store.client().await?;
    let (mut after, mut all, mut missing, mut closed) = (String::new(), 0_u64, 0_u64, None);
    loop {
        let page = media::places(&client, &after, PAGE).await?;
        for (checksum, location) in &page {
            all += 1;
            match std::fs::metadata(directory.join(location)) {
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => missing += 1,
                Err(error) => closed = Some(error),
            }
            after.clone_from(checksum);
        }
        if page.is_empty() {
            break;
        }
    }
    let path = directory.display();
    if let Some(error) = closed {
        report.fail(
            &what,
            format!("files in {path} cannot be looked at ({error}): say this as the daemon's user"),
        );
    } else if missing > 0 {
        report.fail(
            &what,
            format!("{missing} of {all} files are not in media.directory {path}: put its backup there, made after that of the database; \"Fetch again\" on a file asks the provider, as long as it keeps it"),
        );
    } else if all > 0 {
        report.ok(&what, format!("{all} files are where the database says"));
    }
    Ok(())
}
