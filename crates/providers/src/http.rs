//! The one HTTP client, and reading of answers that cannot grow without bound.

use std::io;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use jiff::fmt::rfc2822;
use url::Url;
use wabridge_domain::Secret;

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

/// Longest answer that is read.
const ANSWER_MAX_BYTES: usize = 1024 * 1024;
/// The same for a page of a list: 500 messages with previews, or groups of a thousand members each.
pub(crate) const PAGE_MAX_BYTES: usize = 16 * 1024 * 1024;

/// Longest wait that a provider may ask for; more is read as this.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// An answer, as far as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: StatusCode,
    pub retry_after: Option<Duration>,
    /// The whole body, or why it is not whole.
    pub body: Result<Vec<u8>, Lost>,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No byte of the request was written.
    NotWritten(&'static str),
    /// Bytes may have been written; what became of them is unknown.
    Lost(Lost),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lost {
    TimedOut,
    Cut,
    TooLong,
}

impl Lost {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::TimedOut => "no whole answer came in time",
            Self::Cut => "the connection broke before the whole answer came",
            Self::TooLong => "the answer was longer than any that makes sense",
        }
    }
}

/// Makes one call and reads its answer.
pub(crate) async fn exchange(request: reqwest::RequestBuilder) -> Result<Answer, Failure> {
    exchange_within(request, ANSWER_MAX_BYTES).await
}

/// The same with a bound of its own for the answer.
pub(crate) async fn exchange_within(
    request: reqwest::RequestBuilder,
    max_bytes: usize,
) -> Result<Answer, Failure> {
    let mut response = request.send().await.map_err(|error| failure(&error))?;
    let status = response.status();
    let retry_after = retry_after(response.headers());
    let mut body = Vec::new();
    let body = loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > max_bytes => {
                break Err(Lost::TooLong);
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => break Ok(body),
            Err(error) => break Err(lost(&error)),
        }
    };
    Ok(Answer { status, retry_after, body })
}

fn failure(error: &reqwest::Error) -> Failure {
    // Only a connector says "connect": up to there not one byte of the request was handed over.
    if error.is_connect() {
        Failure::NotWritten(no_connection(error))
    } else if error.is_builder() {
        Failure::NotWritten("the request could not be built")
    } else {
        Failure::Lost(lost(error))
    }
}

fn lost(error: &reqwest::Error) -> Lost {
    if error.is_timeout() { Lost::TimedOut } else { Lost::Cut }
}

/// Why there is no connection, in words of our own: the library's name hosts and addresses.
fn no_connection(error: &reqwest::Error) -> &'static str {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            match io.kind() {
                io::ErrorKind::ConnectionRefused => return "the connection was refused",
                io::ErrorKind::TimedOut => return "no connection was made in time",
                io::ErrorKind::InvalidData => return "the TLS handshake failed",
                _ => {}
            }
        }
        cause = error.source();
    }
    if error.is_timeout() {
        "no connection was made in time"
    } else {
        "no connection could be made (address, network or TLS)"
    }
}

/// `Retry-After`: seconds, or a date, which is measured against the answer's own `Date`, so that neither
/// clock needs to be right. A date without `Date` tells nothing.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let value = text(header::RETRY_AFTER)?;
    let asked = if value.bytes().all(|b| b.is_ascii_digit()) && !value.is_empty() {
        value.parse().map_or(RETRY_AFTER_MAX, Duration::from_secs)
    } else {
        let until = rfc2822::parse(value).ok()?.timestamp();
        let now = rfc2822::parse(text(header::DATE)?).ok()?.timestamp();
        Duration::try_from(until.duration_since(now)).unwrap_or_default()
    };
    Some(asked.min(RETRY_AFTER_MAX))
}

/// Why a call cannot even be tried; somebody has to correct the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unusable {
    BaseUrl,
    Token,
}

impl Unusable {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::BaseUrl => "the account's base URL is no http(s) address; correct it",
            Self::Token => "the account's token holds characters that no token has; set it again",
        }
    }
}

/// `base` with path segments added; a path that `base` brings stays in front.
pub(crate) fn join(base: &str, segments: &[&str]) -> Result<Url, Unusable> {
    let mut url = Url::parse(base.trim()).map_err(|_| Unusable::BaseUrl)?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(Unusable::BaseUrl);
    }
    url.set_query(None);
    url.set_fragment(None);
    url.path_segments_mut().map_err(|()| Unusable::BaseUrl)?.pop_if_empty().extend(segments);
    Ok(url)
}

