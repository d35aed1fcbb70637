//! A network between the daemon and PostgreSQL that can fail.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{broadcast, watch};

/// Passes bytes on, until it is told otherwise.
pub struct Proxy {
    pub port: u16,
    cut: broadcast::Sender<()>,
    flows: Arc<watch::Sender<bool>>,
}

impl Proxy {
    /// In front of a port of loopback.
    pub async fn before(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port is free");
        let own = listener.local_addr().expect("it has an address").port();
        let (cut, _) = broadcast::channel(1);
        let flows = Arc::new(watch::Sender::new(true));
        let (cuts, flowing) = (cut.clone(), Arc::clone(&flows));
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { continue };
                tokio::spawn(pass(client, server, cuts.subscribe(), flowing.subscribe()));
            }
        });
        Self { port: own, cut, flows }
    }

    /// Resets every connection.
    pub fn cut(&self) {
        // Nobody may be connected at this moment.
        self.cut.send(()).unwrap_or_default();
    }

    /// From now on not a byte passes, and nobody is told.
    pub fn swallow(&self) {
        self.flows.send_replace(false);
    }

    /// Bytes pass again.
    pub fn flow(&self) {
        self.flows.send_replace(true);
    }
}

async fn pass(
    mut client: TcpStream,
    mut server: TcpStream,
    mut cut: broadcast::Receiver<()>,
    mut flows: watch::Receiver<bool>,
) {
    let (mut of_client, mut of_server) = (vec![0; 65536], vec![0; 65536]);
    loop {
        let waits = async { flows.wait_for(|flows| *flows).await.map_or(true, |_| false) };
        tokio::select! {
            _ = cut.recv() => break,
            gone = waits => if gone { break },
        }
        tokio::select! {
            _ = cut.recv() => break,
            _ = flows.changed() => {}
            read = client.read(&mut of_client) => match read {
                Ok(n) if n > 0 => if server.write_all(&of_client[..n]).await.is_err() { break },
                _ => return,
            },
            read = server.read(&mut of_server) => match read {
                Ok(n) if n > 0 => if client.write_all(&of_server[..n]).await.is_err() { break },
                _ => return,
            },
        }
    }
    // A reset and no orderly end: what was under way is lost.
    for stream in [&client, &server] {
        if stream.set_zero_linger().is_err() {
            // It ended by itself.
            return;
        }
    }
}
