//! Sealed files in their store: `<installation>/<database>/<two digits>/<random id>`, so that nothing is ever
//! written over and a name tells nothing of the content. Written as they come in, read by ranges.
//!
//! A copy of a database has the installation of its original and reads its files, but writes and removes in a
//! folder of its own only: what it does not know of may be the original's.

use std::ops::Range;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt};
use tokio::sync::OnceCell;
use uuid::Uuid;
use wabridge_domain::seal::{KeyRing, key_id_of};
use wabridge_store::media::Blob;
use wabridge_store::meta::Identity;

use super::seal::{CHUNK, FileKey, MAGIC, Sealer, Span, Unsealable};

/// Sealed bytes that are gathered before they are written.
const PART: usize = 512 * 1024;
/// Chunks that are read at a time.
const READ_CHUNKS: u64 = 4;
/// First bytes of a file that are kept for finding out what it is.
pub const HEAD: usize = 16 * 1024;

/// Why a file cannot be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    #[error(
        "media.directory {path} cannot be used: {reason}; make it and give it to the daemon's user"
    )]
    Directory { path: String, reason: String },
    #[error("the store of files failed: {0}")]
    Store(#[from] object_store::Error),
    #[error("a stored file does not open: {0}")]
    Unsealable(#[from] Unsealable),
    #[error("a stored file is missing")]
    Missing,
}

/// Where one database writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    pub installation: Uuid,
    path: String,
}

impl Folder {
    pub fn new(installation: Uuid, database: &Identity) -> Self {
        let Identity { database_uuid, system_identifier, database_oid, .. } = database;
        let cluster = system_identifier.as_deref().unwrap_or_default();
        let which = format!("{database_uuid}/{cluster}/{database_oid}");
        let which = hex::encode(digest::digest(&digest::SHA256, which.as_bytes()));
        Self { installation, path: format!("{installation}/{}", &which[..12]) }
    }

    /// Whether a location is in it.
    pub fn holds(&self, location: &str) -> bool {
        location.strip_prefix(self.path.as_str()).is_some_and(|rest| rest.starts_with('/'))
    }
}

/// The store of one daemon; its directory is made when it is first needed.
#[derive(Debug)]
pub struct Blobs {
    directory: PathBuf,
    store: OnceCell<Arc<dyn ObjectStore>>,
}

impl Blobs {
    pub fn new(directory: PathBuf) -> Self {
        Self { directory, store: OnceCell::new() }
    }

    /// The store.
    ///
    /// # Errors
    /// [`BlobError::Directory`].
    pub async fn store(&self) -> Result<&Arc<dyn ObjectStore>, BlobError> {
        let problem = |reason: String| BlobError::Directory {
            path: self.directory.display().to_string(),
            reason,
        };
        self.store
            .get_or_try_init(|| async {
                std::fs::DirBuilder::new()
                    .recursive(true)
                    .mode(0o700)
                    .create(&self.directory)
                    .map_err(|error| problem(error.to_string()))?;
                let store = LocalFileSystem::new_with_prefix(&self.directory)
                    .map_err(|error| problem(error.to_string()))?
                    .with_fsync(true);
                Ok(Arc::new(store) as Arc<dyn ObjectStore>)
            })
            .await
    }

    /// Begins a new file in a folder.
    ///
    /// # Errors
    /// [`BlobError`].
    pub async fn begin(&self, folder: &Folder) -> Result<Incoming, BlobError> {
        let id = Uuid::new_v4();
        let text = id.simple().to_string();
        let location = format!("{}/{}/{text}", folder.path, &text[..2]);
        let installation = folder.installation;
        let upload = self.store().await?.put_multipart(&Path::from(location.as_str())).await?;
        Ok(Incoming {
            upload: Some(upload),
            sealer: Sealer::new(FileKey::generate(installation, id)),
            hash: digest::Context::new(&digest::SHA256),
            head: Vec::new(),
            size: 0,
            location,
        })
    }

    /// Opens a file for reading.
    ///
    /// # Errors
    /// [`BlobError`].
    pub async fn open(
        &self,
        ring: &KeyRing,
        installation: Uuid,
        blob: &Blob,
    ) -> Result<Stored, BlobError> {
        let id = blob.location.rsplit('/').next().unwrap_or_default();
        let id = Uuid::parse_str(id).map_err(|_| Unsealable::Damaged)?;
        let key = FileKey::open(ring, installation, &blob.checksum, id, &blob.sealed_key)?;
        let stored = Stored {
            store: Arc::clone(self.store().await?),
            path: Path::from(blob.location.as_str()),
            key: Arc::new(key),
            size: u64::try_from(blob.size).unwrap_or_default(),
        };
        let magic = stored.raw(0..MAGIC.len() as u64).await?;
        if magic.as_ref() == MAGIC { Ok(stored) } else { Err(Unsealable::Damaged.into()) }
    }

