//! What providers take of a file that is sent: types, bytes and pixels; what has to be scaled, what is refused.
//!
//! Limits: Meta's table (sheet, section 4). WHAPI and Wassenger document no exact ones; Meta's are the careful
//! choice there, as their sheets say.

use crate::ProviderKind;
use crate::error::{Kind, Refusal};
use crate::media::MediaKind;

const MIB: u64 = 1024 * 1024;
/// Largest picture that a provider is given unscaled, pixels. No sheet has a limit; beyond this phones give up.
pub const PIXELS_MAX: u64 = 25_000_000;
/// Largest picture that is decoded: pixels, and pixels of a side. 64 million are 256 MB in memory.
pub const DECODE_PIXELS_MAX: u64 = 64_000_000;
pub const DECODE_SIDE_MAX: u32 = 20_000;
/// Largest file that is decoded, bytes.
pub const DECODE_BYTES_MAX: u64 = 32 * MIB;
/// Bytes of an image. Below Meta's 5 MB, whether these are counted in thousands or in 1024.
pub const IMAGE_BYTES_MAX: u64 = 5_000_000;
pub const STICKER_SIDE: u32 = 512;
/// Bytes of a sticker that does not move.
pub const STILL_STICKER_BYTES_MAX: u64 = 100 * 1024;
const STICKER_BYTES_MAX: u64 = 500 * 1024;
const AUDIO_BYTES_MAX: u64 = 16 * MIB;
const VIDEO_BYTES_MAX: u64 = 16 * MIB;
const DOCUMENT_BYTES_MAX: u64 = 100 * MIB;

/// What is known of a file without its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen<'a> {
    /// By its bytes.
    pub mimetype: &'a str,
    /// Bytes.
    pub size: u64,
    /// Pixels of a picture, where the file tells.
    pub pixels: Option<(u32, u32)>,
}

/// How a file goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// The very bytes.
    AsIs,
    /// A picture that is made anew, at most [`IMAGE_BYTES_MAX`] and [`PIXELS_MAX`].
    Anew,
}

/// Most bytes of a file of this kind.
pub fn bytes_max(kind: MediaKind) -> u64 {
    match kind {
        MediaKind::Image => IMAGE_BYTES_MAX,
        MediaKind::Video => VIDEO_BYTES_MAX,
        MediaKind::Audio => AUDIO_BYTES_MAX,
        MediaKind::Sticker => STICKER_BYTES_MAX,
        MediaKind::Document => DOCUMENT_BYTES_MAX,
    }
}

/// Types of images that a provider takes as they are.
fn images(provider: ProviderKind) -> &'static [&'static str] {
    match provider {
        ProviderKind::Meta => &["image/jpeg", "image/png"],
        ProviderKind::Whapi | ProviderKind::Wassenger | ProviderKind::Custom => {
            &["image/jpeg", "image/png", "image/webp", "image/gif"]
        }
    }
}

/// How a file goes out as such a message.
///
/// # Errors
/// `media_too_large` with the limit, `media_type_unsupported`: what does not fit and cannot be made to fit;
/// `invalid_content` for an empty file.
pub fn fit(provider: ProviderKind, kind: MediaKind, file: Seen<'_>) -> Result<Fit, Refusal> {
    if file.size == 0 {
        return Err(Refusal::new(
            Kind::InvalidContent,
            "the file is empty, and WhatsApp takes no empty files",
        ));
    }
    match kind {
        MediaKind::Image => image(provider, file),
        MediaKind::Sticker => sticker(file),
        MediaKind::Video | MediaKind::Audio | MediaKind::Document => {
            let limit = bytes_max(kind);
            if file.size > limit {
                let cure = if kind == MediaKind::Document {
                    "send a link to it instead"
                } else {
                    "make it shorter, or send it as a document"
                };
                return too_large(kind, file.size, limit, cure);
            }
            Ok(Fit::AsIs)
        }
    }
}

fn image(provider: ProviderKind, file: Seen<'_>) -> Result<Fit, Refusal> {
    let decodable = ["image/jpeg", "image/png", "image/webp", "image/gif"];
    if !decodable.contains(&file.mimetype) {
        return Err(Refusal::new(
            Kind::MediaTypeUnsupported,
            format!(
                "an image is a JPEG, PNG, WebP or GIF file, not {}; send it as a document",
                file.mimetype
            ),
        ));
    }
    let area = file.pixels.map(|(width, height)| u64::from(width) * u64::from(height));
    let side = file.pixels.map_or(0, |(width, height)| width.max(height));
    if area.is_some_and(|area| area > DECODE_PIXELS_MAX) || side > DECODE_SIDE_MAX {
        let (width, height) = file.pixels.unwrap_or_default();
        return Err(Refusal::new(
            Kind::MediaTooLarge,
            format!(
                "the picture has {width} × {height} pixels; pictures up to {} megapixels and {DECODE_SIDE_MAX} pixels a side can be sent",
                DECODE_PIXELS_MAX / 1_000_000
            ),
        ));
    }
    let taken = images(provider).contains(&file.mimetype);
    if taken && file.size <= IMAGE_BYTES_MAX && area.is_none_or(|area| area <= PIXELS_MAX) {
        return Ok(Fit::AsIs);
    }
    if file.size > DECODE_BYTES_MAX {
        return too_large(
            MediaKind::Image,
            file.size,
            DECODE_BYTES_MAX,
            "make it smaller, or send it as a document",
        );
    }
    Ok(Fit::Anew)
}

