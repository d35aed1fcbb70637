//! A server of files: the provider's own API (`/media/<id>`, with the account's token) and links.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// What a path answers.
#[derive(Clone)]
pub enum Reply {
    Bytes(Arc<Vec<u8>>),
    Status(u16),
    Redirect(String),
    /// Half of the bytes, then nothing until [`Files::release`].
    Stalls(Arc<Vec<u8>>),
    /// So many bytes, made up while they are sent, without telling how many.
    Endless(u64),
}

#[derive(Default)]
struct State {
    replies: HashMap<String, Reply>,
    /// (path, Authorization)
    requests: Vec<(String, Option<String>)>,
}

/// The running server; it ends with the test.
#[derive(Clone)]
pub struct Files {
    pub port: u16,
    state: Arc<Mutex<State>>,
    released: Arc<Notify>,
}

impl Files {
    /// On every address of this machine: 127.0.0.1 is allowed in tests, the others are not.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("0.0.0.0", 0)).await.expect("a port is free");
        let port = listener.local_addr().expect("it has an address").port();
        let files = Self { port, state: Arc::default(), released: Arc::default() };
        let served = files.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let files = served.clone();
                tokio::spawn(async move { files.answer(stream).await });
            }
        });
        files
    }

    /// Sets what `path` answers; its address.
    pub fn set(&self, path: &str, reply: Reply) -> String {
        self.state.lock().expect("whole").replies.insert(path.to_owned(), reply);
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// As [`Files::set`] for some bytes.
    pub fn bytes(&self, path: &str, bytes: &[u8]) -> String {
        self.set(path, Reply::Bytes(Arc::new(bytes.to_vec())))
    }

    /// Lets what stalls go on, from now on.
    pub fn release(&self) {
        self.released.notify_waiters();
    }

    /// The requests for a path: their Authorization headers.
    pub fn requests(&self, path: &str) -> Vec<Option<String>> {
        let state = self.state.lock().expect("whole");
        state.requests.iter().filter(|(p, _)| p == path).map(|(_, a)| a.clone()).collect()
    }

    async fn answer(&self, stream: TcpStream) {
        let mut stream = BufReader::new(stream);
        let (mut path, mut authorization, mut line) = (String::new(), None, String::new());
        loop {
            line.clear();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            let text = line.trim_end();
            if path.is_empty() {
                path = text.split(' ').nth(1).unwrap_or_default().to_owned();
            } else if text.is_empty() {
                break;
            } else if let Some((name, value)) = text.split_once(':')
                && name.eq_ignore_ascii_case("authorization")
            {
                authorization = Some(value.trim().to_owned());
            }
        }
        let reply = {
            let mut state = self.state.lock().expect("whole");
            state.requests.push((path.clone(), authorization));
            state.replies.get(&path).cloned().unwrap_or(Reply::Status(404))
        };
        // Who hangs up ends it; the test looks at the other side.
        if let Err(error) = self.send(stream.get_mut(), reply).await {
            eprintln!("{path}: the daemon hung up: {error}");
        }
    }

    async fn send(&self, stream: &mut TcpStream, reply: Reply) -> std::io::Result<()> {
        let head = |status: u16, more: &str| {
            format!("HTTP/1.1 {status} X\r\nconnection: close\r\n{more}\r\n")
        };
        let length = |bytes: &[u8]| format!("content-length: {}\r\n", bytes.len());
        match reply {
            Reply::Status(code) => {
                stream.write_all(head(code, "content-length: 0\r\n").as_bytes()).await?;
            }
            Reply::Redirect(to) => {
                let more = format!("location: {to}\r\ncontent-length: 0\r\n");
                stream.write_all(head(302, &more).as_bytes()).await?;
            }
            Reply::Bytes(bytes) => {
                stream.write_all(head(200, &length(&bytes)).as_bytes()).await?;
                stream.write_all(&bytes).await?;
            }
            Reply::Stalls(bytes) => {
                let (first, second) = bytes.split_at(bytes.len() / 2);
                stream.write_all(head(200, &length(&bytes)).as_bytes()).await?;
                stream.write_all(first).await?;
                stream.flush().await?;
                self.released.notified().await;
                stream.write_all(second).await?;
            }
            Reply::Endless(bytes) => {
                stream.write_all(head(200, "").as_bytes()).await?;
                let piece = noise(64 * 1024, 7);
                let mut left = bytes;
                while left > 0 {
                    let now = left.min(piece.len() as u64);
                    stream.write_all(&piece[..usize::try_from(now).expect("small")]).await?;
                    left -= now;
                }
            }
        }
        stream.shutdown().await
    }
}

/// Bytes that look random and are the same for the same seed.
pub fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
