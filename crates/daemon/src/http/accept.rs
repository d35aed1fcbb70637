//! The accept loop of both listeners. Our own, because the ready-made one waits for ever for the rest of a
//! request's head: here every head and body has a deadline and connections are counted.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::ConnectInfo;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::http::tls::Tls;

/// Limits of one listener.
#[derive(Debug, Clone)]
pub struct Options {
    /// The word in logs and metrics: `public`, `private`.
    pub zone: &'static str,
    /// For the head of a request, and once more for its whole body.
    pub read_timeout: Duration,
    /// Beyond it a new connection takes the place of one that does nothing; while all are at work, it waits.
    pub max_connections: usize,
    /// How long requests under way may take when the daemon stops.
    pub drain: Duration,
    /// Connections begin with a handshake, which has `read_timeout` too.
    pub tls: Option<Tls>,
}

/// Pause after the system refused a connection (too many open files): trying on at once would spin.
const AFTER_REFUSAL: Duration = Duration::from_millis(100);

/// Longest head of a request; a longer one is 431.
const HEAD_MAX_BYTES: usize = 64 * 1024;
/// Most headers of a request; one more is 431.
const HEADERS_MAX: usize = 100;
/// Longest path with its query; a longer one is 414.
const PATH_MAX_BYTES: usize = 8 * 1024;

/// Serves `router` until `stop`, then finishes the requests under way.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    options: Options,
    stop: CancellationToken,
) {
    let slots = Arc::new(Semaphore::new(options.max_connections));
    let seats = Arc::new(Seats::default());
    let graceful = GracefulShutdown::new();
    loop {
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
        let slot = match Arc::clone(&slots).try_acquire_owned() {
            Ok(slot) => slot,
            Err(_) => {
                if seats.make_room() {
                    metrics::counter!("wabridge_connections_displaced_total", "listener" => options.zone)
                        .increment(1);
                }
                tokio::select! {
                    slot = Arc::clone(&slots).acquire_owned() => slot.expect("the semaphore is never closed"),
                    () = stop.cancelled() => break,
                }
            }
        };
        let seat = seats.take();
        let watcher = graceful.watcher();
        let zone = options.zone;
        let (router, read_timeout, tls) =
            (router.clone(), options.read_timeout, options.tls.clone());
        tokio::spawn(async move {
            metrics::gauge!("wabridge_connections", "listener" => zone).increment(1.0);
            let served = async {
                let Some(tls) = tls else {
                    let connection = connection(stream, peer, router, read_timeout, &seat);
                    return watcher.watch(connection).await;
                };
                match tokio::time::timeout(read_timeout, tls.acceptor().accept(stream)).await {
                    Ok(Ok(stream)) => {
                        let connection = connection(stream, peer, router, read_timeout, &seat);
                        return watcher.watch(connection).await;
                    }
                    Ok(Err(error)) => {
                        metrics::counter!("wabridge_tls_failures_total", "listener" => zone)
                            .increment(1);
                        tracing::debug!(listener.zone = zone, %error, "a connection to the {zone} listener had no good TLS handshake: {error}");
                    }
                    Err(_) => {
                        metrics::counter!("wabridge_tls_failures_total", "listener" => zone)
                            .increment(1);
                        tracing::debug!(
                            listener.zone = zone,
                            "a connection to the {zone} listener did not finish its TLS handshake in time"
                        );
                    }
                }
                Ok(())
            };
            let ended = tokio::select! {
                ended = served => ended,
                () = seat.place.leave.cancelled() => Ok(()),
            };
            if let Err(error) = ended {
                // Time-outs, hung-up clients and malformed requests: nothing of ours.
                tracing::debug!(listener.zone = zone, %error, "a connection to the {zone} listener ended early: {error}");
            }
            drop(seat);
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

fn connection<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    peer: std::net::SocketAddr,
    router: Router,
    read_timeout: Duration,
    seat: &Seat,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> + use<S> {
    let (seats, place, number) = (Arc::clone(&seat.seats), Arc::clone(&seat.place), seat.number);
    let service =
        hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let (mut parts, body) = request.into_parts();
            parts.extensions.insert(ConnectInfo(peer));
            let body = Body::new(Timely {
                body,
                deadline: Box::pin(tokio::time::sleep_until(Instant::now() + read_timeout)),
            });
            let (seats, place) = (Arc::clone(&seats), Arc::clone(&place));
            let path = parts.uri.path_and_query().map_or(0, |path| path.as_str().len());
            let answer = router.clone().oneshot(hyper::Request::from_parts(parts, body));
            async move {
                let _work = Work::begin(&place);
                if path > PATH_MAX_BYTES {
                    return Ok(StatusCode::URI_TOO_LONG.into_response());
                }
                let answer = answer.await;
                if answer.as_ref().is_ok_and(|answer| answer.status().is_success()) {
                    seats.known(number);
                }
                answer
            }
        });
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(read_timeout)
        .max_buf_size(HEAD_MAX_BYTES)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), service)
}

