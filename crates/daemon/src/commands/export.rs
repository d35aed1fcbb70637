//! `wabridge export DATABASE FOLDER`: everything people wrote and sent, as files that can be read without us. Made for
//! the day before an uninstall.

mod folder;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use serde_json::{Map, Value, json};
use wabridge_store::export::{self, File, Kind};
use wabridge_store::odoo::audit_log::{self, Entry};
use wabridge_store::{IsolationLevel, Tx};

use self::folder::{Draft, Lines};
use crate::audit::{proof, words};
use crate::config::Config;
use crate::media::blobs::BlobError;
use crate::runtime::{Phase, Runtime};
use crate::supervise;

/// Rows that are read at a time.
const PAGE: i64 = 1000;
/// The form of what is written; another one where a reader of this one would go wrong.
const FORMAT: u32 = 1;

/// What became of the files.
#[derive(Debug, Default)]
struct Files {
    rows: u64,
    written: u64,
    bytes: u64,
    /// They should be here and are not, or do not open.
    lost: u64,
    /// They are still to be fetched.
    waiting: u64,
}

pub async fn run(config: &Config, database: &str, target: &Path) -> anyhow::Result<ExitCode> {
    let rt = super::runtime(config, Some(database))?;
    let context = || format!("database {database}");
    match supervise::look(&rt).await.with_context(context)?.phase {
        Phase::Ready | Phase::Held(_) => {}
        phase => bail!("database {database} is {phase}"),
    }
    let draft = Draft::begin(target)?;
    // Before anything is read: who is stopped half-way has read as well.
    note(&rt, None).await.with_context(context)?;
    let written = write(&rt, &draft).await.with_context(context);
    let files = match written {
        Ok(files) => files,
        Err(error) => {
            draft.abandon();
            note(&rt, Some("wabridge export failed")).await.with_context(context)?;
            return Err(error);
        }
    };
    draft.finish()?;
    println!("database {database} is exported to {}", target.display());
    if files.waiting > 0 {
        println!(
            "{} files are still to be fetched from the provider and not in it: export again when they are",
            files.waiting
        );
    }
    if files.lost > 0 {
        println!(
            "{} files are NOT in it: they are missing in media.directory or no sealing key of the settings opens them; media.jsonl says at each which",
            files.lost
        );
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// Reading everybody's words is an operation that administrators see.
async fn note(rt: &Runtime, problem: Option<&str>) -> anyhow::Result<()> {
    let entry = Entry {
        operation: words::EXPORT,
        success: problem.is_none(),
        error_message: problem,
        ..Entry::default()
    };
    audit_log::insert(&rt.store.client().await?, &entry).await?;
    Ok(())
}

/// Writes all of it as it was at one moment.
async fn write(rt: &Arc<Runtime>, draft: &Draft) -> anyhow::Result<Files> {
    let mut client = rt.store.client().await?;
    let tx = client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await?;
    tx.batch_execute(
        "SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0",
    )
    .await?;
    let counted = export::counts(&tx).await?;
    let mut contents = Map::new();
    for (kind, counted) in Kind::ALL.into_iter().zip(&counted) {
        let lines = rows(&tx, draft, kind).await?;
        let said = lines.finish()?;
        same(kind.file(), said.rows, *counted)?;
        println!("{}: {} rows", kind.file(), said.rows);
        contents.insert(kind.file().to_owned(), said.told());
    }
    let (files, said) = files(rt, &tx, draft).await?;
    same("media.jsonl", files.rows, counted.last().copied().unwrap_or_default())?;
    println!("media.jsonl: {} rows, {} files, {} bytes", files.rows, files.written, files.bytes);
    contents.insert("media.jsonl".to_owned(), said);
    tx.commit().await?;
    let manifest = json!({
        "format": FORMAT,
        "wabridge": env!("CARGO_PKG_VERSION"),
        "database": rt.name,
        "exported_at": rt.clock.now().to_string(),
        "contents": contents,
        "media": {
            "files": files.written, "bytes": files.bytes, "lost": files.lost, "waiting": files.waiting,
        },
    });
    draft.manifest(&manifest)?;
    Ok(files)
}

/// What was written is what the database counts: nothing is left out in silence.
fn same(file: &str, written: u64, counted: i64) -> anyhow::Result<()> {
    if i64::try_from(written) != Ok(counted) {
        bail!(
            "{file}: {written} rows were written and {counted} are there; this is a fault of wabridge"
        );
    }
    Ok(())
}

async fn rows(tx: &Tx<'_>, draft: &Draft, kind: Kind) -> anyhow::Result<Lines> {
    let mut lines = draft.lines(kind.file())?;
    let mut after = 0;
    loop {
        let page = export::page(tx, kind, after, PAGE).await?;
        for row in &page {
            lines.push(&row.json)?;
        }
        match page.last() {
            Some(last) => after = last.id,
            None => return Ok(lines),
        }
    }
}

async fn files(rt: &Runtime, tx: &Tx<'_>, draft: &Draft) -> anyhow::Result<(Files, Value)> {
    let mut lines = draft.lines("media.jsonl")?;
    let mut found = Files::default();
    let mut after = 0;
    loop {
        let page = export::files(tx, after, PAGE).await?;
        for file in &page {
            let mut row: Map<String, Value> = serde_json::from_str(&file.json)?;
            let (path, problem) = match bytes(rt, draft, file).await? {
                Some(Ok((path, size))) => {
                    found.written += 1;
                    found.bytes += size;
                    (Some(path), None)
                }
                Some(Err(problem)) => {
                    found.lost += 1;
                    (None, Some(problem))
                }
                None => {
                    found.waiting += u64::from(row.get("state") == Some(&json!("waiting")));
                    (None, None)
                }
            };
            row.insert("file".to_owned(), json!(path));
            row.insert("problem".to_owned(), json!(problem));
            lines.push(&Value::Object(row).to_string())?;
        }
        match page.last() {
            Some(last) => after = last.id,
            None => break,
        }
    }
    let said = lines.finish()?;
    found.rows = said.rows;
    Ok((found, said.told()))
}

/// Writes one file in clear: its path below the folder and its size, or why it cannot be had; None where none is to be
/// expected.
async fn bytes(
    rt: &Runtime,
    draft: &Draft,
    file: &File,
) -> anyhow::Result<Option<Result<(String, u64), String>>> {
    if !file.ready {
        return Ok(None);
    }
    let Some(blob) = &file.blob else {
        return Ok(Some(Err("nothing is known of where it is".to_owned())));
    };
    let installation = proof::installation(rt).await?;
    let stored = match rt.media.blobs.open(&rt.keys, installation, blob).await {
        Ok(stored) => stored,
        Err(error @ BlobError::Directory { .. }) => return Err(error.into()),
        Err(error) => return Ok(Some(Err(error.to_string()))),
    };
    let size = stored.size();
    let mut out = draft.file(file.id, file.filename.as_deref())?;
    let mut stream = std::pin::pin!(stored.stream(0, size));
    while let Some(piece) = futures_util::StreamExt::next(&mut stream).await {
        match piece {
            Ok(piece) => out.push(&piece)?,
            Err(error) => {
                out.remove()?;
                return Ok(Some(Err(error.to_string())));
            }
        }
    }
    if out.checksum() != blob.checksum {
        out.remove()?;
        return Ok(Some(Err("its content is not the one that was stored".to_owned())));
    }
    Ok(Some(Ok((out.finish()?, size))))
}
