//! Makes pictures fit what a provider takes: turned upright, scaled, without what else a camera writes into a file.
//!
//! Dimensions are looked at before anything is decoded, one picture is decoded at a time in this process, and the
//! decoder's memory is bounded ([`wabridge_domain::fitting`]).

use std::io::Cursor;

use bytes::Bytes;
use image::codecs::gif::GifDecoder;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::codecs::webp::WebPDecoder;
use image::{AnimationDecoder, DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use wabridge_domain::error::{Kind, Refusal};
use wabridge_domain::fitting::{
    DECODE_PIXELS_MAX, DECODE_SIDE_MAX, Fit, STILL_STICKER_BYTES_MAX, Seen, fit, too_large,
};
use wabridge_domain::media::MediaKind;
use wabridge_domain::{ProviderKind, fitting};

use super::thumbnail;

/// Bytes of a file's beginning that [`look_closer`] wants.
pub const HEAD: u64 = 32;
/// Memory of the decoder.
const ALLOC_MAX: u64 = 320 * 1024 * 1024;
/// Pixels of the longer side that a picture is not made smaller than.
const SIDE_MIN: u32 = 480;
/// Pixels of the longer side up to which transparency is kept.
const TRANSPARENT_SIDE: u32 = 2048;
/// JPEG qualities that are tried before the picture is made smaller.
const QUALITIES: [u8; 3] = [88, 80, 70];

/// What a picture has to fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    pub bytes: u64,
    pub pixels: u64,
}

impl Default for Target {
    fn default() -> Self {
        Self { bytes: fitting::IMAGE_BYTES_MAX, pixels: fitting::PIXELS_MAX }
    }
}

/// A picture that was made anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    pub content: Bytes,
    pub mimetype: &'static str,
    /// `.jpg`, `.png`.
    pub ending: &'static str,
}

/// As [`fit`], with what only a file's first bytes tell: pictures of 16 bits a colour, stickers that do not move.
///
/// # Errors
/// As [`fit`].
pub fn look_closer(
    provider: ProviderKind,
    kind: MediaKind,
    file: Seen<'_>,
    head: &[u8],
) -> Result<Fit, Refusal> {
    let way = fit(provider, kind, file)?;
    let deep = file.mimetype == "image/png" && head.get(24) == Some(&16);
    if kind == MediaKind::Image && way == Fit::AsIs && provider == ProviderKind::Meta && deep {
        return Ok(Fit::Anew);
    }
    if kind == MediaKind::Sticker && file.size > STILL_STICKER_BYTES_MAX {
        // VP8X, then its flags: the second bit says that it moves.
        let moves = head.get(12..16) == Some(b"VP8X")
            && head.get(20).is_some_and(|flags| flags & 0b10 != 0);
        if !moves {
            let cure = "make it simpler, or send it as an image";
            return too_large(kind, file.size, STILL_STICKER_BYTES_MAX, cure);
        }
    }
    Ok(way)
}

/// The same picture, small enough.
///
/// # Errors
/// `media_too_large` where it has too many pixels to be read, or cannot be made small enough;
/// `media_type_unsupported` for what moves; `invalid_content` where it is broken.
pub async fn anew(content: Bytes, mimetype: &str, target: Target) -> Result<Picture, Refusal> {
    let Some(format) = thumbnail::format(mimetype) else {
        let why = format!("an image is a JPEG, PNG, WebP or GIF file, not {mimetype}");
        return Err(Refusal::new(Kind::MediaTypeUnsupported, why));
    };
    let Ok(_turn) = thumbnail::TURN.acquire().await else { return Err(broken("no turn")) };
    let made = tokio::task::spawn_blocking(move || make(&content, format, target)).await;
    made.unwrap_or_else(|panicked| Err(broken(panicked)))
}

fn broken(error: impl std::fmt::Display) -> Refusal {
    tracing::debug!(%error, "a picture cannot be read: {error}");
    Refusal::new(
        Kind::InvalidContent,
        "the picture is broken: it cannot be read to make it small enough for WhatsApp",
    )
}

