use image::{GrayImage, Rgb, RgbImage, Rgba, RgbaImage};

use super::*;

/// Pixels that do not compress.
fn noise(width: u32, height: u32) -> RgbImage {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    RgbImage::from_fn(width, height, |_, _| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let [r, g, b, ..] = state.to_le_bytes();
        Rgb([r, g, b])
    })
}

fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    picture.write_to(&mut out, format).unwrap();
    out.into_inner()
}

fn target(bytes: u64, pixels: u64) -> Target {
    Target { bytes, pixels }
}

fn read(picture: &Picture) -> DynamicImage {
    let format = thumbnail::format(picture.mimetype).unwrap();
    image::load_from_memory_with_format(&picture.content, format).unwrap()
}

/// A JPEG with an EXIF block that says: turned by 90 degrees, and where it was taken.
fn turned(jpeg: &[u8]) -> Vec<u8> {
    let mut tiff = b"II*\0\x08\0\0\0".to_vec();
    tiff.extend([1, 0]);
    tiff.extend([0x12, 0x01, 3, 0, 1, 0, 0, 0, 6, 0, 0, 0]);
    tiff.extend([0, 0, 0, 0]);
    tiff.extend(b"GPS 51.5007,-0.1246");
    let mut block = b"Exif\0\0".to_vec();
    block.extend(tiff);
    let length = u16::try_from(block.len() + 2).unwrap().to_be_bytes();
    let mut out = jpeg[..2].to_vec();
    out.extend([0xff, 0xe1]);
    out.extend(length);
    out.extend(block);
    out.extend(&jpeg[2..]);
    out
}

#[test]
fn too_many_bytes_become_fewer_and_it_stays_upright() {
    let picture = DynamicImage::from(noise(1600, 800));
    let jpeg = turned(&encoded(&picture, ImageFormat::Jpeg));
    assert!(jpeg.len() > 400_000, "{}", jpeg.len());
    let made = make(&jpeg, ImageFormat::Jpeg, target(400_000, 25_000_000)).unwrap();
    assert_eq!((made.mimetype, made.ending), ("image/jpeg", ".jpg"));
    assert!(made.content.len() <= 400_000, "{}", made.content.len());
    let seen = read(&made);
    assert!(seen.height() >= 2 * seen.width() - 2, "{} × {}", seen.width(), seen.height());
    assert!(seen.height() >= SIDE_MIN);
    assert!(!made.content.windows(4).any(|w| w == b"Exif" || w == b"GPS "), "nothing but pixels");
}

#[test]
fn too_many_pixels_become_fewer() {
    let gray = DynamicImage::from(GrayImage::from_pixel(3000, 1000, image::Luma([200])));
    let made =
        make(&encoded(&gray, ImageFormat::Jpeg), ImageFormat::Jpeg, target(5_000_000, 300_000));
    let seen = read(&made.unwrap());
    let area = u64::from(seen.width()) * u64::from(seen.height());
    assert!((290_000..=300_000).contains(&area), "{} × {}", seen.width(), seen.height());
}

#[test]
fn transparency_stays_where_it_fits_and_is_white_where_not() {
    let clear = |picture: RgbImage| {
        DynamicImage::from(RgbaImage::from_fn(picture.width(), picture.height(), |x, y| {
            let [r, g, b] = picture.get_pixel(x, y).0;
            Rgba([r, g, b, if x < 10 { 0 } else { 255 }])
        }))
    };
    let flat = clear(RgbImage::from_pixel(3000, 300, Rgb([9, 99, 9])));
    let made =
        make(&encoded(&flat, ImageFormat::Png), ImageFormat::Png, target(5_000_000, 400_000));
    let made = made.unwrap();
    assert_eq!(made.mimetype, "image/png");
    assert_eq!(read(&made).to_rgba8().get_pixel(0, 0).0[3], 0);

    let busy = encoded(&clear(noise(900, 900)), ImageFormat::Png);
    let made = make(&busy, ImageFormat::Png, target(500_000, 25_000_000)).unwrap();
    assert_eq!(made.mimetype, "image/jpeg");
    let [r, g, b] = read(&made).to_rgb8().get_pixel(1, 300).0;
    assert!(r > 200 && g > 200 && b > 200, "{r} {g} {b}");
}

