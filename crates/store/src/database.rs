//! Connections of one Odoo database, and transactions on them.

use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime, Transaction,
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::StoreError;

/// A transaction; dropped without commit it is rolled back.
pub type Tx<'a> = Transaction<'a>;

/// A connection outside the pool that prepares statements once, see [`Database::session`].
pub type Session = deadpool_postgres::ClientWrapper;

/// Time-outs and sizes of one database's connections.
#[derive(Debug, Clone)]
pub struct Options {
    /// Connections in the pool; batchers, claimers and listeners hold their own beside it.
    pub pool_size: usize,
    pub connect_timeout: Duration,
    /// How long a caller waits for a free connection.
    pub wait_timeout: Duration,
    pub lock_timeout: Duration,
    pub statement_timeout: Duration,
    pub idle_in_transaction_timeout: Duration,
}

/// How long no connection is made after one was found cut.
const QUIET_AFTER_CUT: Duration = Duration::from_secs(2);

impl Default for Options {
    fn default() -> Self {
        Self {
            pool_size: 8,
            connect_timeout: Duration::from_secs(5),
            wait_timeout: Duration::from_secs(5),
            lock_timeout: Duration::from_secs(2),
            statement_timeout: Duration::from_secs(10),
            idle_in_transaction_timeout: Duration::from_secs(30),
        }
    }
}

/// The connections of one Odoo database. Cloning is cheap and shares the pool.
#[derive(Clone)]
pub struct Database {
    name: String,
    pool: Pool,
    config: tokio_postgres::Config,
    tls: MakeRustlsConnect,
    quiet_until: Arc<Mutex<Option<tokio::time::Instant>>>,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A connection outside the pool, for a batcher, a listener or a lock that lives long.
pub struct Dedicated {
    pub client: tokio_postgres::Client,
    /// Notifications and the end of the connection arrive here.
    pub connection: tokio::sync::mpsc::Receiver<tokio_postgres::Notification>,
}

/// When a connection of this process last met a table that was altered under its plans.
static STALE_SINCE: Mutex<Option<std::time::Instant>> = Mutex::new(None);

/// A plan did not fit its table any more: connections that are older than this are not used again.
pub(crate) fn plans_are_stale() {
    *STALE_SINCE.lock().expect("no holder of this lock can panic") =
        Some(std::time::Instant::now());
}

impl Database {
    /// Prepares connections to `url` (`postgresql://user:password@host:port/database?sslmode=…`); connects lazily.
    ///
    /// # Errors
    /// [`StoreError::Other`] when the URL is malformed; the text never holds the password.
    pub fn new(
        name: &str,
        url: &str,
        password: Option<&str>,
        options: &Options,
    ) -> Result<Self, StoreError> {
        let mut config = tokio_postgres::Config::from_str(url).map_err(|error| {
            StoreError::Other(format!("the database URL is malformed: {error}"))
        })?;
        if let Some(password) = password {
            config.password(password);
        }
        if config.get_dbname().is_none() {
            config.dbname(name);
        }
        config.application_name("wabridge");
        config.connect_timeout(options.connect_timeout);
        config.keepalives(true);
        config.keepalives_idle(Duration::from_secs(30));
        config.options(session_options(options));
        let tls = MakeRustlsConnect::new(tls_config()?);
        let manager = Manager::from_config(
            config.clone(),
            tls.clone(),
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let quiet_until: Arc<Mutex<Option<tokio::time::Instant>>> = Arc::default();
        let quiet = Arc::clone(&quiet_until);
        let pool = Pool::builder(manager)
            .max_size(options.pool_size)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(options.wait_timeout))
            .create_timeout(Some(options.connect_timeout))
            .pre_recycle(Hook::sync_fn(move |client, metrics| {
                if client.is_closed() {
                    // Somebody ended it: see `keep_quiet`. Whoever asked gets its turn after the quiet time.
                    hush(&quiet);
                    return Err(HookError::message("closed"));
                }
                // The addon was upgraded: plans of older connections are of tables as they were before.
                match *STALE_SINCE.lock().expect("no holder of this lock can panic") {
                    Some(since) if metrics.created < since => {
                        Err(HookError::message("its plans are stale"))
                    }
                    _ => Ok(()),
                }
            }))
            .build()
            .map_err(|error| StoreError::Other(error.to_string()))?;
        Ok(Self { name: name.to_owned(), pool, config, tls, quiet_until })
    }

