//! One PostgreSQL cluster for all tests of a checkout, started by the first that needs it.
//!
//! It lives in a folder of its own, listens on loopback only, and a watcher stops it after a while without
//! sessions, so that nothing is left behind when nobody stops it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};

/// Seconds without sessions after which the watcher stops the cluster.
const IDLE_S: u32 = 120;
/// Nothing here outlives the machine, so nothing waits for its disk; processes may be killed all the same.
const THROW_AWAY: &str = "fsync = off\nfull_page_writes = off\nshared_buffers = 128MB\n";

/// A running cluster. Superuser is `postgres`, by trust on loopback: it holds nothing but test data.
#[derive(Debug, Clone)]
pub struct Cluster {
    pub port: u16,
    ground: Ground,
}

/// Where a cluster lives.
#[derive(Debug, Clone)]
struct Ground {
    /// As the server's programs see it.
    folder: PathBuf,
    /// A process in whose namespaces it is mounted; None: where everybody is.
    keeper: Option<u32>,
}

impl Ground {
    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// A path below `folder` as this process sees it.
    fn seen(&self, below: &str) -> PathBuf {
        match self.keeper {
            None => self.folder.join(below),
            Some(pid) => {
                let inside = self.folder.strip_prefix("/").expect("it is an absolute path");
                Path::new("/proc").join(pid.to_string()).join("root").join(inside).join(below)
            }
        }
    }

    /// A program of the server, run as who it belongs to.
    fn program(&self, name: &str) -> Command {
        let program = programs().join(name);
        match self.keeper {
            None => as_user(&server_user(), &program),
            Some(pid) => {
                let mut command = Command::new("nsenter");
                command.args(["-t", &pid.to_string(), "-U", "-m", "--preserve-credentials", "--"]);
                command.arg(program);
                clean(&mut command);
                command
            }
        }
    }
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
            running(&folder).unwrap_or_else(|| start(Ground { folder, keeper: None }, THROW_AWAY))
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
        let log = fs::read_to_string(self.ground.seen("data/server.log"))
            .expect("the server's log can be read");
        log.lines().filter(|line| line.contains(database)).map(str::to_owned).collect()
    }

    /// Holds a lock over all test processes, named `name`, until the file is dropped. Waiting happens on a
    /// thread of its own: two futures of one test may ask for it.
    pub async fn exclusive(&self, name: &str) -> fs::File {
        let path = self.ground.seen(&format!("{name}.lock"));
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
    /// Keeps the namespaces of a small one.
    keeper: Option<Child>,
}

impl OwnCluster {
    /// Starts it.
    ///
    /// # Panics
    /// As [`Cluster::get`].
    pub fn start() -> Self {
        Self::with(THROW_AWAY)
    }

    /// As [`OwnCluster::start`], but what it was told is on disk when it says so, and it has memory to work with:
    /// for measuring.
    ///
    /// # Panics
    /// As [`Cluster::get`].
    pub fn durable() -> Self {
        Self::with(
            "fsync = on\nsynchronous_commit = on\nshared_buffers = 512MB\nmax_wal_size = 4GB\n",
        )
    }

    fn with(settings: &str) -> Self {
        let ground = Ground { folder: own_folder(), keeper: None };
        // A few bytes for each: the databases of a test may outlive this handle by a moment.
        Self { cluster: Box::leak(Box::new(start(ground, settings))), keeper: None }
    }

    /// As [`OwnCluster::start`], on a file system of `mib` MiB that [`OwnCluster::fill`] fills: in memory, mounted in
    /// namespaces of its own, which needs no rights but those to make them.
    ///
    /// # Panics
    /// As [`Cluster::get`], and where the kernel does not let this user make namespaces.
    pub fn small(mib: u32) -> Self {
        let folder = own_folder();
        // Mounting takes a root of one's own; the server refuses to be one, so a second level makes it nobody.
        let script = format!(
            "mount -t tmpfs -o size={mib}m,mode=0777 none '{}' && exec unshare -U -m --map-user=65534 --map-group=65534 \
             sh -c 'echo mounted; exec sleep 1800'",
            folder.display()
        );
        let mut keeper = Command::new("unshare")
            .args(["-U", "-r", "-m", "sh", "-c", &script])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare (util-linux) starts");
        let mut said = String::new();
        let output = keeper.stdout.take().expect("it is piped");
        BufReader::new(output).read_line(&mut said).expect("it can be read");
        assert_eq!(
            said.trim(),
            "mounted",
            "a file system of one's own needs user namespaces: allow them (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone) or run the tests as root"
        );
        let ground = Ground { folder, keeper: Some(keeper.id()) };
        let settings = format!("{THROW_AWAY}min_wal_size = 32MB\nmax_wal_size = 64MB\n");
        Self { cluster: Box::leak(Box::new(start(ground, &settings))), keeper: Some(keeper) }
    }