    /// Whether something is there.
    ///
    /// # Errors
    /// [`BlobError`].
    pub async fn exists(&self, location: &str) -> Result<bool, BlobError> {
        match self.store().await?.head(&Path::from(location)).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes a file; one that is not there is no error.
    ///
    /// # Errors
    /// [`BlobError`].
    pub async fn remove(&self, location: &str) -> Result<(), BlobError> {
        match self.store().await?.delete(&Path::from(location)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Locations in a folder that were written more than `age` ago.
    ///
    /// # Errors
    /// [`BlobError`].
    pub async fn older_than(
        &self,
        folder: &Folder,
        age: Duration,
    ) -> Result<Vec<String>, BlobError> {
        let prefix = Path::from(folder.path.as_str());
        let mut list = self.store().await?.list(Some(&prefix));
        let mut found = Vec::new();
        while let Some(entry) = list.next().await {
            let entry = entry?;
            if is_older(entry.last_modified.into(), age) {
                found.push(entry.location.to_string());
            }
        }
        Ok(found)
    }

    /// Removes what interrupted writes left more than `age` ago: the store's own unfinished files, whose names
    /// end in `#<number>`. Returns how many.
    ///
    /// # Errors
    /// [`BlobError::Directory`].
    pub async fn tidy(&self, folder: &Folder, age: Duration) -> Result<usize, BlobError> {
        let root = self.directory.join(&folder.path);
        let removed = tokio::task::spawn_blocking(move || tidy(&root, age)).await;
        removed.unwrap_or_else(|panicked| Err(std::io::Error::other(panicked))).map_err(|error| {
            BlobError::Directory {
                path: self.directory.display().to_string(),
                reason: error.to_string(),
            }
        })
    }
}

fn tidy(root: &std::path::Path, age: Duration) -> std::io::Result<usize> {
    let mut removed = 0;
    let folders = match std::fs::read_dir(root) {
        Ok(folders) => folders,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(error),
    };
    for folder in folders {
        for file in std::fs::read_dir(folder?.path())? {
            let file = file?;
            let unfinished = file.file_name().to_string_lossy().contains('#');
            if unfinished && is_older(file.metadata()?.modified()?, age) {
                std::fs::remove_file(file.path())?;
                removed += 1;
            }
        }
    }
    Ok(removed)
}

/// By the clock of the file system, against itself: both times are its own.
fn is_older(written: std::time::SystemTime, age: Duration) -> bool {
    written.elapsed().is_ok_and(|elapsed| elapsed > age)
}

/// A file that is coming in.
pub struct Incoming {
    upload: Option<Box<dyn MultipartUpload>>,
    sealer: Sealer,
    hash: digest::Context,
    head: Vec<u8>,
    size: u64,
    location: String,
}

/// A file that was written as a whole.
pub struct Written {
    pub blob: Blob,
    /// Its first bytes, [`HEAD`] at most.
    pub head: Vec<u8>,
}

impl Incoming {
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Takes more of the content.
    ///
    /// # Errors
    /// [`BlobError::Store`].
    pub async fn push(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        self.size += bytes.len() as u64;
        self.hash.update(bytes);
        let missing = HEAD - self.head.len();
        self.head.extend_from_slice(&bytes[..bytes.len().min(missing)]);
        for piece in bytes.chunks(PART) {
            self.sealer.push(piece);
            if self.sealer.ready() >= PART {
                let sealed = self.sealer.take();
                self.write(sealed).await?;
            }
        }
        Ok(())
    }

    async fn write(&mut self, sealed: Vec<u8>) -> Result<(), BlobError> {
        match &mut self.upload {
            Some(upload) => Ok(upload.put_part(sealed.into()).await?),
            None => Err(BlobError::Missing),
        }
    }

    /// Ends it; the file is on disk then.
    ///
    /// # Errors
    /// [`BlobError::Store`].
    pub async fn finish(mut self, ring: &KeyRing) -> Result<Written, BlobError> {
        let Some(mut upload) = self.upload.take() else { return Err(BlobError::Missing) };
        let (rest, key) = self.sealer.finish();
        if let Err(error) = async {
            upload.put_part(rest.into()).await?;
            upload.complete().await
        }
        .await
        {
            abort(&mut *upload).await;
            return Err(error.into());
        }
        let checksum = hex::encode(self.hash.finish());
        let sealed_key = key.sealed(ring, &checksum);
        let blob = Blob {
            location: self.location,
            size: i64::try_from(self.size).unwrap_or(i64::MAX),
            // Of the value itself: another key may be the active one by now.
            sealed_by: key_id_of(&sealed_key).unwrap_or_default().to_owned(),
            sealed_key,
            checksum,
        };
        Ok(Written { blob, head: self.head })
    }

    /// Ends it without a file.
    pub async fn abandon(mut self) {
        if let Some(mut upload) = self.upload.take() {
            abort(&mut *upload).await;
        }
    }
}

async fn abort(upload: &mut dyn MultipartUpload) {
    if let Err(error) = upload.abort().await {
        tracing::debug!(%error, "an unfinished file stays until it is collected: {error}");
    }
}

/// A sealed file that can be read.
#[derive(Clone)]
pub struct Stored {
    store: Arc<dyn ObjectStore>,
    path: Path,
    key: Arc<FileKey>,
    size: u64,
}

impl Stored {
    /// Bytes of the content.
    pub fn size(&self) -> u64 {
        self.size
    }

    async fn raw(&self, range: Range<u64>) -> Result<Bytes, BlobError> {
        match self.store.get_range(&self.path, range).await {
            Ok(bytes) => Ok(bytes),
            Err(object_store::Error::NotFound { .. }) => Err(BlobError::Missing),
            Err(error) => Err(error.into()),
        }
    }

    /// `from..to` of the content, in pieces of bounded size.
    pub fn stream(self, from: u64, to: u64) -> impl Stream<Item = Result<Bytes, BlobError>> + Send {
        let to = to.min(self.size);
        stream::try_unfold((self, from), move |(stored, at)| async move {
            if at >= to {
                return Ok(None);
            }
            let first = at / CHUNK as u64;
            let until = ((first + READ_CHUNKS) * CHUNK as u64).min(to);
            let piece = stored.read(at, until).await?;
            Ok(Some((piece, (stored, until))))
        })
    }

    /// `from..to` of the content at once; for what is known to be small.
    ///
    /// # Errors
    /// [`BlobError`].
    pub async fn read(&self, from: u64, to: u64) -> Result<Bytes, BlobError> {
        let to = to.min(self.size);
        if from >= to {
            return Ok(Bytes::new());
        }
        let span = Span::of(self.size, from, to);
        let places =
            Span::place(self.size, span.first).start..Span::place(self.size, span.end - 1).end;
        let mut sealed = self.raw(places.clone()).await?.to_vec();
        let mut content = Vec::with_capacity(sealed.len());
        for number in span.first..span.end {
            let place = Span::place(self.size, number);
            let place = offset(place.start - places.start)..offset(place.end - places.start);
            let chunk = sealed.get_mut(place).ok_or(Unsealable::Damaged)?;
            content.extend_from_slice(self.key.open_chunk(number, number == span.last, chunk)?);
        }
        let skip = offset(from - span.first * CHUNK as u64);
        Ok(Bytes::from(content).slice(skip..skip + offset(to - from)))
    }
}

fn offset(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(oid: i64) -> Folder {
        let database = Identity {
            database_uuid: "u-1".into(),
            system_identifier: Some("7".into()),
            database_oid: oid,
            database_name: "acme".into(),
        };
        Folder::new(Uuid::nil(), &database)
    }

    #[test]
    fn a_copy_has_a_folder_of_its_own() {
        let (original, copy) = (folder(1), folder(2));
        assert_ne!(original, copy);
        let location = format!("{}/ab/abcdef", original.path);
        assert!(original.holds(&location) && folder(1).holds(&location));
        assert!(!copy.holds(&location));
        assert!(!original.holds(&format!("{}x/ab/abcdef", original.path)));
    }

    #[tokio::test]
    async fn what_is_written_is_read_and_removed() {
        let directory = tempfile::tempdir().unwrap();
        let blobs = Blobs::new(directory.path().join("made/when/needed"));
        let secret = wabridge_domain::seal::generate_key();
        let ring = KeyRing::new([("k1", &secret, true)]).unwrap();
        let content: Vec<u8> = (0..1_500_000u32).map(|n| u8::try_from(n % 253).unwrap()).collect();
        let mut incoming = blobs.begin(&folder(1)).await.unwrap();
        for piece in content.chunks(70_001) {
            incoming.push(piece).await.unwrap();
        }
        let written = incoming.finish(&ring).await.unwrap();
        assert_eq!(written.head, content[..HEAD]);
        let stored = blobs.open(&ring, Uuid::nil(), &written.blob).await.unwrap();
        let mut read = Vec::new();
        let mut stream = std::pin::pin!(stored.clone().stream(65_000, 1_400_001));
        while let Some(piece) = stream.next().await {
            read.extend_from_slice(&piece.unwrap());
        }
        assert_eq!(read, content[65_000..1_400_001]);

        // Of a write that was cut off something stays until it is tidied up; whole files do not go with it.
        let mut cut = blobs.begin(&folder(1)).await.unwrap();
        cut.push(&content).await.unwrap();
        std::mem::forget(cut);
        assert_eq!(blobs.tidy(&folder(1), Duration::from_secs(3600)).await.unwrap(), 0);
        assert_eq!(blobs.tidy(&folder(2), Duration::ZERO).await.unwrap(), 0);
        assert_eq!(blobs.tidy(&folder(1), Duration::ZERO).await.unwrap(), 1);
        let listed = blobs.older_than(&folder(1), Duration::ZERO).await.unwrap();
        assert_eq!(listed, std::slice::from_ref(&written.blob.location));
        assert!(blobs.older_than(&folder(2), Duration::ZERO).await.unwrap().is_empty());
        blobs.remove(&written.blob.location).await.unwrap();
        assert!(!blobs.exists(&written.blob.location).await.unwrap());
        blobs.remove(&written.blob.location).await.unwrap();
        assert!(matches!(
            blobs.open(&ring, Uuid::nil(), &written.blob).await.err(),
            Some(BlobError::Missing)
        ));
    }
}
