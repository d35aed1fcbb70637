//! A database shaped like Odoo's with the addon installed, dropped at the end of the test.

use std::path::Path;

use tokio_postgres::{Client, NoTls};

use crate::Cluster;

/// Which Odoo the tables come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Series {
    Odoo14,
    Odoo19,
}

impl Series {
    fn name(self) -> &'static str {
        match self {
            Self::Odoo14 => "odoo14",
            Self::Odoo19 => "odoo19",
        }
    }

    fn dump(self) -> String {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/{}.sql", self.name()));
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}

/// The role the daemon runs under in tests, as in production: least privilege, not the owner.
pub const ROLE: &str = "wabridge";

/// One throw-away database.
pub struct TestDatabase {
    pub name: String,
    /// As the daemon's role.
    pub url: String,
    /// As the owner of Odoo's tables.
    pub odoo_url: String,
    /// As the superuser, for looking and for faults.
    pub admin: Client,
    cluster: &'static Cluster,
}

impl TestDatabase {
    /// A fresh copy of the fixture, with the daemon's rights granted and schema `wabridge` migrated.
    pub async fn new(series: Series) -> Self {
        Self::on(Cluster::get(), series).await
    }

    /// As [`TestDatabase::new`], on a cluster that may be the test's own.
    pub async fn on(cluster: &'static Cluster, series: Series) -> Self {
        let database = Self::bare(cluster, series).await;
        let store = wabridge_store::Database::new(
            &database.name,
            &database.url,
            None,
            &wabridge_store::Options::default(),
        )
        .expect("the test's URL is well formed");
        wabridge_store::migrations::migrate(&store)
            .await
            .expect("schema wabridge can be made by the daemon's role");
        store.close();
        database
    }

    /// As [`TestDatabase::new`], without schema `wabridge`'s tables.
    pub async fn unmigrated(series: Series) -> Self {
        Self::bare(Cluster::get(), series).await
    }

    async fn bare(cluster: &'static Cluster, series: Series) -> Self {
        let template = template(cluster, series).await;
        let name = format!("t_{}", uuid::Uuid::new_v4().simple());
        let postgres = connect(&cluster.url("postgres", "postgres")).await;
        {
            // CREATE DATABASE … TEMPLATE refuses while another copy is being made.
            let _exclusive = cluster.exclusive("create").await;
            batch(&postgres, &format!("CREATE DATABASE {name} TEMPLATE {template} OWNER odoo"))
                .await;
        }
        Self::existing(cluster, name).await
    }

    /// One that is there; dropped like the others.
    pub async fn existing(cluster: &'static Cluster, name: String) -> Self {
        let admin = connect(&cluster.url("postgres", &name)).await;
        Self {
            url: cluster.url(ROLE, &name),
            odoo_url: cluster.url("odoo", &name),
            admin,
            name,
            cluster,
        }
    }

    /// A copy as Odoo makes it: ends all sessions, then `CREATE DATABASE … TEMPLATE`. The sessions of `self` end too
    /// and are opened again.
    ///
    /// # Errors
    /// PostgreSQL's, when somebody came back in between.
    pub async fn duplicate(&mut self) -> Result<Self, tokio_postgres::Error> {
        let postgres = connect(&self.cluster.url("odoo", "postgres")).await;
        let name = format!("t_{}", uuid::Uuid::new_v4().simple());
        let made = {
            let _exclusive = self.cluster.exclusive("create").await;
            self.leave().await;
            end_sessions(&postgres, &self.name).await?;
            postgres
                .batch_execute(&format!(
                    "CREATE DATABASE {name} ENCODING 'unicode' TEMPLATE {}",
                    self.name
                ))
                .await
        };
        self.admin = connect(&self.cluster.url("postgres", &self.name)).await;
        made?;
        Ok(Self::existing(self.cluster, name).await)
    }

    /// Drops it as Odoo does: ends all sessions, then `DROP DATABASE`.
    ///
    /// # Errors
    /// PostgreSQL's, when somebody came back in between.
    pub async fn drop_as_odoo(&self) -> Result<(), tokio_postgres::Error> {
        let postgres = connect(&self.cluster.url("odoo", "postgres")).await;
        self.leave().await;
        end_sessions(&postgres, &self.name).await?;
        postgres.batch_execute(&format!("DROP DATABASE {}", self.name)).await
    }

    /// Gives it another name; its sessions end first.
    pub async fn rename(&mut self) {
        let postgres = connect(&self.cluster.url("postgres", "postgres")).await;
        let name = format!("t_{}", uuid::Uuid::new_v4().simple());
        end_sessions(&postgres, &self.name).await.expect("a superuser may end sessions");
        batch(&postgres, &format!("ALTER DATABASE {} RENAME TO {name}", self.name)).await;
        self.admin = connect(&self.cluster.url("postgres", &name)).await;
        self.url = self.cluster.url(ROLE, &name);
        self.odoo_url = self.cluster.url("odoo", &name);
        self.name = name;
    }

