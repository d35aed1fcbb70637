//! The folder of an export. It is written beside its place, as `<folder>.unfinished`, and moved there when all of it is
//! on disk: a folder with the name that was asked for is whole.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use aws_lc_rs::digest;
use serde_json::{Value, json};

/// The list of what an export holds, written last.
pub const MANIFEST: &str = "export.json";

/// An export that is being written.
#[derive(Debug)]
pub struct Draft {
    target: PathBuf,
    path: PathBuf,
}

impl Draft {
    /// Makes the folder, for its owner's eyes only.
    ///
    /// # Errors
    /// One line: something is there, or it cannot be made.
    pub fn begin(target: &Path) -> anyhow::Result<Self> {
        let Some(name) = target.file_name() else {
            bail!("{} is no name for a new folder", target.display());
        };
        if target.symlink_metadata().is_ok() {
            bail!(
                "{} is there: name a new folder, an export writes over nothing",
                target.display()
            );
        }
        let mut unfinished = name.to_owned();
        unfinished.push(".unfinished");
        let path = target.with_file_name(unfinished);
        let what = || format!("{} cannot be made", path.display());
        if path.symlink_metadata().is_ok() {
            bail!(
                "{} is there: another export is writing it, or one was interrupted; in that case remove it",
                path.display()
            );
        }
        let closed = |path: &Path| DirBuilder::new().mode(0o700).create(path);
        closed(&path).with_context(what)?;
        closed(&path.join("media")).with_context(what)?;
        Ok(Self { target: target.to_owned(), path })
    }

    fn create(&self, name: &str) -> anyhow::Result<File> {
        let path = self.path.join(name);
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| path.display().to_string())
    }

    /// A new file of one JSON object a line.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn lines(&self, name: &'static str) -> anyhow::Result<Lines> {
        Ok(Lines { name, out: Output::new(self.create(name)?), rows: 0 })
    }

    /// A new file of a message, named by its row id and the extension that its sender gave it.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn file(&self, id: i32, told: Option<&str>) -> anyhow::Result<Content> {
        let name = format!("media/{id}{}", extension(told.unwrap_or_default()));
        let out = Output::new(self.create(&name)?);
        Ok(Content { path: self.path.join(&name), name, out })
    }

    /// Writes the list of what is there.
    ///
    /// # Errors
    /// The disk's.
    pub fn manifest(&self, manifest: &Value) -> anyhow::Result<()> {
        let mut file = self.create(MANIFEST)?;
        serde_json::to_writer_pretty(&mut file, manifest)?;
        writeln!(file)?;
        file.sync_all()?;
        Ok(())
    }

    /// Gives it its name, once all of it is on disk.
    ///
    /// # Errors
    /// The disk's, or something has taken that name meanwhile.
    pub fn finish(self) -> anyhow::Result<()> {
        let what = || format!("{} cannot be moved to its place", self.path.display());
        for folder in [self.path.join("media"), self.path.clone()] {
            File::open(folder).and_then(|folder| folder.sync_all()).with_context(what)?;
        }
        if self.target.symlink_metadata().is_ok() {
            bail!("{}: {} is there now", what(), self.target.display());
        }
        std::fs::rename(&self.path, &self.target).with_context(what)?;
        let parent = self.target.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))
            .and_then(|folder| folder.sync_all())
            .with_context(what)
    }

    /// Removes what was written: people's words do not lie about.
    pub fn abandon(self) {
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            eprintln!(
                "note: {} holds what was written until then ({error}); remove it",
                self.path.display()
            );
        }
    }
}

