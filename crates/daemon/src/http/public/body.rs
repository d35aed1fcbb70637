//! Reading a webhook's body: bounded for each and over all connections.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::http::accept::TooSlow;

/// Of a body that is too large, so much is read and thrown away, so that the client sees the answer.
const DRAIN_BYTES: usize = 1024 * 1024;

/// Why there is no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyError {
    TooLarge,
    TooSlow,
    CutShort,
    /// Too many bodies are being read at this moment.
    NoRoom,
}

/// The whole body, and the room it takes as long as the permit lives. Room is taken as bytes arrive: who only
/// announces much takes none from others.
pub(super) async fn read(
    mut body: Body,
    headers: &HeaderMap,
    limit: usize,
    room: &Arc<Semaphore>,
) -> Result<(Bytes, Option<OwnedSemaphorePermit>), BodyError> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limit) {
        tokio::spawn(drain(body));
        return Err(BodyError::TooLarge);
    }
    let mut whole = BytesMut::new();
    let mut taken: Option<OwnedSemaphorePermit> = None;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            if caused_by_slowness(&error) { BodyError::TooSlow } else { BodyError::CutShort }
        })?;
        let Ok(data) = frame.into_data() else { continue };
        if whole.len() + data.len() > limit {
            tokio::spawn(drain(body));
            return Err(BodyError::TooLarge);
        }
        let size = u32::try_from(data.len()).map_err(|_| BodyError::NoRoom)?;
        let permit =
            Arc::clone(room).try_acquire_many_owned(size).map_err(|_| BodyError::NoRoom)?;
        match &mut taken {
            Some(taken) => taken.merge(permit),
            None => taken = Some(permit),
        }
        if whole.is_empty() && announced == Some(data.len()) {
            return Ok((data, taken));
        }
        whole.extend_from_slice(&data);
    }
    Ok((whole.freeze(), taken))
}

fn caused_by_slowness(error: &axum::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if error.is::<TooSlow>() {
            return true;
        }
        cause = error.source();
    }
    false
}

async fn drain(mut body: Body) {
    let mut drained = 0;
    while drained < DRAIN_BYTES
        && let Some(Ok(frame)) = body.frame().await
    {
        drained += frame.data_ref().map_or(0, Bytes::len);
    }
}
