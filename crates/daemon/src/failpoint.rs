//! Places where a test stops, delays or kills the daemon, and guards that a negative control takes away.
//!
//! Nothing of it does anything unless `WABRIDGE_FAILPOINTS` is set (`name=sleep:500,other=abort,
//! third=pause:/path,fourth=panic,guard=off`) or a test of this process calls [`set`]. `pause` does nothing while
//! `<path>` is missing; else it creates `<path>.reached` and goes on once `<path>` is gone. The environment's
//! hold for every database, a test's for one.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, RwLock};
use std::time::Duration;

use tokio::sync::Semaphore;

/// What happens at a point.
#[derive(Debug, Clone)]
pub enum Action {
    Sleep(Duration),
    /// The process ends as if killed.
    Abort,
    /// The task ends in a panic.
    Panic,
    /// Waits while this file exists.
    Pause(PathBuf),
    /// Waits until the test opens it.
    Gate(Arc<Gate>),
    /// For guards: the negative control.
    Off,
}

/// A point that a test of the same process holds.
#[derive(Debug)]
pub struct Gate {
    reached: Semaphore,
    open: Semaphore,
}

impl Gate {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { reached: Semaphore::new(0), open: Semaphore::new(0) })
    }

    /// Waits until somebody stands at the point.
    pub async fn reached(&self) {
        self.reached.acquire().await.expect("the semaphore is never closed").forget();
    }

    /// Lets one through, now or later.
    pub fn open(&self) {
        self.open.add_permits(1);
    }

    async fn pass(&self) {
        self.reached.add_permits(1);
        self.open.acquire().await.expect("the semaphore is never closed").forget();
    }
}

type Points = HashMap<(Option<String>, String), Action>;

static ACTIVE: AtomicBool = AtomicBool::new(false);

fn points() -> &'static RwLock<Points> {
    static POINTS: OnceLock<RwLock<Points>> = OnceLock::new();
    POINTS.get_or_init(RwLock::default)
}

fn put(scope: Option<&str>, name: &str, action: Action) {
    let mut points = points().write().expect("no holder of this lock can panic");
    points.insert((scope.map(str::to_owned), name.to_owned()), action);
    ACTIVE.store(true, Ordering::Release);
}

/// Arms a point for one database of this process.
pub fn set(database: &str, name: &str, action: Action) {
    put(Some(database), name, action);
}

/// Disarms a point of one database.
pub fn clear(database: &str, name: &str) {
    let mut points = points().write().expect("no holder of this lock can panic");
    points.remove(&(Some(database.to_owned()), name.to_owned()));
}

/// Reads `WABRIDGE_FAILPOINTS`; called once at start.
///
/// # Errors
/// The part that cannot be understood.
pub fn from_environment() -> Result<(), String> {
    match std::env::var("WABRIDGE_FAILPOINTS") {
        Ok(text) => read(&text).map(|armed| {
            for (name, action) in armed {
                tracing::warn!(failpoint = %name, "fail point {name} is armed: this is a test");
                put(None, &name, action);
            }
        }),
        Err(_) => Ok(()),
    }
}

fn read(text: &str) -> Result<Vec<(String, Action)>, String> {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| {
            let wrong = || format!("WABRIDGE_FAILPOINTS: {part:?} is not name=sleep:<ms>, name=abort, name=panic, name=pause:<file> or name=off");
            let (name, action) = part.split_once('=').ok_or_else(wrong)?;
            let action = match action.split_once(':') {
                Some(("sleep", ms)) => {
                    Action::Sleep(Duration::from_millis(ms.parse().map_err(|_| wrong())?))
                }
                Some(("pause", path)) => Action::Pause(PathBuf::from(path)),
                None if action == "abort" => Action::Abort,
                None if action == "panic" => Action::Panic,
                None if action == "off" => Action::Off,
                _ => return Err(wrong()),
            };
            Ok((name.to_owned(), action))
        })
        .collect()
}

fn find(database: &str, name: &str) -> Option<Action> {
    if !ACTIVE.load(Ordering::Acquire) {
        return None;
    }
    let points = points().read().expect("no holder of this lock can panic");
    points
        .get(&(Some(database.to_owned()), name.to_owned()))
        .or_else(|| points.get(&(None, name.to_owned())))
        .cloned()
}

/// A point: does what it is armed with, else nothing.
pub async fn hit(database: &str, name: &str) {
    match find(database, name) {
        None | Some(Action::Off) => {}
        Some(Action::Sleep(time)) => tokio::time::sleep(time).await,
        Some(Action::Abort) => {
            tracing::warn!(failpoint = name, "fail point {name}: the process ends here");
            std::process::abort();
        }
        Some(Action::Panic) => panic!("fail point {name}: this task ends here"),
        Some(Action::Pause(path)) => pause(&path).await,
        Some(Action::Gate(gate)) => gate.pass().await,
    }
}

async fn pause(path: &Path) {
    if !path.exists() {
        return;
    }
    let mut reached = path.as_os_str().to_owned();
    reached.push(".reached");
    if let Err(error) = std::fs::write(&reached, b"") {
        tracing::error!(%error, "a fail point cannot say that it was reached: {error}");
    }
    while path.exists() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// True unless a negative control took this guard away.
pub fn guard(database: &str, name: &str) -> bool {
    !matches!(find(database, name), Some(Action::Off))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form() {
        let armed = read("a=sleep:50, b=abort,c=pause:/tmp/x,d=off,e=panic,").unwrap();
        assert_eq!(armed.len(), 5);
        assert!(
            matches!(&armed[0], (name, Action::Sleep(t)) if name == "a" && t.as_millis() == 50)
        );
        assert!(matches!(&armed[2], (_, Action::Pause(path)) if path.as_os_str() == "/tmp/x"));
        for wrong in ["a", "a=sleep:x", "a=nap"] {
            assert!(read(wrong).unwrap_err().contains("sleep:<ms>"));
        }
    }

    #[tokio::test]
    async fn a_gate_holds_one_database_only() {
        let gate = Gate::new();
        set("failpoint_test", "p", Action::Gate(Arc::clone(&gate)));
        hit("another", "p").await;
        let held = tokio::spawn(hit("failpoint_test", "p"));
        gate.reached().await;
        assert!(!held.is_finished());
        gate.open();
        held.await.unwrap();
        clear("failpoint_test", "p");
        hit("failpoint_test", "p").await;
        set("failpoint_test", "g", Action::Off);
        assert!(!guard("failpoint_test", "g") && guard("another", "g"));
    }
}