#[test]
fn deep_colours_become_eight_bits() {
    let deep = DynamicImage::from(RgbImage::from_pixel(40, 30, Rgb([1, 2, 3]))).into_rgb16();
    let png = encoded(&DynamicImage::from(deep), ImageFormat::Png);
    let seen = Seen { mimetype: "image/png", size: png.len() as u64, pixels: Some((40, 30)) };
    let look = |provider| look_closer(provider, MediaKind::Image, seen, &png[..32]);
    assert_eq!(look(ProviderKind::Meta), Ok(Fit::Anew));
    assert_eq!(look(ProviderKind::Whapi), Ok(Fit::AsIs));
    let made = make(&png, ImageFormat::Png, Target::default()).unwrap();
    assert_eq!((made.mimetype, made.content[24]), ("image/png", 8));
}

#[test]
fn what_cannot_be_made_to_fit_is_refused() {
    let jpeg = encoded(&DynamicImage::from(noise(700, 700)), ImageFormat::Jpeg);
    let refusal = make(&jpeg, ImageFormat::Jpeg, target(500, 25_000_000)).unwrap_err();
    assert_eq!(refusal.kind, Kind::MediaTooLarge);
    assert!(refusal.message.contains("at most 500 bytes"), "{refusal}");
    let refusal = make(&jpeg[..200], ImageFormat::Jpeg, Target::default()).unwrap_err();
    assert_eq!(refusal.kind, Kind::InvalidContent);
    assert!(refusal.message.contains("broken"), "{refusal}");
    let refusal = make(b"", ImageFormat::Png, Target::default()).unwrap_err();
    assert_eq!(refusal.kind, Kind::InvalidContent);
}

/// A PNG that claims 60,000 × 60,000 pixels in some hundred bytes.
#[test]
fn a_bomb_is_not_decoded() {
    let mut png = encoded(&DynamicImage::from(noise(8, 8)), ImageFormat::Png);
    png[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
    let crc = thumbnail::crc32(&png[12..29]);
    png[29..33].copy_from_slice(&crc.to_be_bytes());
    let refusal = make(&png, ImageFormat::Png, Target::default()).unwrap_err();
    assert_eq!(refusal.kind, Kind::MediaTooLarge);
    assert!(refusal.message.contains("60000 × 60000"), "{refusal}");
}

#[test]
fn what_moves_is_refused_as_an_image() {
    let mut out = Vec::new();
    {
        let mut gif = image::codecs::gif::GifEncoder::new(&mut out);
        for shade in [0, 255] {
            let frame = RgbaImage::from_pixel(20, 20, Rgba([shade, 0, 0, 255]));
            gif.encode_frame(image::Frame::new(frame)).unwrap();
        }
    }
    let refusal = make(&out, ImageFormat::Gif, Target::default()).unwrap_err();
    assert_eq!(refusal.kind, Kind::MediaTypeUnsupported);
    let still = encoded(&DynamicImage::from(noise(20, 20)), ImageFormat::Gif);
    let made = make(&still, ImageFormat::Gif, Target::default()).unwrap();
    assert_eq!(read(&made).width(), 20);
}

#[test]
fn large_stickers_must_move() {
    let mut head = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0".to_vec();
    let seen = Seen { mimetype: "image/webp", size: 200_000, pixels: Some((512, 512)) };
    let look = |head: &[u8]| look_closer(ProviderKind::Meta, MediaKind::Sticker, seen, head);
    assert_eq!(look(&head), Ok(Fit::AsIs));
    head[20] = 0;
    let refusal = look(&head).unwrap_err();
    assert!(refusal.message.contains("100 KiB"), "{refusal}");
}
