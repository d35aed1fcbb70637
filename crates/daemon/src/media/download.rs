//! One download, streamed into the store: redirects are followed one by one, each to an address that may be
//! asked, and never with the account's token to somebody else.

use std::time::Duration;

use http::{StatusCode, header};
use reqwest::{Response, Url};
use wabridge_domain::seal::KeyRing;
use wabridge_providers::MediaAddress;

use super::address::{Refused, Rules};
use super::blobs::{BlobError, Blobs, Folder, Incoming, Written};

/// Redirects in a row.
const REDIRECTS: usize = 5;

/// Why the bytes are not here.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The link expired or the file is gone; another link may work.
    #[error("the file is not at its address any more (HTTP {0})")]
    Gone(u16),
    /// Following the link is refused.
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("the file is larger than the limit of {} MiB", limit / (1024 * 1024))]
    TooLarge { limit: u64 },
    /// May be better later.
    #[error("{message}")]
    Later { message: String, retry_after: Option<Duration> },
    /// Our own store: costs no try.
    #[error(transparent)]
    Store(#[from] BlobError),
}

fn later(message: impl Into<String>) -> Failed {
    Failed::Later { message: message.into(), retry_after: None }
}

/// The clients and bounds of downloads.
pub struct Downloader<'a> {
    /// For the account's own API.
    pub own: &'a reqwest::Client,
    /// For links that others gave us; resolves to public addresses only.
    pub public: &'a reqwest::Client,
    pub rules: &'a Rules,
    pub blobs: &'a Blobs,
    pub ring: &'a KeyRing,
    pub folder: &'a Folder,
    /// Bytes.
    pub limit: u64,
    /// Without a single byte.
    pub idle: Duration,
    /// For all of it.
    pub whole: Duration,
}

impl Downloader<'_> {
    /// Downloads one file.
    ///
    /// # Errors
    /// [`Failed`]; nothing is left of it then.
    pub async fn run(&self, address: &MediaAddress) -> Result<Written, Failed> {
        tokio::time::timeout(self.whole, self.download(address))
            .await
            .unwrap_or_else(|_| Err(later("the file did not come in time")))
    }

    async fn download(&self, address: &MediaAddress) -> Result<Written, Failed> {
        let response = self.ask(address).await?;
        if response.content_length().is_some_and(|bytes| bytes > self.limit) {
            return Err(Failed::TooLarge { limit: self.limit });
        }
        let mut incoming = self.blobs.begin(self.folder).await?;
        match self.take(response, &mut incoming).await {
            Ok(()) => Ok(incoming.finish(self.ring).await?),
            Err(failed) => {
                incoming.abandon().await;
                Err(failed)
            }
        }
    }

    async fn take(&self, mut response: Response, incoming: &mut Incoming) -> Result<(), Failed> {
        let announced = response.content_length();
        loop {
            let chunk = tokio::time::timeout(self.idle, response.chunk())
                .await
                .map_err(|_| later("the transfer stopped half-way"))?
                .map_err(|_| later("the connection broke half-way"))?;
            let Some(chunk) = chunk else { break };
            if incoming.size() + chunk.len() as u64 > self.limit {
                return Err(Failed::TooLarge { limit: self.limit });
            }
            incoming.push(&chunk).await?;
        }
        match announced {
            Some(bytes) if bytes != incoming.size() => Err(later("the connection broke half-way")),
            _ => Ok(()),
        }
    }

    /// The answer that carries the bytes.
    async fn ask(&self, address: &MediaAddress) -> Result<Response, Failed> {
        let mut url = Url::parse(&address.url).map_err(|_| Refused::Scheme)?;
        let home = address.own.then(|| url.origin());
        for _ in 0..=REDIRECTS {
            // Whatever the account's own API points at elsewhere is a link of somebody else.
            let own = home.as_ref().is_some_and(|home| *home == url.origin());
            let client = if own { self.own } else { self.public };
            if !own {
                self.rules.check(&url)?;
            }
            let mut request = client.get(url.clone()).header(header::ACCEPT, "*/*");
            if own && let Some(authorization) = &address.authorization {
                let mut value = header::HeaderValue::try_from(authorization.expose())
                    .map_err(|_| later("the account's token holds characters that no token has"))?;
                value.set_sensitive(true);
                request = request.header(header::AUTHORIZATION, value);
            }
            let response = tokio::time::timeout(self.idle, request.send())
                .await
                .map_err(|_| later("no answer came in time"))?
                .map_err(|error| unreachable(&error))?;
            let status = response.status();
            if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
                let to = response
                    .headers()
                    .get(header::LOCATION)
                    .and_then(|to| to.to_str().ok())
                    .and_then(|to| url.join(to).ok())
                    .ok_or_else(|| later("a redirect without a usable address"))?;
                url = to;
                continue;
            }
            return judge(response);
        }
        Err(later(format!("more than {REDIRECTS} redirects")))
    }
}

fn judge(response: Response) -> Result<Response, Failed> {
    let status = response.status();
    match status.as_u16() {
        200 => Ok(response),
        // Links that ran out are answered in many ways; whether the file is gone the provider's API tells.
        400 | 401 | 403 | 404 | 410 => Err(Failed::Gone(status.as_u16())),
        429 | 503 => {
            let retry_after = response
                .headers()
                .get(header::RETRY_AFTER)
                .and_then(|value| value.to_str().ok()?.trim().parse().ok())
                .map(Duration::from_secs);
            Err(Failed::Later {
                message: format!("the server asks to come later (HTTP {})", status.as_u16()),
                retry_after,
            })
        }
        code => Err(later(format!("the server answered HTTP {code}"))),
    }
}

/// Why there is no answer, without names and addresses.
fn unreachable(error: &reqwest::Error) -> Failed {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(at) = cause {
        if let Some(refused) = at.downcast_ref::<Refused>() {
            return Failed::Refused(*refused);
        }
        cause = at.source();
    }
    later(if error.is_timeout() {
        "no connection was made in time"
    } else if error.is_connect() {
        "no connection could be made"
    } else {
        "the connection broke before an answer came"
    })
}
