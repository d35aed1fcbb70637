//! The accept loop of both listeners. Our own, because the ready-made one waits for ever for the rest of a
//! request's head: here every head and body has a deadline and connections are counted.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::ConnectInfo;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// Limits of one listener.
#[derive(Debug, Clone)]
pub struct Options {
    /// The word in logs and metrics: `public`, `private`.
    pub zone: &'static str,
    /// For the head of a request, and once more for its whole body.
    pub read_timeout: Duration,
    /// Connections beyond it wait in the system's queue.
    pub max_connections: usize,
    /// How long requests under way may take when the daemon stops.
    pub drain: Duration,
}

/// Pause after the system refused a connection (too many open files): trying on at once would spin.
const AFTER_REFUSAL: Duration = Duration::from_millis(100);

/// Serves `router` until `stop`, then finishes the requests under way.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    options: Options,
    stop: CancellationToken,
) {
    let slots = Arc::new(Semaphore::new(options.max_connections));
    let graceful = GracefulShutdown::new();
    loop {
        let slot = tokio::select! {
            slot = Arc::clone(&slots).acquire_owned() => slot.expect("the semaphore is never closed"),
            () = stop.cancelled() => break,
        };
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(listener.zone = options.zone, %error, "{} listener cannot take a connection: {error}", options.zone);
                    tokio::time::sleep(AFTER_REFUSAL).await;
                    continue;
                }
            },
            () = stop.cancelled() => break,
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::trace!(%error, "a connection ended before it began");
        }
        let connection = connection(stream, peer, router.clone(), &options);
        let watched = graceful.watch(connection);
        let zone = options.zone;
        tokio::spawn(async move {
            metrics::gauge!("wabridge_connections", "listener" => zone).increment(1.0);
            if let Err(error) = watched.await {
                // Time-outs, hung-up clients and malformed requests: nothing of ours.
                tracing::debug!(listener.zone = zone, %error, "a connection to the {zone} listener ended early: {error}");
            }
            metrics::gauge!("wabridge_connections", "listener" => zone).decrement(1.0);
            drop(slot);
        });
    }
    drop(listener);
    if tokio::time::timeout(options.drain, graceful.shutdown()).await.is_err() {
        tracing::warn!(
            listener.zone = options.zone,
            "{} listener: requests were still open after {} s and are cut",
            options.zone,
            options.drain.as_secs()
        );
    }
}

fn connection(
    stream: TcpStream,
    peer: std::net::SocketAddr,
    router: Router,
    options: &Options,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> + use<> {
    let read_timeout = options.read_timeout;
    let service =
        hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let (mut parts, body) = request.into_parts();
            parts.extensions.insert(ConnectInfo(peer));
            let body = Body::new(Timely {
                body,
                deadline: Box::pin(tokio::time::sleep_until(Instant::now() + read_timeout)),
            });
            router.clone().oneshot(hyper::Request::from_parts(parts, body))
        });
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(read_timeout)
        .serve_connection(TokioIo::new(stream), service)
}

/// A body that must have arrived by its deadline.
struct Timely {
    body: hyper::body::Incoming,
    deadline: Pin<Box<Sleep>>,
}

/// The body of a request did not arrive in time.
#[derive(Debug, thiserror::Error)]
#[error("the body did not arrive in time")]
pub struct TooSlow;

impl HttpBody for Timely {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, axum::BoxError>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(frame) = frame {
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        match self.deadline.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Some(Err(TooSlow.into()))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> hyper::body::SizeHint {
        self.body.size_hint()
    }
}
