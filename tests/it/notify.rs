//! What the service manager is told (systemd's Type=notify and watchdog).

use std::sync::{Arc, Mutex};

use tokio::net::UnixDatagram;
use wabridge_testkit::{Daemon, Series, TestDatabase, eventually};

/// The manager's end of the socket, and all that was said so far.
struct Manager {
    folder: tempfile::TempDir,
    said: Arc<Mutex<Vec<String>>>,
}

impl Manager {
    fn listen() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let socket =
            UnixDatagram::bind(folder.path().join("notify")).expect("a socket can be made");
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&said);
        tokio::spawn(async move {
            let mut bytes = [0; 4096];
            while let Ok(length) = socket.recv(&mut bytes).await {
                let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
                heard.lock().expect("nobody panics with it").push(text);
            }
        });
        Self { folder, said }
    }

    fn path(&self) -> String {
        self.folder.path().join("notify").display().to_string()
    }

    fn count(&self, word: &str) -> usize {
        let said = self.said.lock().expect("nobody panics with it");
        said.iter().filter(|text| text.lines().any(|line| line == word)).count()
    }

    async fn until(&self, word: &str, count: usize) {
        let what = format!("{count} times {word}");
        eventually(&what, 10, async || (self.count(word) >= count).then_some(())).await;
    }
}

#[tokio::test]
async fn ready_is_said_when_it_is_and_signs_of_life_go_on() {
    let database = TestDatabase::new(Series::Odoo14).await;
    let manager = Manager::listen();
    let state = "UPDATE ir_module_module SET state = '{}' WHERE name = 'whatsapp_integration'";
    database.execute(&state.replace("{}", "uninstalled")).await;
    let path = manager.path();
    let environment = [("NOTIFY_SOCKET", path.as_str()), ("WATCHDOG_USEC", "200000")];
    let mut daemon = Daemon::prepare(&[&database], "", &environment);
    daemon.run();
    // It lives and its listeners are open, but nothing is served.
    manager.until("WATCHDOG=1", 3).await;
    assert_eq!(manager.count("READY=1"), 0);

    database.execute(&state.replace("{}", "installed")).await;
    manager.until("READY=1", 1).await;
    let health = daemon.http.get(format!("{}/health/ready", daemon.private_url)).send();
    assert!(health.await.expect("it answers").status().is_success());
    assert_eq!(manager.count("STATUS=serving 1 database"), 1);

    // A daemon in which nothing runs any more gives no sign: that is what the manager restarts it for.
    daemon.pause();
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let paused = manager.count("WATCHDOG=1");
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    assert_eq!(manager.count("WATCHDOG=1"), paused);
    daemon.resume();
    manager.until("WATCHDOG=1", paused + 2).await;

    assert_eq!(manager.count("STOPPING=1"), 0);
    assert_eq!(daemon.terminate().await, Some(0));
    manager.until("STOPPING=1", 1).await;
    assert_eq!(manager.count("READY=1"), 1);
}

#[tokio::test]
async fn a_manager_that_is_not_there_stops_nothing() {
    let database = TestDatabase::new(Series::Odoo19).await;
    let environment = [("NOTIFY_SOCKET", "/nonexistent/notify"), ("WATCHDOG_USEC", "0")];
    let mut daemon = Daemon::start(&[&database], &environment).await;
    assert!(daemon.log().contains("the service manager cannot be told"), "{}", daemon.log());
    assert_eq!(daemon.terminate().await, Some(0));
}
