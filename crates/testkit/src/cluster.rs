//! One PostgreSQL cluster for all tests of a checkout, started by the first that needs it.
//!
//! It lives in a folder of its own, listens on loopback only, and a watcher stops it after a while without
//! sessions, so that nothing is left behind when nobody stops it.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Seconds without sessions after which the watcher stops the cluster.
const IDLE_S: u32 = 120;

/// A running cluster. Superuser is `postgres`, by trust on loopback: it holds nothing but test data.
#[derive(Debug, Clone)]
pub struct Cluster {
    pub port: u16,
    folder: PathBuf,
}

impl Cluster {
    /// The cluster of this checkout; starts it when it does not run.
    ///
    /// # Panics
    /// When PostgreSQL's server programs are missing or do not start.
    pub fn get() -> &'static Cluster {
        static CLUSTER: OnceLock<Cluster> = OnceLock::new();
        CLUSTER.get_or_init(|| {
            let folder = folder();
            fs::create_dir_all(&folder).expect("the folder of the test cluster can be made");
            let lock = fs::File::create(folder.join("lock")).expect("the lock file can be made");
            // Released when `lock` is dropped: one test starts the cluster, the others wait for it.
            lock.lock().expect("the lock file can be locked");
            running(&folder).unwrap_or_else(|| start(&folder))
        })
    }

    /// A connection string for `role` to `database`.
    pub fn url(&self, role: &str, database: &str) -> String {
        format!("postgresql://{role}@127.0.0.1:{}/{database}", self.port)
    }

    /// The folder of PostgreSQL's programs.
    pub fn programs() -> PathBuf {
        programs()
    }

    /// What the server has logged of one database.
    ///
    /// # Panics
    /// When the log cannot be read.
    pub fn log_of(&self, database: &str) -> Vec<String> {
        let log = fs::read_to_string(self.folder.join("data/server.log"))
            .expect("the server's log can be read");
        log.lines().filter(|line| line.contains(database)).map(str::to_owned).collect()
    }

    /// Holds a lock over all test processes, named `name`, until the file is dropped. Waiting happens on a
    /// thread of its own: two futures of one test may ask for it.
    pub async fn exclusive(&self, name: &str) -> fs::File {
        let path = self.folder.join(format!("{name}.lock"));
        let locked = tokio::task::spawn_blocking(move || {
            let file = fs::File::create(path).expect("a lock file can be made");
            file.lock().expect("a lock file can be locked");
            file
        });
        locked.await.expect("waiting for a lock does not panic")
    }
}

/// A cluster of one test alone, which may crash; stopped and removed when dropped.
#[derive(Debug)]
pub struct OwnCluster {
    pub cluster: &'static Cluster,
}

impl OwnCluster {
    /// Starts it.
    ///
    /// # Panics
    /// As [`Cluster::get`].
    pub fn start() -> Self {
        let name = format!("wabridge-test-own-{}", uuid::Uuid::new_v4().simple());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).expect("the folder of the test cluster can be made");
        // A few bytes for each: the databases of a test may outlive this handle by a moment.
        Self { cluster: Box::leak(Box::new(start(&folder))) }
    }

    /// The server loses everything that was not on disk (`pg_ctl stop -m immediate`).
    pub fn crash(&self) {
        run(self.control().args(["-m", "immediate", "-w", "stop"]));
    }

    /// Starts it again after [`OwnCluster::crash`], on the same port.
    pub fn run(&self) {
        let log = self.cluster.folder.join("data/server.log");
        run(self.control().args(["-w", "-t", "60", "-l"]).arg(log).arg("start"));
    }

    fn control(&self) -> Command {
        let mut command = as_user(&server_user(), &programs().join("pg_ctl"));
        command.arg("-D").arg(self.cluster.folder.join("data"));
        command
    }
}

impl Drop for OwnCluster {
    fn drop(&mut self) {
        // It may be down already; what counts is that the folder can be removed.
        let stopped =
            self.control().args(["-m", "immediate", "-w", "stop"]).stdout(Stdio::null()).status();
        let removed = fs::remove_dir_all(&self.cluster.folder);
        if !std::thread::panicking() {
            assert!(stopped.is_ok(), "pg_ctl does not start");
            removed.expect("the folder of the test cluster can be removed");
        }
    }
}

fn folder() -> PathBuf {
    // Below the temporary folder: a checkout in a closed home directory is out of the server's reach.
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR"));
    let id =
        uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, checkout.as_os_str().as_encoded_bytes());
    std::env::temp_dir().join(format!("wabridge-test-{}", &id.simple().to_string()[..12]))
}

