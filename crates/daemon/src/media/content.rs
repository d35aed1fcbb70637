//! What a file is: by its first bytes, whatever was said of it.

/// For what we cannot tell, or would not show.
pub const OPAQUE: &str = "application/octet-stream";

/// Types that share a form, so that the first bytes do not tell them apart: what was said decides among them.
const ALIKE: &[&[&str]] = &[
    &[
        "video/mp4",
        "audio/mp4",
        "audio/m4a",
        "audio/x-m4a",
        "video/x-m4v",
        "video/quicktime",
        "video/3gpp",
        "audio/3gpp",
        "audio/aac",
    ],
    &["audio/ogg", "audio/opus", "video/ogg", "application/ogg"],
    &["video/webm", "audio/webm", "video/x-matroska"],
    &["audio/mpeg", "audio/mp3"],
];
/// Families of documents that are ZIP archives inside.
const ZIPPED: &[&str] = &[
    "application/vnd.openxmlformats-officedocument.",
    "application/vnd.oasis.opendocument.",
    "application/epub+zip",
    "application/vnd.apple.",
    "application/java-archive",
    "application/vnd.android.package-archive",
];
/// Plain texts that are shown as nothing but text.
const TEXTS: &[&str] = &[
    "text/plain",
    "text/csv",
    "text/vcard",
    "text/x-vcard",
    "text/calendar",
    "text/markdown",
    "application/json",
];

/// The media type of a file, by its first bytes; `told` only chooses among what these allow. Never a type
/// that a browser would run.
pub fn mimetype(head: &[u8], told: Option<&str>) -> String {
    let told = told.unwrap_or_default();
    let found = match infer::get(head).map(|kind| kind.mime_type()) {
        Some(found) => found,
        None if is_text(head) && TEXTS.contains(&told) => told,
        None if is_text(head) && !looks_like_markup(head) => "text/plain",
        None => OPAQUE,
    };
    let alike = ALIKE.iter().any(|set| set.contains(&found) && set.contains(&told));
    let zipped = found == "application/zip" && ZIPPED.iter().any(|z| told.starts_with(z));
    let kind = if alike || zipped { told } else { found };
    if runs_in_a_browser(kind) { OPAQUE.to_owned() } else { kind.to_owned() }
}

/// Whether a browser may show it in the page; everything else is a download.
pub fn inline(mimetype: &str) -> bool {
    let shown = matches!(mimetype.split('/').next(), Some("image" | "audio" | "video"))
        || mimetype == "application/pdf";
    shown && !runs_in_a_browser(mimetype)
}

fn runs_in_a_browser(mimetype: &str) -> bool {
    mimetype.contains("html")
        || mimetype.contains("xml") && !mimetype.contains("openxmlformats")
        || mimetype.contains("svg")
        || mimetype.contains("javascript")
        || mimetype.contains("ecmascript")
        || mimetype == "text/css"
        || mimetype == "application/x-shockwave-flash"
}

/// UTF-8 (perhaps cut at its end) without control characters that no text has.
fn is_text(head: &[u8]) -> bool {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{c}'))
}

fn looks_like_markup(head: &[u8]) -> bool {
    head.iter().find(|b| !b.is_ascii_whitespace()).is_some_and(|b| *b == b'<')
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

    #[test]
    fn bytes_decide() {
        assert_eq!(mimetype(PNG, Some("image/jpeg")), "image/png");
        assert_eq!(mimetype(PNG, Some("text/html")), "image/png");
        assert_eq!(mimetype(b"%PDF-1.7 ", None), "application/pdf");
        assert_eq!(mimetype(b"\0\x01\x02\x03garbage", Some("image/png")), OPAQUE);
        assert_eq!(
            mimetype(b"MZ\x90\0", Some("image/png")),
            "application/vnd.microsoft.portable-executable"
        );
        assert_eq!(mimetype("größe;1\n".as_bytes(), Some("text/csv")), "text/csv");
        assert_eq!(mimetype(b"hello", Some("image/png")), "text/plain");
        assert_eq!(mimetype(b"", None), "text/plain");
        assert_eq!(mimetype(b"OggS\0\x02", Some("audio/opus")), "audio/opus");
        assert_eq!(mimetype(b"OggS\0\x02", Some("image/png")), "audio/ogg");
    }

    #[test]
    fn nothing_that_a_browser_would_run() {
        for (head, told) in [
            (&b"<!DOCTYPE html><script>1</script>"[..], "text/html"),
            (b"<html>", "image/png"),
            (b"<?xml version=\"1.0\"?><svg/>", "image/svg+xml"),
            (b"<svg xmlns='http://www.w3.org/2000/svg' onload='x()'/>", "image/svg+xml"),
            (b"  <script>", "text/plain"),
        ] {
            let kind = mimetype(head, Some(told));
            assert!(kind == OPAQUE || kind == "text/plain", "{told}: {kind}");
            assert!(!inline(&kind));
        }
        assert!(inline("image/png") && inline("application/pdf") && inline("audio/ogg"));
        assert!(!inline("image/svg+xml") && !inline("text/plain") && !inline("text/html"));
        let word = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
        assert_eq!(mimetype(b"PK\x03\x04\x14\0\0\0", Some(word)), word);
    }
}
