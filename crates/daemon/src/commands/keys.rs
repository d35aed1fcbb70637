//! `wabridge keys`.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;
use wabridge_domain::seal;

/// Prints a new key, or writes it to a file that must not exist yet.
pub fn generate(out: Option<&Path>) -> anyhow::Result<()> {
    let key = seal::generate_key();
    let Some(path) = out else {
        println!("{}", key.expose());
        return Ok(());
    };
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| {
            format!("{} cannot be made (an existing key is never overwritten)", path.display())
        })?;
    writeln!(file, "{}", key.expose()).with_context(|| path.display().to_string())?;
    println!("a new key is in {}", path.display());
    Ok(())
}
