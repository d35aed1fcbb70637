//! A small JPEG of a picture. Size and dimensions are looked at before anything is decoded: a file of a few
//! kilobytes may claim to be a picture of gigabytes.

use std::io::Cursor;
use std::sync::LazyLock;

use bytes::Bytes;
use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, Rgb, RgbImage};
use tokio::sync::Semaphore;

/// Largest file that is looked into.
pub const FILE_MAX: u64 = 24 * 1024 * 1024;
/// Pixels of the longer side of a thumbnail.
const SIDE: u32 = 320;
/// Largest picture that is decoded: pixels of a side, and altogether (100 MB in memory).
const SIDE_MAX: u32 = 16_000;
const PIXELS_MAX: u64 = 25_000_000;
const ALLOC_MAX: u64 = 128 * 1024 * 1024;
const QUALITY: u8 = 75;

/// One picture at a time in this process: that is what bounds the memory.
pub(super) static TURN: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(1));

/// What a picture is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Picture {
    /// Pixels; None where the file does not tell.
    pub size: Option<(u32, u32)>,
    /// JPEG; None where it is too large to be decoded, or broken.
    pub thumbnail: Option<Vec<u8>>,
}

/// The format of a media type that thumbnails are made of.
pub fn format(mimetype: &str) -> Option<ImageFormat> {
    match mimetype {
        "image/jpeg" => Some(ImageFormat::Jpeg),
        "image/png" => Some(ImageFormat::Png),
        "image/webp" => Some(ImageFormat::WebP),
        "image/gif" => Some(ImageFormat::Gif),
        _ => None,
    }
}

/// Looks at a picture, in a thread of its own.
pub async fn of(content: Bytes, format: ImageFormat) -> Picture {
    let Ok(_turn) = TURN.acquire().await else { return Picture::default() };
    match tokio::task::spawn_blocking(move || look(&content, format)).await {
        Ok(picture) => picture,
        Err(error) => {
            tracing::warn!(%error, "a picture could not be decoded and has no thumbnail: {error}");
            Picture::default()
        }
    }
}

fn look(content: &[u8], format: ImageFormat) -> Picture {
    let size = ImageReader::with_format(Cursor::new(content), format).into_dimensions().ok();
    let fits = size.is_some_and(|(width, height)| {
        width.max(height) <= SIDE_MAX && u64::from(width) * u64::from(height) <= PIXELS_MAX
    });
    let thumbnail = fits.then(|| shrink(content, format)).and_then(|made| {
        made.inspect_err(|error| tracing::debug!(%error, "a picture has no thumbnail: {error}"))
            .ok()
    });
    Picture { size, thumbnail }
}

fn shrink(content: &[u8], format: ImageFormat) -> image::ImageResult<Vec<u8>> {
    let mut reader = ImageReader::with_format(Cursor::new(content), format);
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE_MAX);
    limits.max_image_height = Some(SIDE_MAX);
    limits.max_alloc = Some(ALLOC_MAX);
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    let orientation = decoder.orientation()?;
    let whole = DynamicImage::from_decoder(decoder)?;
    let mut small =
        if whole.width().max(whole.height()) > SIDE { whole.thumbnail(SIDE, SIDE) } else { whole };
    small.apply_orientation(orientation);
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, QUALITY).encode_image(&on_white(&small))?;
    Ok(jpeg)
}

/// JPEG knows no transparency: stickers lie on white.
pub(super) fn on_white(picture: &DynamicImage) -> RgbImage {
    let picture = picture.to_rgba8();
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let [r, g, b, a] = picture.get_pixel(x, y).0;
        let mix = |c: u8| {
            let mixed = (u16::from(c) * u16::from(a) + 255 * (255 - u16::from(a))) / 255;
            u8::try_from(mixed).unwrap_or(u8::MAX)
        };
        Rgb([mix(r), mix(g), mix(b)])
    })
}

/// The checksum of a PNG's chunk.
#[cfg(test)]
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
        let picture = RgbImage::from_fn(width, height, |x, y| {
            Rgb([u8::try_from(x % 256).unwrap(), u8::try_from(y % 256).unwrap(), 90])
        });
        let mut out = Cursor::new(Vec::new());
        DynamicImage::from(picture).write_to(&mut out, format).unwrap();
        out.into_inner()
    }

    #[test]
    fn pictures_become_small() {
        for kind in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Gif, ImageFormat::WebP] {
            let picture = look(&encoded(800, 400, kind), kind);
            assert_eq!(picture.size, Some((800, 400)), "{kind:?}");
            let jpeg = picture.thumbnail.unwrap();
            let small = image::load_from_memory_with_format(&jpeg, ImageFormat::Jpeg).unwrap();
            assert_eq!((small.width(), small.height()), (320, 160), "{kind:?}");
        }
    }

    /// A PNG of 60,000 × 60,000 pixels in some hundred bytes of header.
    #[test]
    fn a_picture_that_claims_gigabytes_is_not_decoded() {
        let mut png = encoded(8, 8, ImageFormat::Png);
        png[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
        let crc = crc32(&png[12..29]);
        png[29..33].copy_from_slice(&crc.to_be_bytes());
        let picture = look(&png, ImageFormat::Png);
        assert_eq!(picture, Picture { size: Some((60_000, 60_000)), thumbnail: None });
    }

    #[test]
    fn broken_pictures_have_none() {
        let png = encoded(300, 300, ImageFormat::Png);
        assert_eq!(look(&png[..png.len() / 2], ImageFormat::Png).thumbnail, None);
        assert_eq!(look(b"\x89PNG", ImageFormat::Png), Picture::default());
        assert_eq!(look(b"", ImageFormat::Jpeg), Picture::default());
    }
}