    /// The name in the settings, which is the Odoo database's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of the PostgreSQL database.
    pub fn dbname(&self) -> &str {
        self.config.get_dbname().unwrap_or(&self.name)
    }

    /// A pooled connection, for single statements.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn client(&self) -> Result<deadpool_postgres::Client, StoreError> {
        self.check_quiet()?;
        let client = self.pool.get().await?;
        if let Err(quiet) = self.check_quiet() {
            // It was being made when the others were ended: idle in the pool it would stay in the way.
            drop(deadpool_postgres::Object::take(client));
            return Err(quiet);
        }
        Ok(client)
    }

    /// A connection of one's own outside the pool, with its cache of prepared statements: for batchers and
    /// sweepers. It lives until it is dropped.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn session(&self) -> Result<Session, StoreError> {
        Ok(deadpool_postgres::Object::take(self.client().await?))
    }

    /// Opens a connection outside the pool. It lives until the client is dropped.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn dedicated(&self) -> Result<Dedicated, StoreError> {
        self.connect(self.config.clone()).await
    }

    /// A connection to the database `postgres` of the same cluster, where Odoo listens for its bus.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn dedicated_to_postgres(&self) -> Result<Dedicated, StoreError> {
        let mut config = self.config.clone();
        config.dbname("postgres");
        self.connect(config).await
    }

    async fn connect(&self, config: tokio_postgres::Config) -> Result<Dedicated, StoreError> {
        self.check_quiet()?;
        let (client, mut connection) = config
            .connect(self.tls.clone())
            .await
            .map_err(|error| StoreError::Unavailable(describe(&error)))?;
        self.check_quiet()?;
        let (sender, receiver) = tokio::sync::mpsc::channel(64);
        let quiet = Arc::clone(&self.quiet_until);
        tokio::spawn(async move {
            loop {
                let message = futures_util::future::poll_fn(|cx| connection.poll_message(cx)).await;
                match message {
                    Some(Ok(tokio_postgres::AsyncMessage::Notification(notification))) => {
                        // A full channel means a wake-up is waiting already: a hint may be dropped.
                        if let Err(tokio::sync::mpsc::error::TrySendError::Closed(_)) =
                            sender.try_send(notification)
                        {
                            tracing::trace!("nobody listens to this connection's notifications");
                        }
                    }
                    Some(Ok(_)) => {}
                    // Cut by the server: nobody comes back before whoever did it had a moment. Set here, before
                    // anybody can notice the end; the client's next statement reports it.
                    Some(Err(_)) => {
                        hush(&quiet);
                        break;
                    }
                    None => break,
                }
            }
        });
        Ok(Dedicated { client, connection: receiver })
    }

    /// Makes no new connection for `time`: somebody ended ours, perhaps to copy or drop the database, and
    /// needs a moment in which nobody comes back.
    pub fn keep_quiet(&self, time: Duration) {
        *self.quiet_until.lock().expect("no holder of this lock can panic") =
            Some(tokio::time::Instant::now() + time);
        self.release();
    }

    fn check_quiet(&self) -> Result<(), StoreError> {
        let until = *self.quiet_until.lock().expect("no holder of this lock can panic");
        match until {
            Some(until) if tokio::time::Instant::now() < until => Err(StoreError::Unavailable(
                "the server ended our connections; they are made again in a moment".into(),
            )),
            _ => Ok(()),
        }
    }

    /// Lets go of idle connections; new ones are made when they are asked for.
    pub fn release(&self) {
        self.pool.retain(|_, _| false);
    }

    /// Closes the pool: connections end, later calls fail.
    pub fn close(&self) {
        self.pool.close();
    }

    /// (connections in use, connections open, limit).
    pub fn pool_status(&self) -> (usize, usize, usize) {
        let status = self.pool.status();
        (status.size.saturating_sub(status.available), status.size, status.max_size)
    }
}

