//! `wabridge erase DATABASE PERSON`.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, bail};
use wabridge_domain::recipient::Recipient;
use wabridge_store::odoo::audit_log::{self, Entry};
use wabridge_store::odoo::configuration;

use crate::config::Config;
use crate::erase::{self, Whom};

pub async fn run(config: &Config, database: &str, person: &str) -> anyhow::Result<ExitCode> {
    let rt = super::runtime(config, Some(database))?;
    let names = match Recipient::parse(person, None) {
        Ok(Recipient::Phone(number)) => vec![number.digits().to_owned()],
        Ok(Recipient::Chat(id)) if id.ends_with("@g.us") => {
            bail!("a group is no person; name the person's number or chat id")
        }
        Ok(Recipient::Chat(id)) => vec![id],
        Err(refusal) => bail!("{refusal}"),
    };
    let began = Instant::now();
    let context = || format!("database {database}");
    let accounts = configuration::all(&rt.store).await.with_context(context)?;
    let accounts: Vec<i32> = accounts.iter().map(|account| account.id).collect();
    let done = erase::run(&rt, &accounts, &Whom::Names(names)).await;
    let entry = Entry {
        operation: wabridge_rpc::erase::ERASE.name,
        success: done.is_ok(),
        response_time_ms: began.elapsed().as_secs_f64() * 1000.0,
        error_message: done.as_ref().err().map(|_| "wabridge erase failed"),
        ..Entry::default()
    };
    let client = rt.store.client().await.with_context(context)?;
    audit_log::insert(&client, &entry).await.with_context(context)?;
    let Some(counts) = done.with_context(context)? else {
        println!("database {database}: nothing is known of this person");
        return Ok(ExitCode::SUCCESS);
    };
    if counts.is_empty() {
        println!("database {database}: nothing (more) is known of this person");
    }
    for (table, rows) in &counts {
        println!("{table}: {rows} rows deleted or emptied");
    }
    println!(
        "Odoo's own records were not touched: the partner, answers posted in the chatter of documents, open wizards (Odoo forgets these within a day). \
         Backups and the provider's own history hold the person still; who writes again, or is brought by a synchronisation, is stored again"
    );
    Ok(ExitCode::SUCCESS)
}
