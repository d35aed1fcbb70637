//! The one HTTP client, and reading of answers that cannot grow without bound.

use std::time::Duration;

/// How the client connects.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    pub connect_timeout: Duration,
    /// Idle connections that are kept per host.
    pub pool_max_idle_per_host: usize,
    pub pool_idle_timeout: Duration,
    /// Take proxies from the environment (`HTTPS_PROXY` and its kin).
    pub proxies_from_environment: bool,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            pool_max_idle_per_host: 16,
            // Below what servers usually keep (60 s and more): fewer requests meet a connection that is being closed.
            pool_idle_timeout: Duration::from_secs(30),
            proxies_from_environment: false,
        }
    }
}

/// The client cannot be made (TLS set-up).
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client cannot be made; is the machine's certificate store there? {0}")]
pub struct HttpClientError(#[from] reqwest::Error);

/// The client for every call to a provider: no redirects, no repetition of its own, HTTP/1.1 over rustls.
/// The time-out of a whole call is set per call ([`crate::Call::timeout`]).
///
/// # Errors
/// [`HttpClientError`].
pub fn http_client(options: &HttpOptions) -> Result<reqwest::Client, HttpClientError> {
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("wabridge/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(options.connect_timeout)
        .pool_max_idle_per_host(options.pool_max_idle_per_host)
        .pool_idle_timeout(options.pool_idle_timeout)
        .redirect(reqwest::redirect::Policy::none())
        // Not even a refused stream is sent again: what a call came to is decided above this crate.
        .retry(reqwest::retry::never())
        .tcp_nodelay(true)
        .referer(false);
    if !options.proxies_from_environment {
        builder = builder.no_proxy();
    }
    Ok(builder.build()?)
}
