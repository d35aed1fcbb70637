//! `wabridge drop DATABASE`: takes schema `wabridge` away, after the addon was uninstalled.

use std::io::{BufRead, Write};

use anyhow::{Context, bail};
use wabridge_store::removal::{self, Found};
use wabridge_store::{Database, StoreError, meta};

use crate::audit::words;
use crate::config::Config;

/// What was said on the command line.
#[derive(Debug, Clone, Copy)]
pub struct Said {
    /// Do not ask.
    pub yes: bool,
    /// Though the addon is installed or a daemon serves the database.
    pub force: bool,
}

pub async fn run(config: &Config, name: &str, said: Said) -> anyhow::Result<()> {
    let store = super::open(config, name)?;
    let context = || format!("database {name}");
    let found = {
        let client = store.client().await.with_context(context)?;
        removal::look(&client).await.with_context(context)?
    };
    if found.owner.is_none() {
        println!("database {name}: there is no schema wabridge, nothing is to be dropped");
        return rights(&store, &found).await.with_context(context);
    }
    check(name, &found, said.force)?;
    let folder = tell(config, name, &store, &found).await.with_context(context)?;
    if !said.yes && !agreed(name)? {
        bail!("database {name}: nothing was dropped");
    }
    if found.addon {
        // Odoo's table, and the last thing that the bridge says there.
        super::note(&store, words::DROP).await;
    }
    let done: Result<(), StoreError> =
        wabridge_store::tx!(&store, "removal.run", |tx| removal::run(tx).await);
    done.with_context(context)?;
    println!("database {name}: schema wabridge is gone");
    if let Some(folder) = folder {
        println!(
            "nobody can open the files in {folder} any more: remove the folder, unless a copy of this database is served, which reads the same files"
        );
    }
    println!(
        "take [databases.{name}] out of the settings, its section out of Odoo's odoo.ini, and the webhook's address out of the provider's settings"
    );
    rights(&store, &found).await.with_context(context)
}

/// What speaks against it, with the cure.
fn check(name: &str, found: &Found, force: bool) -> anyhow::Result<()> {
    let owner = found.owner.as_deref().unwrap_or_default();
    if !found.may_drop {
        bail!(
            "database {name}: schema wabridge belongs to role {owner}, and {} may not drop it (a restore gives everything to who restores): apply what `wabridge grants` prints, or say DROP SCHEMA wabridge CASCADE as {owner}",
            found.role
        );
    }
    if !found.dependents.is_empty() {
        bail!(
            "database {name}: these need tables of schema wabridge, drop them first: {}",
            found.dependents.join(", ")
        );
    }
    if force {
        return Ok(());
    }
    if found.addon {
        bail!(
            "database {name}: the addon whatsapp_integration is installed and cannot work without schema wabridge: say `wabridge export {name} FOLDER` to keep what was written, uninstall it in Odoo, then say this again; --force drops all the same, and makes every credential in its accounts unreadable"
        );
    }
    if found.connections > 0 {
        bail!(
            "database {name}: a daemon serves it ({} connections): stop it, or take [databases.{name}] out of its settings and restart it; --force drops all the same, the daemon then says that the database is unavailable",
            found.connections
        );
    }
    Ok(())
}

/// Says what goes; the folder of the sealed files, where there are some.
async fn tell(
    config: &Config,
    name: &str,
    store: &Database,
    found: &Found,
) -> Result<Option<String>, StoreError> {
    let mib = found.bytes / (1024 * 1024);
    println!(
        "database {name}: schema wabridge will be dropped: {} tables, {mib} MiB, with the journal of received webhooks, the queue, consents and the proof of the audit log",
        found.tables
    );
    let client = store.client().await?;
    let contents = match removal::contents(&client).await {
        Ok(contents) => contents,
        // Half of a schema, or one of an early version: it goes as it is.
        Err(StoreError::Schema(_)) => return Ok(None),
        Err(error) => return Err(error),
    };
    drop(client);
    if contents.waiting > 0 {
        println!(
            "{} messages wait to be sent or for their outcome: they never will be",
            contents.waiting
        );
    }
    if contents.unapplied > 0 {
        println!(
            "{} received webhooks are not (wholly) applied to Odoo: they are lost",
            contents.unapplied
        );
    }
    if found.addon {
        println!(
            "the addon stays: the credentials of all its accounts become unreadable and must be entered again after `wabridge migrate {name}`"
        );
    }
    if contents.files == 0 {
        return Ok(None);
    }
    let installation = meta::load(store).await?.installation_id;
    Ok(Some(config.media.directory.join(installation.to_string()).display().to_string()))
}

/// Asks for the database's name.
fn agreed(name: &str) -> anyhow::Result<bool> {
    print!("type the database's name to drop it: ");
    std::io::stdout().flush().context("the terminal")?;
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line).context("the terminal")?;
    if read == 0 {
        println!();
        bail!("nobody answered: say the name, or --yes where no terminal is");
    }
    Ok(line.trim() == name)
}

/// Says which rights are left, which only their giver can take back.
async fn rights(store: &Database, found: &Found) -> Result<(), StoreError> {
    let client = store.client().await?;
    let left = removal::rights_left(&client).await?;
    if left > 0 {
        println!(
            "role {} still has rights on {left} of Odoo's tables here: wabridge grants --take-back --role {} | psql -1 -d {}",
            found.role,
            found.role,
            store.dbname()
        );
    }
    Ok(())
}
