//! How long a recording is, where its form tells it cheaply: the last page of OGG, the header of MP4.

use super::blobs::{BlobError, Stored};

/// Bytes at the end of an OGG file in which its last page begins.
const TAIL: u64 = 70 * 1024;
/// Boxes that are looked at before the one that is sought.
const BOXES: usize = 32;
/// Longest duration that is believed, seconds.
const LONGEST: f64 = 7.0 * 24.0 * 3600.0;

/// Seconds; None where the file does not tell, or tells nonsense.
///
/// # Errors
/// [`BlobError`] when it cannot be read.
pub async fn of(stored: &Stored, mimetype: &str) -> Result<Option<f64>, BlobError> {
    let seconds = match mimetype {
        "audio/ogg" | "audio/opus" | "video/ogg" | "application/ogg" => ogg(stored).await?,
        "video/mp4" | "audio/mp4" | "audio/m4a" | "audio/x-m4a" | "video/quicktime"
        | "video/3gpp" | "audio/3gpp" | "video/x-m4v" => mp4(stored).await?,
        _ => None,
    };
    Ok(seconds.filter(|s| s.is_finite() && (0.0..=LONGEST).contains(s)))
}

async fn ogg(stored: &Stored) -> Result<Option<f64>, BlobError> {
    let head = stored.read(0, 256).await?;
    let size = stored.size();
    let tail = stored.read(size.saturating_sub(TAIL), size).await?;
    Ok(ogg_seconds(&head, &tail))
}

/// By the first page (which codec, its rate) and the position of the last one.
fn ogg_seconds(head: &[u8], tail: &[u8]) -> Option<f64> {
    let segments = usize::from(*head.get(26)?);
    let packet = head.get(27 + segments..)?;
    let (skip, rate) = if packet.starts_with(b"OpusHead") {
        (u32::from(u16::from_le_bytes(packet.get(10..12)?.try_into().ok()?)), 48_000)
    } else if packet.starts_with(b"\x01vorbis") {
        (0, u32::from_le_bytes(packet.get(12..16)?.try_into().ok()?))
    } else {
        return None;
    };
    let last = tail.windows(4).rposition(|w| w == b"OggS")?;
    let position = i64::from_le_bytes(tail.get(last + 6..last + 14)?.try_into().ok()?);
    let samples = u32::try_from(position - i64::from(skip)).ok()?;
    (rate > 0).then(|| f64::from(samples) / f64::from(rate))
}

async fn mp4(stored: &Stored) -> Result<Option<f64>, BlobError> {
    let mut at = 0;
    for _ in 0..BOXES {
        let header = stored.read(at, at + 16).await?;
        let Some((name, begin, length)) = mp4_box(&header, stored.size() - at.min(stored.size()))
        else {
            return Ok(None);
        };
        if name == *b"moov" {
            let inside = stored.read(at + begin, at + begin + 4096.min(length - begin)).await?;
            return Ok(mp4_seconds(&inside));
        }
        at += length;
    }
    Ok(None)
}

/// A box's name, where its content begins, and its whole length, of `rest` bytes that are left.
fn mp4_box(header: &[u8], rest: u64) -> Option<([u8; 4], u64, u64)> {
    let short = u64::from(u32::from_be_bytes(header.get(..4)?.try_into().ok()?));
    let name = header.get(4..8)?.try_into().ok()?;
    let (begin, length) = match short {
        0 => (8, rest),
        1 => (16, u64::from_be_bytes(header.get(8..16)?.try_into().ok()?)),
        n => (8, n),
    };
    (length >= begin && length <= rest).then_some((name, begin, length))
}

/// Of the boxes inside `moov`.
fn mp4_seconds(mut inside: &[u8]) -> Option<f64> {
    loop {
        let (name, begin, length) = mp4_box(inside, u64::MAX)?;
        let body = inside.get(usize::try_from(begin).ok()?..)?;
        if name == *b"mvhd" {
            let number =
                |from: usize| Some(u32::from_be_bytes(body.get(from..from + 4)?.try_into().ok()?));
            let (scale, duration) = match body.first()? {
                0 => (number(12)?, f64::from(number(16)?)),
                1 => {
                    (number(20)?, f64::from(number(24)?) * 4_294_967_296.0 + f64::from(number(28)?))
                }
                _ => return None,
            };
            return (scale > 0).then(|| duration / f64::from(scale));
        }
        inside = inside.get(usize::try_from(length).ok()?..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(position: i64, packet: &[u8]) -> Vec<u8> {
        let mut page = b"OggS\0\0".to_vec();
        page.extend(position.to_le_bytes());
        page.extend([0; 12]);
        page.extend([1, u8::try_from(packet.len()).unwrap()]);
        page.extend(packet);
        page
    }

    #[test]
    fn ogg_tells_by_its_last_page() {
        let opus = page(0, b"OpusHead\x01\x01\x38\x01\x80\xbb\0\0\0\0\0");
        let mut file = opus.clone();
        file.extend(page(48_000, b"x"));
        file.extend(page(4 * 48_000 + 312, b"x"));
        assert_eq!(ogg_seconds(&opus, &file), Some(4.0));
        assert_eq!(ogg_seconds(&opus, b"no page"), None);
        assert_eq!(ogg_seconds(b"OggS", &file), None);
        assert_eq!(ogg_seconds(&opus, &page(-1, b"")), None);
    }

    #[test]
    fn mp4_tells_in_its_header() {
        let mut mvhd = vec![0, 0, 0, 108];
        mvhd.extend(b"mvhd");
        mvhd.extend([0; 12]);
        mvhd.extend(1000u32.to_be_bytes());
        mvhd.extend(12_500u32.to_be_bytes());
        assert_eq!(mp4_seconds(&mvhd), Some(12.5));
        assert_eq!(mp4_seconds(b"\0\0\0\x08free"), None);
        assert_eq!(mp4_seconds(b"\0\0\0\x02mvhd"), None, "a box shorter than its header");
        assert_eq!(mp4_box(b"\0\0\0\x09moovxxxxxxxx", 8), None, "longer than the file");
        assert_eq!(mp4_box(b"\0\0\0\0mdatxxxxxxxx", 99), Some((*b"mdat", 8, 99)));
    }
}