/// Begins a quiet time, unless one was begun a moment ago: the connections cut together are found one by one.
fn hush(quiet: &Mutex<Option<tokio::time::Instant>>) {
    let mut until = quiet.lock().expect("no holder of this lock can panic");
    let now = tokio::time::Instant::now();
    if until.is_none_or(|until| until + QUIET_AFTER_CUT < now) {
        *until = Some(now + QUIET_AFTER_CUT);
    }
}

/// The text of a connection error with its cause and without the password (tokio-postgres never prints it).
fn describe(error: &tokio_postgres::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// How often a transaction that met a conflict is run again.
pub const TX_ATTEMPTS: u32 = 5;

/// Errors that [`crate::tx!`] can tell apart.
pub trait Conflict {
    /// True where running the transaction again may succeed.
    fn conflict(&self) -> bool;
}

impl Conflict for StoreError {
    fn conflict(&self) -> bool {
        matches!(self, StoreError::Busy(_))
    }
}

/// Waits a little before a transaction is run again.
pub async fn before_retry(database: &Database, name: &'static str, attempt: u32) {
    tracing::debug!(
        db.name = %database.name, tx.name = name, tx.attempt = attempt,
        "transaction {name} met a conflict and is run again"
    );
    tokio::time::sleep(Duration::from_millis(20 * u64::from(attempt))).await;
}

/// Runs a body in a transaction and commits: `tx!(database, "table.verb", |tx| async_body)`.
///
/// The body is an expression of type `Result<T, E>` that may use `?` and `.await`; `E` is made from
/// [`StoreError`] and tells conflicts ([`Conflict`]). Conflicts (deadlock, serialization, lock time-out) run
/// it again up to [`TX_ATTEMPTS`] times, so it does nothing outside the database. The name labels the log.
///
/// A macro and not a function: the future of an asynchronous closure that borrows cannot be shown to be `Send`.
#[macro_export]
macro_rules! tx {
    ($database:expr, $name:literal, |$tx:ident| $body:expr) => {{
        let database: &$crate::Database = $database;
        let mut attempt = 1;
        loop {
            let result = async {
                let mut client = database.client().await?;
                let transaction = client.transaction().await.map_err($crate::StoreError::from)?;
                let $tx = &transaction;
                let value = async { $body }.await?;
                transaction.commit().await.map_err($crate::StoreError::from)?;
                Ok(value)
            }
            .await;
            match result {
                Err(error)
                    if $crate::database::Conflict::conflict(&error)
                        && attempt < $crate::database::TX_ATTEMPTS =>
                {
                    $crate::database::before_retry(database, $name, attempt).await;
                    attempt += 1;
                }
                other => break other,
            }
        }
    }};
}

/// Runs a body that only reads on a connection: `read!(database, "table.verb", |client| async_body)`. As
/// [`crate::tx!`], conflicts run it again.
#[macro_export]
macro_rules! read {
    ($database:expr, $name:literal, |$client:ident| $body:expr) => {{
        let database: &$crate::Database = $database;
        let mut attempt = 1;
        loop {
            let result = async {
                let connection = database.client().await?;
                let $client = &connection;
                let value = async { $body }.await?;
                Ok(value)
            }
            .await;
            match result {
                Err(error)
                    if $crate::database::Conflict::conflict(&error)
                        && attempt < $crate::database::TX_ATTEMPTS =>
                {
                    $crate::database::before_retry(database, $name, attempt).await;
                    attempt += 1;
                }
                other => break other,
            }
        }
    }};
}

fn session_options(options: &Options) -> String {
    // synchronous_commit is forced: "answered 200" must mean "on disk", whatever the server's default is.
    format!(
        "-c synchronous_commit=on -c lock_timeout={} -c statement_timeout={} -c idle_in_transaction_session_timeout={} -c search_path=wabridge,public -c timezone=UTC -c client_min_messages=warning",
        options.lock_timeout.as_millis(),
        options.statement_timeout.as_millis(),
        options.idle_in_transaction_timeout.as_millis(),
    )
}

fn tls_config() -> Result<rustls::ClientConfig, StoreError> {
    use rustls_platform_verifier::ConfigVerifierExt;
    rustls::ClientConfig::with_platform_verifier()
        .map_err(|error| StoreError::Other(format!("TLS cannot be set up: {error}")))
}
