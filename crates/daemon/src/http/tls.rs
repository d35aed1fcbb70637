//! TLS of a listener: certificate and key from files, read again when they change.

use std::path::PathBuf;
use std::sync::{Arc, RwLock};

use serde::Deserialize;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Where a listener's certificate is.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// PEM: the certificate, then what leads from it to its authority.
    pub certificate_file: PathBuf,
    /// PEM: its private key.
    pub key_file: PathBuf,
    /// The name that clients reach it by, as the certificate has it: `wabridge rpc` asks for it.
    #[serde(default = "localhost")]
    pub name: String,
}

fn localhost() -> String {
    "localhost".into()
}

/// What a listener presents at the moment. Connections keep what they began with.
#[derive(Clone)]
pub struct Tls {
    settings: Settings,
    now: Arc<RwLock<Now>>,
}

struct Now {
    files: (Vec<u8>, Vec<u8>),
    acceptor: TlsAcceptor,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads certificate and key.
    ///
    /// # Errors
    /// A sentence that names the file; never a part of it.
    pub fn new(settings: &Settings) -> Result<Self, String> {
        let now = read(settings)?;
        Ok(Self { settings: settings.clone(), now: Arc::new(RwLock::new(now)) })
    }

    /// Reads the files again; true when something else stands there. On an error the former stay in use.
    ///
    /// # Errors
    /// As [`Tls::new`].
    pub fn reload(&self) -> Result<bool, String> {
        let next = read(&self.settings)?;
        let mut now = self.now.write().expect(UNBROKEN);
        let changed = now.files != next.files;
        if changed {
            *now = next;
        }
        Ok(changed)
    }

    /// For one connection.
    pub fn acceptor(&self) -> TlsAcceptor {
        self.now.read().expect(UNBROKEN).acceptor.clone()
    }
}

const UNBROKEN: &str = "no holder of this lock can panic";

fn read(settings: &Settings) -> Result<Now, String> {
    let (certificate, key) = (&settings.certificate_file, &settings.key_file);
    let text = |path: &PathBuf| {
        std::fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
    };
    let files = (text(certificate)?, text(key)?);
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&files.0)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("{} is no PEM file: {error}", certificate.display()))?;
    if chain.is_empty() {
        return Err(format!("{} holds no certificate", certificate.display()));
    }
    let private = PrivateKeyDer::from_pem_slice(&files.1)
        .map_err(|_| format!("{} holds no private key in PEM form", key.display()))?;
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|error| {
            format!("{} and {} do not go together: {error}", certificate.display(), key.display())
        })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Now { files, acceptor: TlsAcceptor::from(Arc::new(config)) })
}
