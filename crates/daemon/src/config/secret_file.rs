//! Secrets in files of their own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use wabridge_domain::Secret;

use super::{ConfigError, value};

/// What names a file that the service manager hands over.
const CREDENTIAL: &str = "credential:";

pub(super) fn take_file(
    slot: &mut Option<Secret>,
    file: &mut Option<PathBuf>,
    setting: &str,
) -> Result<(), ConfigError> {
    match (slot.is_some(), file.take()) {
        (true, Some(_)) => {
            Err(value(setting, format!("is given twice, also as {setting}_file; keep one")))
        }
        (false, Some(path)) => {
            *slot = Some(read_secret(&path, &format!("{setting}_file"))?);
            Ok(())
        }
        (_, None) => Ok(()),
    }
}

/// The content of a file without the line break at its end. `credential:NAME` is a file that the service manager
/// hands over (systemd's `LoadCredential=`, `LoadCredentialEncrypted=`).
pub(super) fn read_secret(path: &Path, setting: &str) -> Result<Secret, ConfigError> {
    let path = &place_of(path, setting)?;
    let text = std::fs::read_to_string(path)
        .map_err(|error| value(setting, format!("{} cannot be read: {error}", path.display())))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(value(setting, format!("{} is empty", path.display())));
    }
    Ok(Secret::new(text))
}

/// Where a secret's file is.
pub(super) fn place_of(path: &Path, setting: &str) -> Result<PathBuf, ConfigError> {
    place(path, setting, std::env::var_os("CREDENTIALS_DIRECTORY"))
}

fn place(path: &Path, setting: &str, handed: Option<OsString>) -> Result<PathBuf, ConfigError> {
    let Some(name) = path.to_str().and_then(|text| text.strip_prefix(CREDENTIAL)) else {
        return Ok(path.to_owned());
    };
    if name.is_empty() || name.contains('/') || name.starts_with('.') {
        return Err(value(setting, "credential: is followed by the name of a credential"));
    }
    let directory = handed.ok_or_else(|| {
        value(
            setting,
            format!("names the credential {name}, but the service manager handed none over (CREDENTIALS_DIRECTORY is not set): add LoadCredential={name}:… to the unit"),
        )
    })?;
    Ok(PathBuf::from(directory).join(name))
}

/// The keys `<id>.key` of a directory, by id. Other files in it are none of ours.
pub(super) fn keys_in(
    directory: &Path,
    setting: &str,
) -> Result<Vec<(String, Secret)>, ConfigError> {
    let unreadable = |error: std::io::Error| {
        value(setting, format!("{} cannot be read: {error}", directory.display()))
    };
    let mut keys = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name();
        let Some(id) = name.to_str().and_then(|name| name.strip_suffix(".key")) else { continue };
        // A file that is being written has another name, beginning with a dot.
        if id.is_empty() || id.starts_with('.') {
            continue;
        }
        keys.push((id.to_owned(), read_secret(&directory.join(&name), setting)?));
    }
    keys.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_of_the_service_manager() {
        let directory = tempfile::tempdir().unwrap();
        let handed = || Some(directory.path().as_os_str().to_owned());
        let named = Path::new("credential:acme.seal");
        assert_eq!(place(named, "s", handed()).unwrap(), directory.path().join("acme.seal"));
        assert!(place(named, "s", None).unwrap_err().to_string().contains("LoadCredential"));
        for wrong in ["credential:", "credential:../x", "credential:a/b", "credential:.."] {
            assert!(place(Path::new(wrong), "s", handed()).is_err(), "{wrong}");
        }
        assert_eq!(place(Path::new("/a/b"), "s", None).unwrap(), Path::new("/a/b"));
    }

    #[test]
    fn keys_of_a_directory() {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in
            [("k2.key", "two\n"), ("k1.key", "one"), (".k3.key", "x"), ("README", "x")]
        {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        let keys = keys_in(directory.path(), "s").unwrap();
        let read: Vec<(&str, &str)> =
            keys.iter().map(|(id, key)| (id.as_str(), key.expose())).collect();
        assert_eq!(read, [("k1", "one"), ("k2", "two")]);
        assert!(keys_in(&directory.path().join("none"), "databases.x").is_err());
    }
}
