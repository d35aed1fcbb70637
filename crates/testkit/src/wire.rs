//! HTTP/1.1 as plain bytes over one kept connection: cheap enough to load a daemon from the cores it runs on.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Nobody is asked longer than this.
const PATIENCE: Duration = Duration::from_secs(120);

/// One connection to a daemon, opened again when it ended.
#[derive(Debug)]
pub struct Wire {
    address: SocketAddr,
    stream: Option<TcpStream>,
    answer: Vec<u8>,
}

impl Wire {
    /// To the host and port of an `http://` address; connects with the first request.
    ///
    /// # Panics
    /// When the address names no IP address and port.
    pub fn to(url: &str) -> Self {
        let address = url.trim_start_matches("http://");
        let address = address.parse().unwrap_or_else(|error| panic!("{url}: {error}"));
        Self { address, stream: None, answer: vec![0; 4096] }
    }

    /// Sends a whole request and reads its answer; the status.
    ///
    /// # Errors
    /// The connection was refused, cut, or silent for too long: what became of the request is not known.
    pub async fn ask(&mut self, request: &[u8]) -> io::Result<u16> {
        let asked = tokio::time::timeout(PATIENCE, self.exchange(request)).await;
        let answer = asked.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        if answer.is_err() {
            self.stream = None;
        }
        answer
    }

    async fn exchange(&mut self, request: &[u8]) -> io::Result<u16> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(self.address).await?;
                stream.set_nodelay(true)?;
                self.stream.insert(stream)
            }
        };
        stream.write_all(request).await?;
        let mut got = 0;
        loop {
            if got == self.answer.len() {
                self.answer.resize(got * 2, 0);
            }
            let more = stream.read(&mut self.answer[got..]).await?;
            if more == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            got += more;
            if let Some(head) = head(&self.answer[..got])?
                && got >= head.length
            {
                if head.closes {
                    self.stream = None;
                }
                return Ok(head.status);
            }
        }
    }
}

struct Head {
    status: u16,
    /// Of head and body.
    length: usize,
    closes: bool,
}

fn head(bytes: &[u8]) -> io::Result<Option<Head>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let strange = || io::Error::from(io::ErrorKind::InvalidData);
    let text = std::str::from_utf8(&bytes[..end]).map_err(|_| strange())?;
    let mut lines = text.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let field = |wanted: &str| {
        text.lines().skip(1).find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case(wanted).then_some(value.trim())
        })
    };
    let body: usize = field("content-length").and_then(|n| n.parse().ok()).unwrap_or_default();
    Ok(Some(Head {
        status: status.ok_or_else(strange)?,
        length: end + 4 + body,
        closes: field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")),
    }))
}

/// The bytes of a POST with a bearer secret.
pub fn post(path: &str, bearer: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Authorization: Bearer {bearer}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_where_its_length_says() {
        let answer =
            b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
        let head = head(answer).unwrap().unwrap();
        assert_eq!((head.status, head.length, head.closes), (503, answer.len(), true));
        assert!(super::head(&answer[..40]).unwrap().is_none());
        assert!(super::head(b"nonsense\r\n\r\n").is_err());
    }
}