fn programs() -> PathBuf {
    if let Some(given) = std::env::var_os("WABRIDGE_TEST_PGBIN") {
        return given.into();
    }
    let mut found: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .map(|entries| entries.flatten().map(|entry| entry.path().join("bin")).collect())
        .unwrap_or_default();
    found.retain(|bin| bin.join("initdb").exists());
    found.sort_by_key(|bin| {
        bin.parent()
            .and_then(Path::file_name)
            .and_then(|n| n.to_str())
            .and_then(|n| n.parse::<u32>().ok())
    });
    found.pop().expect(
        "PostgreSQL's server programs are needed: install the package postgresql or set WABRIDGE_TEST_PGBIN; `bash tests/run.sh` does",
    )
}

fn running(folder: &Path) -> Option<Cluster> {
    let text = fs::read_to_string(folder.join("data/postmaster.pid")).ok()?;
    let port: u16 = text.lines().nth(3)?.trim().parse().ok()?;
    let answers = Command::new(programs().join("pg_isready"))
        .args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()])
        .status()
        .is_ok_and(|status| status.success());
    answers.then(|| Cluster { port, folder: folder.to_owned() })
}

fn start(folder: &Path) -> Cluster {
    let data = folder.join("data");
    let programs = programs();
    if data.exists() {
        fs::remove_dir_all(&data).expect("a former test cluster can be removed");
    }
    let port = free_port();
    fs::create_dir(&data).expect("the data folder can be made");
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).expect("its mode can be set");
    let user = server_user();
    if let Some((name, uid, gid)) = &user {
        std::os::unix::fs::chown(&data, Some(*uid), Some(*gid))
            .unwrap_or_else(|error| panic!("the data folder can be given to {name}: {error}"));
    }
    let data_text = data.display().to_string();
    run(as_user(&user, &programs.join("initdb")).args([
        "-D",
        &data_text,
        "-U",
        "postgres",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--locale=C.UTF-8",
    ]));
    // Nothing here outlives the machine, so nothing waits for its disk; processes may be killed all the same.
    let settings = format!(
        "fsync = off\nfull_page_writes = off\nlisten_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = ''\nmax_connections = 300\n\
         shared_buffers = 128MB\nlogging_collector = off\nlog_line_prefix = '%m [%p] %d %a '\n"
    );
    let mut conf =
        fs::read_to_string(data.join("postgresql.conf")).expect("initdb wrote postgresql.conf");
    conf.push_str(&settings);
    fs::write(data.join("postgresql.conf"), conf).expect("postgresql.conf can be written");
    run(as_user(&user, &programs.join("pg_ctl"))
        .args(["-D", &data_text, "-w", "-t", "60", "-l"])
        .arg(data.join("server.log"))
        .arg("start"));
    let cluster = Cluster { port, folder: folder.to_owned() };
    watch(&cluster, &user, &programs, &data_text);
    cluster
}

/// Stops the cluster after [`IDLE_S`] seconds without sessions; a process of its own, for it outlives the tests.
fn watch(cluster: &Cluster, user: &Option<(String, u32, u32)>, programs: &Path, data: &str) {
    // A shell that ends at once leaves the loop to itself: nobody needs to wait for it.
    let script = format!(
        "( idle=0; while [ $idle -lt {IDLE_S} ]; do sleep 5; \
         n=$('{0}/psql' -h 127.0.0.1 -p {1} -U postgres -Atc \"select count(*) from pg_stat_activity where datname is not null and pid <> pg_backend_pid()\" postgres 2>/dev/null) || exit 0; \
         if [ \"$n\" = 0 ]; then idle=$((idle + 5)); else idle=0; fi; done; '{0}/pg_ctl' -D '{2}' -m fast stop ) >/dev/null 2>&1 </dev/null &",
        programs.display(),
        cluster.port,
        data
    );
    as_user(user, Path::new("/bin/sh"))
        .args(["-c", &script])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("the watcher of the test cluster starts");
}

/// PostgreSQL refuses to run as root: then the packaged user, else nobody.
fn server_user() -> Option<(String, u32, u32)> {
    let me = fs::metadata("/proc/self").expect("/proc is mounted").uid();
    if me != 0 {
        return None;
    }
    let passwd = fs::read_to_string("/etc/passwd").expect("/etc/passwd can be read");
    ["postgres", "nobody"].into_iter().find_map(|name| {
        let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((name.to_owned(), fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    })
}

fn as_user(user: &Option<(String, u32, u32)>, program: &Path) -> Command {
    let mut command = match user {
        None => Command::new(program),
        Some((_, uid, gid)) => {
            let mut command = Command::new("setpriv");
            command
                .args([&format!("--reuid={uid}"), &format!("--regid={gid}"), "--clear-groups"])
                .arg(program);
            command
        }
    };
    command.current_dir("/").env("LC_ALL", "C.UTF-8").env_remove("PGUSER").env_remove("PGDATABASE");
    command
}

fn run(command: &mut Command) {
    let output = command
        .stdin(Stdio::null())
        // pg_ctl's server keeps inherited pipes open: its output goes to the log it was given.
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    assert!(output.success(), "{command:?} ended with {output}");
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .expect("a port of loopback is free")
        .port()
}
