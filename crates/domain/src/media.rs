//! Files of messages: what may be kept of what others say about them.

use crate::message::MessageType;

/// Longest file name that is kept, bytes; file systems take 255.
const NAME_BYTES: usize = 200;

/// A file name as told by somebody else, fit for a row, a header and a disk: no folders, control or
/// direction-changing characters, no leading dots. None where nothing is left.
pub fn filename(told: &str) -> Option<String> {
    let last = told.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = last.chars().filter(|c| !c.is_control() && !is_invisible(*c)).collect();
    let clean = clean.trim().trim_start_matches('.').trim();
    if clean.len() <= NAME_BYTES {
        return (!clean.is_empty()).then(|| clean.to_owned());
    }
    // The ending says what it is: it stays.
    let ending = clean
        .rfind('.')
        .map(|at| &clean[at..])
        .filter(|ending| (2..=16).contains(&ending.len()))
        .unwrap_or_default();
    let mut end = NAME_BYTES - ending.len();
    while !clean.is_char_boundary(end) {
        end -= 1;
    }
    Some(format!("{}{ending}", clean[..end].trim_end()))
}

/// Marks that turn the direction of a text (`txt.exe` looks like `exe.txt`) or are not seen at all.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// A media type as told, lower-case and without parameters; None where it is none.
pub fn mimetype(told: &str) -> Option<String> {
    let essence = told.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let (kind, sub) = essence.split_once('/')?;
    let token = |part: &str| {
        (1..=80).contains(&part.len())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    (token(kind) && token(sub)).then_some(essence)
}

/// Kinds of files that have a size limit of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaKind {
    Image,
    Video,
    Audio,
    Sticker,
    Document,
}

impl MediaKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Sticker => "sticker",
            Self::Document => "document",
        }
    }

    /// The kind of a message's file.
    pub fn of(message_type: MessageType) -> Self {
        match message_type {
            MessageType::Image => Self::Image,
            MessageType::Video | MessageType::Gif => Self::Video,
            MessageType::Audio | MessageType::Voice => Self::Audio,
            MessageType::Sticker => Self::Sticker,
            _ => Self::Document,
        }
    }

    /// The kind of a file of this type (by its bytes) in a message: what a template has as its header follows the
    /// file.
    pub fn of_file(message_type: MessageType, mimetype: &str) -> Self {
        match (message_type, Self::of_mimetype(mimetype)) {
            (MessageType::Template, kind @ (Self::Image | Self::Video)) => kind,
            _ => Self::of(message_type),
        }
    }

    /// By the word in `whatsapp_message.message_type`; unknown ones are documents.
    pub fn of_word(word: &str) -> Self {
        MessageType::parse(word).map_or(Self::Document, Self::of)
    }

    /// The kind of a file that is handed over with this media type.
    pub fn of_mimetype(mimetype: &str) -> Self {
        match mimetype.split('/').next() {
            Some("image") => Self::Image,
            Some("video") => Self::Video,
            Some("audio") => Self::Audio,
            _ => Self::Document,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lose_what_could_do_harm() {
        for (told, kept) in [
            ("offer.pdf", Some("offer.pdf")),
            ("../../etc/passwd", Some("passwd")),
            ("C:\\temp\\a.doc", Some("a.doc")),
            ("a\r\nSet-Cookie: x.txt", Some("aSet-Cookie: x.txt")),
            ("invoice\u{202e}fdp.exe", Some("invoicefdp.exe")),
            (".bashrc", Some("bashrc")),
            ("  Übersicht 2025.xlsx ", Some("Übersicht 2025.xlsx")),
            ("", None),
            ("..", None),
            ("a/", None),
            ("\0\u{1}", None),
        ] {
            assert_eq!(filename(told).as_deref(), kept, "{told:?}");
        }
        let long = filename(&format!("{}.jpeg", "é".repeat(400))).unwrap();
        assert!(long.len() <= NAME_BYTES && long.ends_with("é.jpeg"), "{long}");
    }

    #[test]
    fn types_are_an_essence_or_nothing() {
        assert_eq!(mimetype("Audio/OGG; codecs=opus").as_deref(), Some("audio/ogg"));
        assert_eq!(mimetype("image/svg+xml").as_deref(), Some("image/svg+xml"));
        for wrong in ["", "image", "image/", "/png", "a b/c", "text/html\r\nx", "a/b/c"] {
            assert_eq!(mimetype(wrong), None, "{wrong:?}");
        }
    }
}