/// A dot and the ending of a name, where it is a plain one; else nothing.
fn extension(name: &str) -> String {
    let ending = Path::new(name).extension().and_then(|ending| ending.to_str());
    let plain = |ending: &&str| {
        (1..=8).contains(&ending.len()) && ending.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    ending.filter(plain).map(|ending| format!(".{}", ending.to_lowercase())).unwrap_or_default()
}

/// A file with the checksum of what went into it.
struct Output {
    file: BufWriter<File>,
    hash: digest::Context,
    bytes: u64,
}

impl Output {
    fn new(file: File) -> Self {
        Self { file: BufWriter::new(file), hash: digest::Context::new(&digest::SHA256), bytes: 0 }
    }

    fn push(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.file.write_all(bytes)?;
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    fn checksum(&self) -> String {
        hex::encode(self.hash.clone().finish())
    }

    fn sync(self) -> anyhow::Result<()> {
        Ok(self.file.into_inner()?.sync_all()?)
    }
}

/// A file of rows.
pub struct Lines {
    name: &'static str,
    out: Output,
    rows: u64,
}

/// What a file of rows came to.
pub struct Said {
    pub rows: u64,
    bytes: u64,
    sha256: String,
}

impl Said {
    /// As the manifest tells it.
    pub fn told(&self) -> Value {
        json!({"rows": self.rows, "bytes": self.bytes, "sha256": self.sha256})
    }
}

impl Lines {
    /// Adds one.
    ///
    /// # Errors
    /// The disk's.
    pub fn push(&mut self, row: &str) -> anyhow::Result<()> {
        self.rows += 1;
        self.out.push(row.as_bytes()).and_then(|()| self.out.push(b"\n")).context(self.name)
    }

    /// Ends it; it is on disk then.
    ///
    /// # Errors
    /// The disk's.
    pub fn finish(self) -> anyhow::Result<Said> {
        let said = Said { rows: self.rows, bytes: self.out.bytes, sha256: self.out.checksum() };
        self.out.sync().context(self.name)?;
        Ok(said)
    }
}

/// A file of a message.
pub struct Content {
    name: String,
    path: PathBuf,
    out: Output,
}

impl Content {
    /// Adds bytes.
    ///
    /// # Errors
    /// The disk's.
    pub fn push(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.out.push(bytes).with_context(|| self.name.clone())
    }

    /// Of what was added, SHA-256, lower-case hexadecimal.
    pub fn checksum(&self) -> String {
        self.out.checksum()
    }

    /// Ends it; its path below the folder.
    ///
    /// # Errors
    /// The disk's.
    pub fn finish(self) -> anyhow::Result<String> {
        self.out.sync().with_context(|| self.name.clone())?;
        Ok(self.name)
    }

    /// Takes it back.
    ///
    /// # Errors
    /// The disk's.
    pub fn remove(self) -> anyhow::Result<()> {
        std::fs::remove_file(&self.path).with_context(|| self.name.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_endings_are_taken_over() {
        assert_eq!(extension("Offer.PDF"), ".pdf");
        assert_eq!(extension("a.tar.gz"), ".gz");
        for odd in ["", "none", "x.", "../../etc/passwd", "a.p/df", "a.über", "a.much-too-long"] {
            assert_eq!(extension(odd), "", "{odd}");
        }
    }

    #[test]
    fn nothing_is_written_over_and_the_name_says_whole() {
        let above = tempfile::tempdir().unwrap();
        let target = above.path().join("out");
        let draft = Draft::begin(&target).unwrap();
        let second = Draft::begin(&target).unwrap_err().to_string();
        assert!(second.contains("out.unfinished") && second.contains("remove it"), "{second}");
        let mut lines = draft.lines("x.jsonl").unwrap();
        lines.push("{}").unwrap();
        assert_eq!(lines.finish().unwrap().told()["rows"], 1);
        assert!(!target.exists());
        draft.finish().unwrap();
        assert_eq!(std::fs::read(target.join("x.jsonl")).unwrap(), b"{}\n");
        let again = Draft::begin(&target).unwrap_err().to_string();
        assert!(again.contains("writes over nothing"), "{again}");
        assert!(!above.path().join("out.unfinished").exists());
        let draft = Draft::begin(&above.path().join("other")).unwrap();
        draft.abandon();
        assert_eq!(std::fs::read_dir(above.path()).unwrap().count(), 1);
    }
}