/// The connections of one listener, oldest first. Strangers can open as many as they like: when all slots are
/// taken, a connection that does nothing makes room, first of those that never had a request accepted.
#[derive(Debug, Default)]
struct Seats {
    next: AtomicU64,
    strangers: Mutex<BTreeMap<u64, Arc<Place>>>,
    known: Mutex<BTreeMap<u64, Arc<Place>>>,
}

#[derive(Debug, Default)]
struct Place {
    /// Requests being answered.
    at_work: AtomicUsize,
    leave: CancellationToken,
}

/// A connection's place, given back when dropped.
struct Seat {
    seats: Arc<Seats>,
    place: Arc<Place>,
    number: u64,
}

impl Seats {
    fn take(self: &Arc<Self>) -> Seat {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let place = Arc::new(Place::default());
        self.strangers.lock().expect(UNBROKEN).insert(number, Arc::clone(&place));
        Seat { seats: Arc::clone(self), place, number }
    }

    /// A request of this connection was accepted.
    fn known(&self, number: u64) {
        let place = self.strangers.lock().expect(UNBROKEN).remove(&number);
        if let Some(place) = place {
            self.known.lock().expect(UNBROKEN).insert(number, place);
        }
    }

    /// Ends the oldest connection that does nothing; false while all are at work.
    fn make_room(&self) -> bool {
        [&self.strangers, &self.known].into_iter().any(|places| {
            let mut places = places.lock().expect(UNBROKEN);
            let idle = places
                .iter()
                .find(|(_, place)| place.at_work.load(Ordering::Acquire) == 0)
                .map(|(number, _)| *number);
            let place = idle.and_then(|number| places.remove(&number));
            if let Some(place) = &place {
                place.leave.cancel();
            }
            place.is_some()
        })
    }
}

const UNBROKEN: &str = "no holder of this lock can panic";

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.strangers.lock().expect(UNBROKEN).remove(&self.number);
        self.seats.known.lock().expect(UNBROKEN).remove(&self.number);
    }
}

/// A request that is being answered.
struct Work(Arc<Place>);

impl Work {
    fn begin(place: &Arc<Place>) -> Self {
        place.at_work.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(place))
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.0.at_work.fetch_sub(1, Ordering::AcqRel);
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_make_room_first_and_nobody_at_work_does() {
        let seats = Arc::new(Seats::default());
        let [provider, idler, worker] = [seats.take(), seats.take(), seats.take()];
        seats.known(provider.number);
        let work = Work::begin(&worker.place);
        assert!(seats.make_room());
        assert!(idler.place.leave.is_cancelled() && !provider.place.leave.is_cancelled());
        assert!(seats.make_room(), "then the known one that does nothing");
        assert!(provider.place.leave.is_cancelled());
        assert!(!seats.make_room(), "who is at work stays");
        drop(work);
        assert!(seats.make_room());
        drop((provider, idler, worker));
        assert!(
            seats.strangers.lock().unwrap().is_empty() && seats.known.lock().unwrap().is_empty()
        );
    }
}