fn make(content: &[u8], format: ImageFormat, target: Target) -> Result<Picture, Refusal> {
    let pixels =
        ImageReader::with_format(Cursor::new(content), format).into_dimensions().map_err(broken)?;
    let mimetype = format.to_mime_type();
    // Refuses what is too large to be decoded.
    fit(
        ProviderKind::Meta,
        MediaKind::Image,
        Seen { mimetype, size: content.len() as u64, pixels: Some(pixels) },
    )?;
    if moves(content, format).map_err(broken)? {
        return Err(Refusal::new(
            Kind::MediaTypeUnsupported,
            "a picture that moves does not fit as an image; send it as a gif or as a document",
        ));
    }
    let whole = decode(content, format).map_err(broken)?;
    let whole = eight_bits(within(whole, target.pixels));
    let transparent = is_transparent(&whole);
    if transparent || format == ImageFormat::Png {
        let mut picture = None;
        for side in [u32::MAX, TRANSPARENT_SIDE] {
            let small = at_most(&whole, side);
            let small = small.as_ref().unwrap_or(&whole);
            let png = png(small).map_err(broken)?;
            if png.len() as u64 <= target.bytes {
                picture =
                    Some(Picture { content: png.into(), mimetype: "image/png", ending: ".png" });
                break;
            }
            // What is not transparent is better sharp than a PNG.
            if !transparent || small.width().max(small.height()) <= TRANSPARENT_SIDE {
                break;
            }
        }
        if let Some(picture) = picture {
            return Ok(picture);
        }
    }
    let flat = if whole.color().has_alpha() {
        DynamicImage::from(thumbnail::on_white(&whole))
    } else {
        whole
    };
    jpeg(flat, target)
}

/// Tries less of quality, then of size.
fn jpeg(mut picture: DynamicImage, target: Target) -> Result<Picture, Refusal> {
    loop {
        for quality in QUALITIES {
            let mut jpeg = Vec::new();
            JpegEncoder::new_with_quality(&mut jpeg, quality)
                .encode_image(&picture)
                .map_err(broken)?;
            if jpeg.len() as u64 <= target.bytes {
                return Ok(Picture {
                    content: jpeg.into(),
                    mimetype: "image/jpeg",
                    ending: ".jpg",
                });
            }
        }
        let side = picture.width().max(picture.height()) / 10 * 7;
        if side < SIDE_MIN {
            return Err(Refusal::new(
                Kind::MediaTooLarge,
                format!(
                    "an image has at most {}, and this one does not get so small; send it as a document",
                    fitting::bytes(target.bytes)
                ),
            ));
        }
        picture = picture.thumbnail(side, side);
    }
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_image_width = Some(DECODE_SIDE_MAX);
    limits.max_image_height = Some(DECODE_SIDE_MAX);
    limits.max_alloc = Some(ALLOC_MAX);
    limits
}

/// Upright, without anything but pixels.
fn decode(content: &[u8], format: ImageFormat) -> image::ImageResult<DynamicImage> {
    let mut reader = ImageReader::with_format(Cursor::new(content), format);
    reader.limits(limits());
    let mut decoder = reader.into_decoder()?;
    let orientation = decoder.orientation()?;
    let mut whole = DynamicImage::from_decoder(decoder)?;
    whole.apply_orientation(orientation);
    Ok(whole)
}

fn moves(content: &[u8], format: ImageFormat) -> image::ImageResult<bool> {
    Ok(match format {
        ImageFormat::Gif => {
            let mut decoder = GifDecoder::new(Cursor::new(content))?;
            decoder.set_limits(limits())?;
            decoder.into_frames().take(2).filter(Result::is_ok).count() > 1
        }
        ImageFormat::WebP => WebPDecoder::new(Cursor::new(content))?.has_animation(),
        _ => false,
    })
}

/// Scaled down to so many pixels.
fn within(picture: DynamicImage, pixels: u64) -> DynamicImage {
    let pixels = pixels.min(DECODE_PIXELS_MAX);
    let area = u64::from(picture.width()) * u64::from(picture.height());
    if area <= pixels {
        return picture;
    }
    // The longest side that fits, by halves of what is left: exact, and without floating point.
    let long = picture.width().max(picture.height());
    let (mut fits, mut too_long) = (1, long);
    while too_long - fits > 1 {
        let side = fits + (too_long - fits) / 2;
        let scaled = |n: u32| u64::from(n) * u64::from(side) / u64::from(long) + 1;
        if scaled(picture.width()) * scaled(picture.height()) <= pixels {
            fits = side;
        } else {
            too_long = side;
        }
    }
    picture.thumbnail(fits, fits)
}

fn at_most(picture: &DynamicImage, side: u32) -> Option<DynamicImage> {
    (picture.width().max(picture.height()) > side).then(|| picture.thumbnail(side, side))
}

fn eight_bits(picture: DynamicImage) -> DynamicImage {
    if picture.color().has_alpha() {
        picture.into_rgba8().into()
    } else {
        picture.into_rgb8().into()
    }
}

fn is_transparent(picture: &DynamicImage) -> bool {
    picture.as_rgba8().is_some_and(|rgba| rgba.pixels().any(|pixel| pixel.0[3] < u8::MAX))
}

fn png(picture: &DynamicImage) -> image::ImageResult<Vec<u8>> {
    let mut png = Vec::new();
    picture.write_with_encoder(PngEncoder::new(&mut png))?;
    Ok(png)
}

#[cfg(test)]
mod tests;