/// Names our request at the provider, so that one id finds a call in its log and in ours.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longer ones are nobody's id; they stay here.
const REQUEST_ID_MAX_BYTES: usize = 128;

/// The request with our id for it. An id that does not fit into a header is left out: it only joins logs.
pub(crate) fn identified(
    request: reqwest::RequestBuilder,
    request_id: &str,
) -> reqwest::RequestBuilder {
    let fits = (1..=REQUEST_ID_MAX_BYTES).contains(&request_id.len())
        && request_id.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { request.header(REQUEST_ID, request_id) } else { request }
}

/// A header value that logs and debug output do not show.
pub(crate) fn sensitive(value: &str) -> Result<HeaderValue, Unusable> {
    let mut value = HeaderValue::try_from(value).map_err(|_| Unusable::Token)?;
    value.set_sensitive(true);
    Ok(value)
}

/// A provider's own words, fit for a row and a screen: one line, bounded, without the token.
pub(crate) fn words(text: &str, token: &Secret) -> String {
    const MAX_CHARS: usize = 300;
    let token = token.expose();
    let text = if token.len() >= 4 { text.replace(token, "[redacted]") } else { text.to_owned() };
    let one_line: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_CHARS + 1).collect();
    if one_line.chars().count() > MAX_CHARS {
        let cut: String = one_line.chars().take(MAX_CHARS).collect();
        format!("{}…", cut.trim())
    } else {
        one_line.trim().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(retry_after_text: &str, date: Option<&str>) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, HeaderValue::from_str(retry_after_text).unwrap());
        if let Some(date) = date {
            headers.insert(header::DATE, HeaderValue::from_str(date).unwrap());
        }
        retry_after(&headers)
    }

    #[test]
    fn retry_after_in_both_forms() {
        let date = Some("Wed, 21 Oct 2015 07:28:00 GMT");
        assert_eq!(asked("17", None), Some(Duration::from_secs(17)));
        assert_eq!(asked("99999999999999999999999", None), Some(RETRY_AFTER_MAX));
        let until = "Wed, 21 Oct 2015 07:28:40 GMT";
        assert_eq!(asked(until, date), Some(Duration::from_secs(40)));
        assert_eq!(asked(until, None), None);
        assert_eq!(asked("Wed, 21 Oct 2015 07:00:00 GMT", date), Some(Duration::ZERO));
        for nonsense in ["", "soon", "-5", "1.5"] {
            assert_eq!(asked(nonsense, date), None, "{nonsense:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }

    #[test]
    fn base_urls_are_joined() {
        let joined = |base| join(base, &["messages", "text"]).map(|url| url.to_string());
        assert_eq!(joined("http://h:1").unwrap(), "http://h:1/messages/text");
        assert_eq!(joined(" http://h:1/ ").unwrap(), "http://h:1/messages/text");
        assert_eq!(
            joined("https://h/sand/box/?q=1#f").unwrap(),
            "https://h/sand/box/messages/text"
        );
        for wrong in ["", "h:1", "ftp://h", "mailto:x@h", "/only/path", "http://"] {
            assert_eq!(joined(wrong), Err(Unusable::BaseUrl), "{wrong:?}");
        }
        assert_eq!(join("http://h", &["a/b?c"]).unwrap().path(), "/a%2Fb%3Fc");
    }

    #[test]
    fn only_what_fits_into_a_header_names_a_request() {
        let client = http_client(&HttpOptions::default()).unwrap();
        let named = |id: &str| {
            let request = identified(client.get("http://127.0.0.1:9/"), id).build().unwrap();
            request.headers().get(REQUEST_ID).map(|value| value.to_str().unwrap().to_owned())
        };
        for id in ["0195602a-4f5c-7d1e-9a53-0d9d3a2c8f11", "campaign-12-345"] {
            assert_eq!(named(id).as_deref(), Some(id));
        }
        for id in ["", "a\r\nb: c", "two words", "é", &"x".repeat(129)] {
            assert_eq!(named(id), None, "{id:?}");
        }
    }

    #[test]
    fn words_are_bounded_and_without_the_token() {
        let token = Secret::new("canary-5521");
        assert_eq!(words("bad\ntoken canary-5521\0", &token), "bad token [redacted]");
        assert_eq!(words(&"é".repeat(5000), &token).chars().count(), 301);
        assert_eq!(words("as it is", &Secret::new("")), "as it is");
    }
}