    /// Leaves no byte free where the data is.
    pub fn fill(&self) {
        let mut ballast = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.cluster.ground.seen("ballast"))
            .expect("the ballast can be made");
        for size in [1 << 20, 1 << 12, 1] {
            let bytes = vec![0; size];
            while ballast.write_all(&bytes).is_ok() {}
        }
    }

    /// Gives back what [`OwnCluster::fill`] took.
    pub fn free(&self) {
        fs::remove_file(self.cluster.ground.seen("ballast")).expect("the ballast can be removed");
    }

    /// True while the server takes connections.
    pub fn answers(&self) -> bool {
        answers(self.cluster.port)
    }

    /// The server's first process.
    pub fn pid(&self) -> u32 {
        let path = self.cluster.ground.seen("data/postmaster.pid");
        let text = fs::read_to_string(path).expect("the server runs");
        text.lines().next().and_then(|line| line.trim().parse().ok()).expect("it holds its id")
    }

    /// Stops all its processes where they are (SIGSTOP): the server hangs.
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// Lets them go on after [`OwnCluster::pause`].
    pub fn resume(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let first = self.pid().to_string();
        let children = Command::new("ps")
            .args(["-o", "pid=", "--ppid", &first])
            .output()
            .expect("ps lists processes");
        let children = String::from_utf8_lossy(&children.stdout).into_owned();
        // The first one first: it shall start none meanwhile. One that ended by itself is no failure.
        for pid in std::iter::once(first.as_str()).chain(children.split_whitespace()) {
            Command::new("kill")
                .args([&format!("-{name}"), pid])
                .stderr(Stdio::null())
                .status()
                .expect("kill starts");
        }
    }

    /// The server loses everything that was not on disk (`pg_ctl stop -m immediate`).
    pub fn crash(&self) {
        run(self.control().args(["-m", "immediate", "-w", "stop"]));
    }

    /// Starts it again after [`OwnCluster::crash`], on the same port.
    pub fn run(&self) {
        let log = self.cluster.ground.data().join("server.log");
        run(self.control().args(["-w", "-t", "60", "-l"]).arg(log).arg("start"));
    }

    fn control(&self) -> Command {
        let mut command = self.cluster.ground.program("pg_ctl");
        command.arg("-D").arg(self.cluster.ground.data());
        command
    }
}

impl Drop for OwnCluster {
    fn drop(&mut self) {
        // It may be down already; what counts is that the folder can be removed.
        let stopped =
            self.control().args(["-m", "immediate", "-w", "stop"]).stdout(Stdio::null()).status();
        if let Some(mut keeper) = self.keeper.take() {
            // The file system goes with it. It may have ended by itself.
            if keeper.kill().is_ok() {
                keeper.wait().expect("its end can be seen");
            }
        }
        let removed = fs::remove_dir_all(&self.cluster.ground.folder);
        if !std::thread::panicking() {
            assert!(stopped.is_ok(), "pg_ctl does not start");
            removed.expect("the folder of the test cluster can be removed");
        }
    }
}

fn own_folder() -> PathBuf {
    let name = format!("wabridge-test-own-{}", uuid::Uuid::new_v4().simple());
    let folder = std::env::temp_dir().join(name);
    fs::create_dir_all(&folder).expect("the folder of the test cluster can be made");
    folder
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
    let ground = Ground { folder: folder.to_owned(), keeper: None };
    answers(port).then_some(Cluster { port, ground })
}

fn answers(port: u16) -> bool {
    Command::new(programs().join("pg_isready"))
        .args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()])
        .status()
        .is_ok_and(|status| status.success())
}

fn start(ground: Ground, settings: &str) -> Cluster {
    let data = ground.seen("data");
    if data.exists() {
        fs::remove_dir_all(&data).expect("a former test cluster can be removed");
    }
    let port = free_port();
    fs::create_dir(&data).expect("the data folder can be made");
    fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).expect("its mode can be set");
    if ground.keeper.is_none()
        && let Some((name, uid, gid)) = server_user()
    {
        std::os::unix::fs::chown(&data, Some(uid), Some(gid))
            .unwrap_or_else(|error| panic!("the data folder can be given to {name}: {error}"));
    }
    let data_text = ground.data().display().to_string();
    run(ground.program("initdb").args([
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
    let settings = format!(
        "{settings}listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = ''\nmax_connections = 300\n\
         logging_collector = off\nlog_line_prefix = '%m [%p] %d %a '\n"
    );
    let mut conf =
        fs::read_to_string(data.join("postgresql.conf")).expect("initdb wrote postgresql.conf");
    conf.push_str(&settings);
    fs::write(data.join("postgresql.conf"), conf).expect("postgresql.conf can be written");
    run(ground
        .program("pg_ctl")
        .args(["-D", &data_text, "-w", "-t", "60", "-l"])
        .arg(ground.data().join("server.log"))
        .arg("start"));
    let cluster = Cluster { port, ground };
    if cluster.ground.keeper.is_none() {
        watch(&cluster, &server_user(), &programs(), &data_text);
    }
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
    clean(&mut command);
    command
}

fn clean(command: &mut Command) {
    command.current_dir("/").env("LC_ALL", "C.UTF-8").env_remove("PGUSER").env_remove("PGDATABASE");
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

/// Below the ports that the kernel gives to outgoing connections: nobody gets one of these by chance while the
/// program that listens there is down between two of its lives.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A free port of loopback that no other test process gets while this one lives.
pub fn free_port() -> u16 {
    static TAKEN: Mutex<Vec<fs::File>> = Mutex::new(Vec::new());
    let user = fs::metadata("/proc/self").expect("procfs is mounted").uid();
    let folder = std::env::temp_dir().join(format!("wabridge-test-ports-{user}"));
    fs::create_dir_all(&folder).expect("a folder for port locks can be made");
    let (first, many) = (PORTS.start, PORTS.end - PORTS.start);
    let start = u16::try_from(std::process::id() * 37 % u32::from(many)).expect("it is below many");
    for n in 0..many {
        let port = first + (start + n) % many;
        let lock = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(folder.join(port.to_string()))
            .expect("a port's lock can be opened");
        // Held until this process ends, however it ends.
        if lock.try_lock().is_ok() && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            TAKEN.lock().expect("no panic holds it").push(lock);
            return port;
        }
    }
    panic!("no port of {PORTS:?} is free");
}