fn sticker(file: Seen<'_>) -> Result<Fit, Refusal> {
    let side = (STICKER_SIDE, STICKER_SIDE);
    if file.mimetype != "image/webp" || file.pixels.is_some_and(|pixels| pixels != side) {
        let is = match file.pixels {
            Some((width, height)) => format!("{} of {width} × {height}", file.mimetype),
            None => file.mimetype.to_owned(),
        };
        return Err(Refusal::new(
            Kind::MediaTypeUnsupported,
            format!(
                "a sticker is a WebP file of {STICKER_SIDE} × {STICKER_SIDE} pixels, not {is}; send it as an image"
            ),
        ));
    }
    if file.size > STICKER_BYTES_MAX {
        let cure = "make it simpler, or send it as an image";
        return too_large(MediaKind::Sticker, file.size, STICKER_BYTES_MAX, cure);
    }
    Ok(Fit::AsIs)
}

/// The refusal of a file with too many bytes.
///
/// # Errors
/// Always.
pub fn too_large<T>(kind: MediaKind, size: u64, limit: u64, cure: &str) -> Result<T, Refusal> {
    let what = match kind {
        MediaKind::Image => "an image",
        MediaKind::Video => "a video",
        MediaKind::Audio => "an audio file",
        MediaKind::Sticker => "a sticker",
        MediaKind::Document => "a document",
    };
    let message =
        format!("{what} has at most {}, and this file has {}; {cure}", bytes(limit), bytes(size));
    Err(Refusal::new(Kind::MediaTooLarge, message))
}

/// `500 KiB`, `5.2 MB`: rounded up, so that what is too large never reads like what fits.
pub fn bytes(size: u64) -> String {
    let tenths = |unit: u64| {
        let tenths = size.saturating_mul(10).div_ceil(unit);
        match tenths % 10 {
            0 => (tenths / 10).to_string(),
            rest => format!("{}.{rest}", tenths / 10),
        }
    };
    match size {
        0..1024 => format!("{size} bytes"),
        1024..MIB => format!("{} KiB", tenths(1024)),
        _ => format!("{} MiB", tenths(MIB)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(
        provider: ProviderKind,
        kind: MediaKind,
        mimetype: &str,
        size: u64,
        pixels: Option<(u32, u32)>,
    ) -> Result<Fit, String> {
        fit(provider, kind, Seen { mimetype, size, pixels })
            .map_err(|refusal| format!("{}: {}", refusal.kind.as_str(), refusal.message))
    }

    #[test]
    fn images_go_as_they_are_or_anew() {
        use ProviderKind::{Meta, Whapi};
        let image = |provider, mimetype, size, pixels| {
            told(provider, MediaKind::Image, mimetype, size, pixels)
        };
        assert_eq!(image(Meta, "image/jpeg", 5_000_000, Some((4000, 3000))), Ok(Fit::AsIs));
        assert_eq!(image(Meta, "image/jpeg", 1000, None), Ok(Fit::AsIs));
        assert_eq!(image(Meta, "image/jpeg", 5_000_001, Some((4000, 3000))), Ok(Fit::Anew));
        assert_eq!(image(Meta, "image/png", 1000, Some((8000, 8000))), Ok(Fit::Anew));
        assert_eq!(image(Meta, "image/webp", 1000, Some((10, 10))), Ok(Fit::Anew));
        assert_eq!(image(Whapi, "image/webp", 1000, Some((10, 10))), Ok(Fit::AsIs));
        for (mimetype, size, pixels, word) in [
            ("image/png", 1000, Some((60_000, 60_000)), "60000 × 60000"),
            ("image/png", 1000, Some((1, 20_001)), "20000 pixels a side"),
            ("image/jpeg", 40 * MIB, Some((4000, 3000)), "at most 32 MiB"),
            ("image/tiff", 1000, None, "image/tiff"),
        ] {
            let why = image(Meta, mimetype, size, pixels).unwrap_err();
            assert!(why.contains(word), "{why}");
        }
    }

    #[test]
    fn stickers_are_webp_of_one_size() {
        let sticker = |mimetype, size, pixels| {
            told(ProviderKind::Whapi, MediaKind::Sticker, mimetype, size, pixels)
        };
        assert_eq!(sticker("image/webp", 80_000, Some((512, 512))), Ok(Fit::AsIs));
        for (mimetype, size, pixels, word) in [
            ("image/png", 80_000, Some((512, 512)), "WebP file of 512 × 512"),
            ("image/webp", 80_000, Some((128, 128)), "128 × 128"),
            ("image/webp", 600 * 1024, Some((512, 512)), "at most 500 KiB"),
        ] {
            let why = sticker(mimetype, size, pixels).unwrap_err();
            assert!(why.contains(word), "{why}");
        }
    }

    #[test]
    fn other_files_have_a_size_only() {
        let size = |kind, size| told(ProviderKind::Meta, kind, "application/x", size, None);
        for (kind, limit, word) in [
            (MediaKind::Video, 16 * MIB, "16 MiB"),
            (MediaKind::Audio, 16 * MIB, "16 MiB"),
            (MediaKind::Document, 100 * MIB, "100 MiB"),
        ] {
            assert_eq!(size(kind, limit), Ok(Fit::AsIs));
            assert!(size(kind, 0).unwrap_err().starts_with("invalid_content"));
            let why = size(kind, limit + 1).unwrap_err();
            assert!(why.starts_with("media_too_large") && why.contains(word), "{why}");
            assert!(why.contains(".1 MiB"), "{why}");
        }
    }
}
