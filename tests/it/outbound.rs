//! The outbox where it is hard: commits that meet, crashes, replicas, rows that Odoo holds, pace and schedule.
//! Each race stands beside a variant whose guard is taken away and that must go wrong.

mod cancel;
mod crashes;
mod files;
mod guest;
mod pace;
mod races;

use std::path::PathBuf;

use wabridge_testkit::eventually;

use crate::support::World;

/// Somebody who stays silent: accepted, never delivered.
const SILENT: &str = "447700900804";

/// A place in the daemon that a test holds.
pub(crate) struct Hold {
    folder: tempfile::TempDir,
}

impl Hold {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder can be made") }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("hold")
    }

    /// For `WABRIDGE_FAILPOINTS`.
    pub(crate) fn at(&self, point: &str) -> String {
        format!("{point}=pause:{}", self.file().display())
    }

    /// The next one to come there waits.
    pub(crate) fn close(&self) {
        std::fs::write(self.file(), b"").expect("a file can be written");
    }

    pub(crate) async fn reached(&self) {
        let reached = self.folder.path().join("hold.reached");
        eventually("the place is reached", 10, async || reached.exists().then_some(())).await;
    }

    pub(crate) fn open(&self) {
        std::fs::remove_file(self.file()).expect("it was closed");
    }
}

async fn provider_texts(world: &World) -> Vec<String> {
    world.accepted().await.into_iter().map(|one| one.text).collect()
}
