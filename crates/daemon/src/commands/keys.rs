//! `wabridge keys`.

mod retire;
mod rotate;

pub use retire::retire;
pub use rotate::rotate;

use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Subcommand;
use uuid::Uuid;
use wabridge_domain::{Secret, seal};
use wabridge_store::migrations::{self, State};
use wabridge_store::odoo::audit_log::Entry;
use wabridge_store::seal::{key, replica, value};
use wabridge_store::{Database, meta};

use crate::config::Config;
use crate::runtime::Runtime;

#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Print a new random key (sealing key or RPC secret).
    Generate {
        /// Write it to this new file, mode 0600, instead of printing it.
        #[arg(long)]
        out: Option<PathBuf>,
    },
    /// Show the sealing keys: which one seals, which daemons hold them, what is sealed with them.
    #[command(alias = "status")]
    List {
        /// Database of the settings; needed when there are several.
        #[arg(long)]
        database: Option<String>,
    },
    /// Seal with a new key: wait until every daemon holds it, make it the active one, seal everything anew.
    Rotate {
        /// Database of the settings; needed when there are several.
        #[arg(long)]
        database: Option<String>,
        /// This key of the settings; default: a new one in sealing_keys_directory, or the only one that was never active.
        #[arg(long)]
        to: Option<String>,
        /// Seconds to wait for the daemons, and for rows that Odoo holds.
        #[arg(long, default_value_t = 120)]
        wait: u64,
    },
    /// Say that a key is not needed any more; refused while it is.
    Retire {
        key_id: String,
        /// Database of the settings; needed when there are several.
        #[arg(long)]
        database: Option<String>,
    },
}

/// Prints a new key, or writes it to a file that must not exist yet.
pub fn generate(out: Option<&Path>) -> anyhow::Result<()> {
    let key = seal::generate_key();
    let Some(path) = out else {
        println!("{}", key.expose());
        return Ok(());
    };
    write_key(path, &key)?;
    println!("a new key is in {}", path.display());
    Ok(())
}

/// Writes a key into a file that must not exist yet. Whoever watches the directory never sees half of it, and the
/// directory's owner, the daemon, can read it.
fn write_key(path: &Path, key: &Secret) -> anyhow::Result<()> {
    let directory = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => bail!("{} is no file", path.display()),
    };
    let name = path.file_name().with_context(|| format!("{} is no file", path.display()))?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(format!(".{}", std::process::id()));
    let draft = directory.join(hidden);
    let what = || path.display().to_string();
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)
        .with_context(what)?;
    let written = (|| -> anyhow::Result<()> {
        writeln!(file, "{}", key.expose())?;
        file.sync_all()?;
        let (owner, ours) = (std::fs::metadata(directory)?, file.metadata()?);
        if owner.uid() != ours.uid() || owner.gid() != ours.gid() {
            // Only root may; others say so themselves.
            if let Err(error) = fchown(&file, Some(owner.uid()), Some(owner.gid())) {
                eprintln!(
                    "note: the key's file is yours, not the directory's owner's ({error}): let the daemon read it"
                );
            }
        }
        // A link, unlike a rename, never takes the place of a file.
        std::fs::hard_link(&draft, path)
            .context("cannot be made (an existing key is never overwritten)")
    })();
    std::fs::remove_file(&draft).with_context(what)?;
    written.with_context(what)
}

/// One database with its keys, ready for a command.
struct Ready {
    rt: Arc<Runtime>,
    installation: Uuid,
}

impl Ready {
    async fn open(config: &Config, name: Option<&str>) -> anyhow::Result<Self> {
        let rt = super::runtime(config, name)?;
        let state =
            migrations::state(&rt.store).await.with_context(|| format!("database {}", rt.name))?;
        if !matches!(state, State::Current | State::Ahead(_)) {
            bail!(
                "database {0}: schema wabridge is not the one of this program; run `wabridge migrate {0}`",
                rt.name
            );
        }
        let installation = meta::load(&rt.store).await?.installation_id;
        Ok(Self { rt, installation })
    }

    fn store(&self) -> &Database {
        &self.rt.store
    }

    /// Leaves a row in the audit log.
    async fn record(&self, operation: &'static str, problem: Option<&str>) {
        let entry = Entry {
            operation,
            success: problem.is_none(),
            error_message: problem,
            ..Entry::default()
        };
        crate::audit::write(&self.rt, &entry).await;
    }
}

/// One line a key, then what is sealed with keys that are not here.
pub async fn list(config: &Config, name: Option<&str>) -> anyhow::Result<()> {
    let ready = Ready::open(config, name).await?;
    let client = ready.store().client().await?;
    let (known, counts) = (key::all(&client).await?, value::counts(&client).await?);
    let alive = replica::alive(&client).await?;
    let held = ready.rt.keys.held();
    println!("database {}: {} daemons are running", ready.rt.name, alive.len());
    let mut ids: Vec<&str> = known.iter().map(|key| key.key_id.as_str()).collect();
    ids.extend(held.iter().map(|(id, _)| id.as_str()));
    ids.extend(counts.iter().map(|count| count.key_id.as_str()));
    ids.sort_unstable();
    ids.dedup();
    for id in ids {
        let key = known.iter().find(|key| key.key_id == id);
        let word = match key {
            Some(key) if key.active => "active",
            Some(key) if key.retired_at.is_some() => "retired",
            Some(_) => "loaded",
            None => "new",
        };
        let here = match held.iter().find(|(held, _)| held == id) {
            Some((_, fingerprint)) if key.is_some_and(|key| key.fingerprint != *fingerprint) => {
                "here (ANOTHER KEY than the database knows)"
            }
            Some(_) => "here",
            None => "not in these settings",
        };
        let holders = alive.iter().filter(|replica| replica.knows(id)).count();
        let sealing = alive.iter().filter(|replica| replica.active == id).count();
        let count = counts.iter().find(|count| count.key_id == id);
        println!(
            "  {id}: {word}; {here}, held by {holders} daemons, {sealing} seal with it; {} credentials, {} files, {} audit keys",
            count.map_or(0, |count| count.credentials),
            count.map_or(0, |count| count.files),
            count.map_or(0, |count| count.audit_keys),
        );
    }
    Ok(())
}
