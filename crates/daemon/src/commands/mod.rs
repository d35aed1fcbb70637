//! The command line. One module for what needs more than a few lines.

mod audit;
mod call;
mod doctor;
mod erase;
mod explain;
mod export;
mod journal;
mod keys;
mod removal;
mod show;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use tokio_util::sync::CancellationToken;
use wabridge_domain::Clock;
use wabridge_domain::clock::SystemClock;
use wabridge_store::odoo::audit_log::{self, Entry};
use wabridge_store::{meta, migrations, neutralize};

use crate::audit::words;
use crate::config::{self, Config};
use crate::runtime::Runtime;
use crate::serve;

/// WhatsApp bridge for Odoo.
#[derive(Debug, Parser)]
#[command(name = "wabridge", version, about)]
pub struct Cli {
    /// Settings file.
    #[arg(long, global = true, env = "WABRIDGE_CONFIG", default_value = config::DEFAULT_PATH)]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon.
    Serve,
    /// Create or upgrade schema wabridge; repeatable, never touches Odoo's tables.
    Migrate {
        /// Only this database of the settings.
        database: Option<String>,
    },
    /// Print the SQL that gives the daemon's role exactly what it needs.
    Grants {
        /// Database of the settings; only named in a comment, the SQL is the same for all.
        #[arg(long)]
        database: Option<String>,
        /// The daemon's role.
        #[arg(long, default_value = "wabridge")]
        role: String,
        /// Odoo's own role.
        #[arg(long, default_value = "odoo")]
        odoo_role: String,
        /// Print the SQL that takes back what the role was given in a database.
        #[arg(long)]
        take_back: bool,
    },
    /// Check settings, databases, addon, rights, keys, bus, providers, clock; one line each.
    Doctor,
    /// Settings.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Keys.
    Keys {
        #[command(subcommand)]
        command: keys::KeysCommand,
    },
    /// Make a signed call to the running daemon.
    Rpc {
        /// For example message.status
        method: String,
        /// The parameters, one JSON object.
        params: String,
        /// Database of the settings whose key signs; needed when there are several.
        #[arg(long)]
        database: Option<String>,
        /// Key id; default: the one that may act for any user.
        #[arg(long)]
        key: Option<String>,
        /// Where the daemon is; default: private.listen of the settings.
        #[arg(long)]
        url: Option<String>,
        /// PEM file of the authority that signed its certificate, where this machine does not know it.
        #[arg(long)]
        ca_file: Option<PathBuf>,
    },
    /// Tell the life of one message.
    Explain {
        /// Its row id, or the provider's id.
        message: String,
        /// Database of the settings; needed when there are several.
        #[arg(long)]
        database: Option<String>,
    },
    /// Received webhooks: look at them, replay them.
    Journal {
        #[command(subcommand)]
        command: journal::JournalCommand,
    },
    /// The audit log.
    Audit {
        #[command(subcommand)]
        command: audit::AuditCommand,
    },
    /// Erase a person: number, names, texts, files, webhooks. Messages stay as empty rows.
    Erase {
        database: String,
        /// A number with country code, or a chat id.
        person: String,
    },
    /// A copied or restored database is the live one from now on: send from it.
    Adopt { database: String },
    /// A copied or restored database shall stay harmless: drop its secrets, cancel what waits.
    Neutralize { database: String },
    /// Write all chats, messages, contacts, groups and files into a new folder, to be read without wabridge.
    Export {
        database: String,
        /// Must not exist yet.
        folder: PathBuf,
    },
    /// Remove schema wabridge, after the addon was uninstalled.
    Drop {
        database: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
        /// Though the addon is installed, or a daemon serves the database.
        #[arg(long)]
        force: bool,
    },
    /// Let go of a database for maintenance.
    Detach { database: String },
    /// Take a detached database back.
    Attach { database: String },
    /// Play the WhatsApp providers.
    Simulate {
        #[arg(long, default_value = "127.0.0.1:8480")]
        listen: SocketAddr,
        /// Accounts, people and groups, JSON.
        #[arg(long)]
        accounts: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Load and validate the settings, print them with secrets redacted.
    Check,
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// One line for the person in front of the terminal.
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        let load = || Config::load(&self.config);
        match self.command {
            Command::Serve => {
                let config = load()?;
                log(&config.log)?;
                serve::serve(config).await?;
            }
            Command::Migrate { database } => migrate(&load()?, database.as_deref()).await?,
            Command::Grants { database, role, odoo_role, take_back } => {
                if let Some(name) = database {
                    println!("-- To be run in database {name} by a superuser: psql -d {name}");
                }
                if take_back {
                    print!("{}", wabridge_store::grants::take_back(&role, &odoo_role));
                } else {
                    print!("{}", wabridge_store::grants::sql(&role, &odoo_role));
                }
            }
            Command::Doctor => return doctor::run(&self.config).await,
            Command::Config { command: ConfigCommand::Check } => {
                print!("{}", show::redacted(&load()?));
            }
            Command::Keys { command } => return keys_command(load, command).await,
            Command::Rpc { method, params, database, key, url, ca_file } => {
                let to = call::Where { url, ca_file };
                return call::run(
                    &load()?,
                    &method,
                    &params,
                    database.as_deref(),
                    key.as_deref(),
                    to,
                )
                .await;
            }
            Command::Explain { message, database } => {
                return explain::run(&load()?, &message, database.as_deref()).await;
            }
            Command::Journal { command } => return journal::run(&load()?, command).await,
            Command::Audit { command } => return audit::run(&load()?, command).await,
            Command::Erase { database, person } => {
                return erase::run(&load()?, &database, &person).await;
            }
            Command::Adopt { database } => adopt(&load()?, &database).await?,
            Command::Neutralize { database } => neutralize(&load()?, &database).await?,
            Command::Export { database, folder } => {
                return export::run(&load()?, &database, &folder).await;
            }
            Command::Drop { database, yes, force } => {
                removal::run(&load()?, &database, removal::Said { yes, force }).await?;
            }
            Command::Detach { database } => detach(&load()?, &database, true).await?,
            Command::Attach { database } => detach(&load()?, &database, false).await?,
            Command::Simulate { listen, accounts } => simulate(listen, accounts).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn keys_command(
    load: impl Fn() -> Result<Config, config::ConfigError>,
    command: keys::KeysCommand,
) -> anyhow::Result<ExitCode> {
    use keys::KeysCommand;
    match command {
        KeysCommand::Generate { out } => keys::generate(out.as_deref())?,
        KeysCommand::List { database } => keys::list(&load()?, database.as_deref()).await?,
        KeysCommand::Rotate { database, to, wait } => {
            let wait = std::time::Duration::from_secs(wait);
            return keys::rotate(&load()?, database.as_deref(), to.as_deref(), wait).await;
        }
        KeysCommand::Retire { key_id, database } => {
            keys::retire(&load()?, database.as_deref(), &key_id).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn log(settings: &config::Log) -> anyhow::Result<()> {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_new(&settings.filter)
        .with_context(|| format!("settings: log.filter: {:?} is no filter", settings.filter))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // Set without the bridge from the crate `log`: tokio-postgres writes the parameters of statements there,
    // which are texts, names and numbers of people.
    let set = match settings.format {
        config::LogFormat::Text => {
            tracing::subscriber::set_global_default(builder.with_ansi(false).finish())
        }
        config::LogFormat::Json => {
            tracing::subscriber::set_global_default(builder.json().flatten_event(true).finish())
        }
    };
    set.context("the log can be set up once only")
}

fn database<'a>(config: &'a Config, name: &str) -> anyhow::Result<&'a config::Database> {
    config.databases.get(name).with_context(|| {
        let known: Vec<&str> = config.databases.keys().map(String::as_str).collect();
        format!("database {name} is not in the settings; there are: {}", known.join(", "))
    })
}

/// One database, prepared as for the daemon but with no worker: the named one, or the only one of the settings.
fn runtime(config: &Config, name: Option<&str>) -> anyhow::Result<Arc<Runtime>> {
    let name = match name {
        Some(name) => name,
        None if config.databases.len() == 1 => {
            config.databases.keys().next().context("the settings were validated")?
        }
        None => bail!("the settings have several databases; name one with --database"),
    };
    database(config, name)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    serve::runtimes(config, &clock, &CancellationToken::new())?
        .remove(name)
        .context("each database of the settings is prepared")
}

fn open(config: &Config, name: &str) -> anyhow::Result<wabridge_store::Database> {
    serve::store(name, database(config, name)?)
}

async fn migrate(config: &Config, only: Option<&str>) -> anyhow::Result<()> {
    if let Some(name) = only {
        database(config, name)?;
    }
    for name in config.databases.keys().filter(|name| only.is_none_or(|only| only == *name)) {
        let ran = migrations::migrate(&open(config, name)?)
            .await
            .with_context(|| format!("database {name}: schema wabridge cannot be made (`wabridge grants` prints what its role needs)"))?;
        if ran.is_empty() {
            println!(
                "database {name}: schema wabridge is up to date (version {})",
                migrations::VERSION
            );
        } else {
            println!(
                "database {name}: schema wabridge is now version {} ({})",
                migrations::VERSION,
                ran.join(", ")
            );
        }
    }
    Ok(())
}

async fn adopt(config: &Config, name: &str) -> anyhow::Result<()> {
    let store = open(config, name)?;
    let here = meta::identity(&store).await.with_context(|| format!("database {name}"))?;
    meta::adopt(&store, &here)
        .await
        .with_context(|| format!("database {name}: schema wabridge"))?;
    note(&store, words::ADOPT).await;
    println!("database {name} is adopted: a running daemon sends from it within seconds");
    Ok(())
}

async fn neutralize(config: &Config, name: &str) -> anyhow::Result<()> {
    let store = open(config, name)?;
    let done: Result<_, wabridge_store::StoreError> =
        wabridge_store::tx!(&store, "neutralize", |tx| neutralize::run(tx).await);
    let done = done.with_context(|| format!("database {name}"))?;
    let here = meta::identity(&store).await?;
    meta::adopt(&store, &here).await?;
    note(&store, words::NEUTRALIZE).await;
    println!(
        "database {name} is neutralized: secrets of {} accounts dropped, {} waiting messages cancelled; new credentials are needed before it sends",
        done.accounts, done.cancelled
    );
    Ok(())
}

async fn detach(config: &Config, name: &str, detached: bool) -> anyhow::Result<()> {
    let store = open(config, name)?;
    meta::set_detached(&store, detached).await.with_context(|| format!("database {name}"))?;
    note(&store, if detached { words::DETACH } else { words::ATTACH }).await;
    if detached {
        println!(
            "database {name} is detached: a running daemon lets go of it within 5 s and answers its webhooks 503, so that providers repeat them"
        );
    } else {
        println!("database {name} is attached: a running daemon takes it back within seconds");
    }
    Ok(())
}

/// Leaves a row in the audit log of what was done from a terminal. It is done all the same where that fails.
async fn note(store: &wabridge_store::Database, operation: &str) {
    let entry = Entry { operation, success: true, ..Entry::default() };
    let written = async { audit_log::insert(&store.client().await?, &entry).await };
    if let Err(error) = written.await {
        eprintln!("database {}: the audit log has no row of this: {error}", store.name());
    }
}

async fn simulate(listen: SocketAddr, accounts: Option<PathBuf>) -> anyhow::Result<()> {
    log(&config::Log::default())?;
    let options = match accounts {
        Some(path) => wabridge_simulator::Options::from_file(&path)?,
        None => wabridge_simulator::Options::default(),
    };
    let listener = tokio::net::TcpListener::bind(listen).await.with_context(|| {
        format!("--listen {listen} cannot be opened; end what uses that port or give another")
    })?;
    let stop = CancellationToken::new();
    let signalled = stop.clone();
    tokio::spawn(async move {
        if let Err(error) = serve::wait_for_the_end().await {
            tracing::error!("{error}");
        }
        signalled.cancel();
    });
    tracing::info!("the simulator plays the providers on {listen}");
    wabridge_simulator::serve(listener, options, stop)
        .await
        .map_err(|error| anyhow::Error::new(error).context("the simulator cannot start"))?;
    Ok(())
}