    /// Another database with the same content, while nobody is connected to this one: see [`TestDatabase::leave`].
    pub async fn copy(&self) -> Self {
        let postgres = connect(&self.cluster.url("postgres", "postgres")).await;
        let name = format!("t_{}", uuid::Uuid::new_v4().simple());
        {
            let _exclusive = self.cluster.exclusive("create").await;
            let sql = format!("CREATE DATABASE {name} TEMPLATE {} OWNER odoo", self.name);
            batch(&postgres, &sql).await;
        }
        Self::existing(self.cluster, name).await
    }

    /// Ends the superuser's sessions, which Odoo's role may not end. [`TestDatabase::admin`] is of no use afterwards.
    pub async fn leave(&self) {
        let postgres = connect(&self.cluster.url("postgres", "postgres")).await;
        let sql = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
                   WHERE datname = $1 AND usename = 'postgres' AND pid <> pg_backend_pid()";
        postgres.execute(sql, &[&self.name]).await.expect("a superuser may end sessions");
    }

    /// Opens [`TestDatabase::admin`] again, after the server was away.
    pub async fn reconnect(&mut self) {
        self.admin = connect(&self.cluster.url("postgres", &self.name)).await;
    }

    /// A connection as Odoo's role.
    pub async fn odoo(&self) -> Client {
        connect(&self.odoo_url).await
    }

    /// A new connection as the superuser.
    pub async fn connect(&self) -> Client {
        connect(&self.cluster.url("postgres", &self.name)).await
    }

    /// One value of the first row and column, as text.
    pub async fn text(&self, sql: &str) -> Option<String> {
        let rows =
            self.admin.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        rows.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        })
    }

    /// One count.
    pub async fn count(&self, sql: &str) -> i64 {
        self.text(sql)
            .await
            .and_then(|text| text.parse().ok())
            .unwrap_or_else(|| panic!("no number: {sql}"))
    }

    /// What the server has logged of this database.
    pub fn log(&self) -> Vec<String> {
        self.cluster.log_of(&self.name)
    }

    pub async fn execute(&self, sql: &str) {
        batch(&self.admin, sql).await;
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let url = self.cluster.url("postgres", "postgres");
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        // psql, because a destructor cannot wait for a future.
        let dropped = std::process::Command::new(Cluster::programs().join("psql"))
            .args(["-q", "-d", &url, "-c", &sql])
            .stderr(std::process::Stdio::null())
            .status();
        if !dropped.is_ok_and(|status| status.success()) && !std::thread::panicking() {
            panic!("the test's database {} could not be dropped", self.name);
        }
    }
}

async fn template(cluster: &Cluster, series: Series) -> String {
    let dump = series.dump();
    let grants = wabridge_store::grants::sql(ROLE, "odoo");
    // The name changes with its content: an old template is never taken for a new one.
    let id = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, format!("{dump}{grants}").as_bytes());
    let name = format!("template_{}_{}", series.name(), &id.simple().to_string()[..12]);
    let _exclusive = cluster.exclusive("template").await;
    let postgres = connect(&cluster.url("postgres", "postgres")).await;
    let exists = postgres
        .query_opt("SELECT 1 FROM pg_database WHERE datname = $1", &[&name])
        .await
        .expect("pg_database can be read");
    if exists.is_some() {
        return name;
    }
    batch(
        &postgres,
        "DO $$ BEGIN
            IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'odoo') THEN CREATE ROLE odoo LOGIN CREATEDB; END IF;
            IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'wabridge') THEN CREATE ROLE wabridge LOGIN; END IF;
         END $$",
    )
    .await;
    let building = format!("{name}_new");
    batch(&postgres, &format!("DROP DATABASE IF EXISTS {building} WITH (FORCE)")).await;
    batch(&postgres, &format!("CREATE DATABASE {building} TEMPLATE template0 OWNER odoo")).await;
    let odoo = connect(&cluster.url("odoo", &building)).await;
    batch(&odoo, &dump).await;
    drop(odoo);
    let admin = connect(&cluster.url("postgres", &building)).await;
    batch(&admin, &grants).await;
    drop(admin);
    for _ in 0..100 {
        // The sessions above end a moment after their clients are dropped.
        if postgres
            .batch_execute(&format!("ALTER DATABASE {building} RENAME TO {name}"))
            .await
            .is_ok()
        {
            return name;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the template {building} could not be renamed: a session is still connected to it");
}

/// Ends all sessions of a database, as Odoo does before it copies or drops one.
async fn end_sessions(postgres: &Client, name: &str) -> Result<(), tokio_postgres::Error> {
    // Autovacuum's have no user: Odoo's role may not end them, PostgreSQL does so itself.
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = $1 AND usename IS NOT NULL AND pid <> pg_backend_pid()";
    postgres.execute(sql, &[&name]).await?;
    Ok(())
}

/// Connects without TLS and runs the connection in the background.
pub async fn connect(url: &str) -> Client {
    let (client, connection) =
        tokio_postgres::connect(url, NoTls).await.unwrap_or_else(|error| panic!("{url}: {error}"));
    tokio::spawn(async move {
        // Its end is seen by the client's next statement.
        if let Err(error) = connection.await {
            eprintln!("test connection ended: {error}");
        }
    });
    client
}

async fn batch(client: &Client, sql: &str) {
    if let Err(error) = client.batch_execute(sql).await {
        let head: String = sql.chars().take(300).collect();
        panic!("{error:?}\n{head}");
    }
}
