//! What a provider could take: the limits of each part, and the error that names the part and its limit.

use super::{
    ButtonParameter, CAPTION_MAX_CHARS, Content, File, Interactive, InteractiveKind, Location,
    Parameter, Poll, TEXT_MAX_CHARS, Template, TemplateParameters,
};
use crate::error::{Kind, Refusal};

/// Most people mentioned in a text, those of the largest group; and the longest id of one, characters.
const MENTIONS_MAX: usize = 1024;
const MENTION_MAX_CHARS: usize = 100;
/// Longest number of a card, characters, with all that people write between its digits.
const CARD_PHONE_MAX_CHARS: usize = 40;
/// Longest name of a file, characters.
const FILENAME_MAX_CHARS: usize = 240;
/// Most options of a poll, and their longest text.
const POLL_OPTIONS: std::ops::RangeInclusive<usize> = 2..=12;
const POLL_TITLE_MAX_CHARS: usize = 255;
const POLL_OPTION_MAX_CHARS: usize = 100;
const BUTTONS_MAX: usize = 3;
const LIST_ROWS_MAX: usize = 10;
const BUTTON_TITLE_MAX_CHARS: usize = 20;
const ROW_TITLE_MAX_CHARS: usize = 24;
const ROW_DESCRIPTION_MAX_CHARS: usize = 72;
const OPTION_ID_MAX_CHARS: usize = 200;
const HEADER_MAX_CHARS: usize = 60;
/// Longest name of a template's placeholder, characters.
const PLACEHOLDER_MAX_CHARS: usize = 64;
/// Buttons of a template.
const TEMPLATE_BUTTONS_MAX: usize = 10;

impl Content {
    /// The content itself when a provider could take it.
    ///
    /// # Errors
    /// `invalid_content`, with the part that is wrong and the limit.
    pub fn checked(self) -> Result<Self, Refusal> {
        match &self {
            Self::Text { text } => {
                filled("text.body", "the text", &text.body, TEXT_MAX_CHARS)?;
                mentions(&text.mentions)?;
            }
            Self::Image { media }
            | Self::Video { media }
            | Self::Document { media }
            | Self::Gif { media } => file(media, true)?,
            Self::Audio { media } | Self::Voice { media } | Self::Sticker { media } => {
                file(media, false)?;
            }
            Self::Location { location } => place(location)?,
            Self::Contact { contact } => {
                filled("contact.name", "the name", &contact.name, POLL_TITLE_MAX_CHARS)?;
                bounded("contact.phone", &contact.phone, CARD_PHONE_MAX_CHARS)?;
                let digits = contact.phone.chars().filter(char::is_ascii_digit).count();
                if !(5..=15).contains(&digits) {
                    return invalid("contact.phone is no phone number with its country code");
                }
            }
            Self::Poll { poll } => self::poll(poll)?,
            Self::Interactive { interactive } => self::interactive(interactive)?,
            Self::Template { template, media } => self::template(template, media.as_ref())?,
            Self::Reaction { reaction } => {
                // One emoji may be many characters; nothing readable is.
                if let Some(emoji) = &reaction.emoji
                    && (emoji.is_empty()
                        || emoji.chars().count() > 16
                        || emoji.chars().any(|c| c.is_ascii_alphanumeric() || c.is_control()))
                {
                    return invalid(
                        "reaction.emoji is one emoji; without it the reaction is taken back",
                    );
                }
            }
        }
        Ok(self)
    }
}

fn invalid<T>(why: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::new(Kind::InvalidContent, why))
}

fn bounded(noun: &str, text: &str, limit: usize) -> Result<(), Refusal> {
    let chars = text.chars().count();
    if chars > limit {
        return invalid(format!("{noun} has {chars} characters; WhatsApp takes at most {limit}"));
    }
    if text.contains('\0') {
        return invalid(format!("{noun} holds a NUL character, which cannot be stored or sent"));
    }
    Ok(())
}

fn filled(part: &str, noun: &str, text: &str, limit: usize) -> Result<(), Refusal> {
    if text.trim().is_empty() {
        return invalid(format!("{noun} is empty; write something in {part}"));
    }
    bounded(noun, text, limit)
}

fn mentions(mentions: &[String]) -> Result<(), Refusal> {
    if mentions.len() > MENTIONS_MAX {
        let count = mentions.len();
        return invalid(format!("there are at most {MENTIONS_MAX} text.mentions, not {count}"));
    }
    for mention in mentions {
        if mention.chars().any(char::is_control) {
            return invalid("text.mentions are numbers or contact ids, without control characters");
        }
        filled("text.mentions", "a mention", mention, MENTION_MAX_CHARS)?;
    }
    Ok(())
}

fn file(file: &File, takes_caption: bool) -> Result<(), Refusal> {
    match &file.caption {
        Some(_) if !takes_caption => {
            return invalid(
                "audio, voice and sticker messages have no caption; send a text after it",
            );
        }
        Some(caption) => bounded("the caption", caption, CAPTION_MAX_CHARS)?,
        None => {}
    }
    match &file.filename {
        Some(name) if name.trim().is_empty() => invalid("media.filename is empty"),
        Some(name) if name.chars().any(|c| c.is_control() || c == '/' || c == '\\') => {
            invalid("media.filename is a bare name, without folders and control characters")
        }
        Some(name) => bounded("media.filename", name, FILENAME_MAX_CHARS),
        None => Ok(()),
    }
}

fn place(location: &Location) -> Result<(), Refusal> {
    if !(-90.0..=90.0).contains(&location.latitude) {
        return invalid("location.latitude lies between -90 and 90 degrees");
    }
    if !(-180.0..=180.0).contains(&location.longitude) {
        return invalid("location.longitude lies between -180 and 180 degrees");
    }
    for text in [&location.name, &location.address].into_iter().flatten() {
        bounded("the name or address of the location", text, CAPTION_MAX_CHARS)?;
    }
    Ok(())
}

fn poll(poll: &Poll) -> Result<(), Refusal> {
    filled("poll.title", "the question of the poll", &poll.title, POLL_TITLE_MAX_CHARS)?;
    if !POLL_OPTIONS.contains(&poll.options.len()) {
        return invalid(format!("a poll has 2 to 12 options, not {}", poll.options.len()));
    }
    for (at, option) in poll.options.iter().enumerate() {
        filled("poll.options", "an option of the poll", option, POLL_OPTION_MAX_CHARS)?;
        if poll.options[..at].contains(option) {
            return invalid("two options of the poll are the same");
        }
    }
    if poll.count.is_some_and(|count| usize::try_from(count).is_ok_and(|n| n > poll.options.len()))
    {
        return invalid("poll.count is larger than the number of options");
    }
    Ok(())
}

fn interactive(interactive: &Interactive) -> Result<(), Refusal> {
    filled("interactive.body", "the text", &interactive.body, CAPTION_MAX_CHARS)?;
    for text in [&interactive.header, &interactive.footer].into_iter().flatten() {
        bounded("the header or footer", text, HEADER_MAX_CHARS)?;
    }
    match &interactive.button {
        Some(_) if interactive.kind == InteractiveKind::Buttons => {
            return invalid("interactive.button is the label of a list; buttons have their titles");
        }
        Some(label) => {
            filled("interactive.button", "the label of the list", label, BUTTON_TITLE_MAX_CHARS)?;
        }
        None => {}
    }
    let (most, title_max, what) = match interactive.kind {
        InteractiveKind::Buttons => (BUTTONS_MAX, BUTTON_TITLE_MAX_CHARS, "buttons"),
        InteractiveKind::List => (LIST_ROWS_MAX, ROW_TITLE_MAX_CHARS, "rows"),
    };
    let options = &interactive.options;
    if options.is_empty() || options.len() > most {
        return invalid(format!("there are 1 to {most} {what}, not {}", options.len()));
    }
    for (at, option) in options.iter().enumerate() {
        filled("options.id", "the id of an option", &option.id, OPTION_ID_MAX_CHARS)?;
        filled("options.title", "the title of an option", &option.title, title_max)?;
        match &option.description {
            Some(_) if interactive.kind == InteractiveKind::Buttons => {
                return invalid("buttons have no description; use a list");
            }
            Some(text) => bounded("the description of a row", text, ROW_DESCRIPTION_MAX_CHARS)?,
            None => {}
        }
        if options[..at].iter().any(|other| other.id == option.id) {
            return invalid("two options have the same id");
        }
    }
    Ok(())
}

fn template(template: &Template, header: Option<&File>) -> Result<(), Refusal> {
    filled("template.name", "the name of the template", &template.name, 512)?;
    filled("template.language", "the language of the template", &template.language, 20)?;
    let parameters = &template.parameters;
    for (part, list) in [("header", &parameters.header), ("body", &parameters.body)] {
        placeholders(part, list)?;
    }
    buttons(parameters)?;
    let Some(header) = header else { return Ok(()) };
    if !parameters.header.is_empty() {
        return invalid(
            "the header of a template is a file (media) or a text (template.parameters.header), not both",
        );
    }
    if header.caption.is_some() {
        return invalid("the file of a template has no caption; its body is the text below it");
    }
    file(header, true)
}

fn parameter(text: &str) -> Result<(), Refusal> {
    filled("template.parameters", "a parameter of the template", text, CAPTION_MAX_CHARS)
}

fn placeholders(part: &str, parameters: &[Parameter]) -> Result<(), Refusal> {
    for (at, one) in parameters.iter().enumerate() {
        parameter(one.text())?;
        if one.name().is_some() != parameters[0].name().is_some() {
            return invalid(format!(
                "template.parameters.{part}: either all placeholders are named or none is"
            ));
        }
        let Some(name) = one.name() else { continue };
        let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
        if !(1..=PLACEHOLDER_MAX_CHARS).contains(&name.len()) || !name.bytes().all(word) {
            return invalid(format!(
                "template.parameters.{part}: the name of a placeholder has up to {PLACEHOLDER_MAX_CHARS} lower-case letters, digits and underscores, without braces"
            ));
        }
        if parameters[..at].iter().any(|other| other.name() == Some(name)) {
            return invalid(format!("template.parameters.{part}: {name} is given twice"));
        }
    }
    Ok(())
}

fn buttons(parameters: &TemplateParameters) -> Result<(), Refusal> {
    let numbered = |one: &ButtonParameter| matches!(one, ButtonParameter::Numbered(_));
    let given = &parameters.buttons;
    if given.iter().any(|one| numbered(one) != numbered(&given[0])) {
        return invalid("template.parameters.buttons: either all have an index or none has");
    }
    let mut seen = Vec::with_capacity(given.len());
    for (index, text) in parameters.numbered_buttons() {
        parameter(text)?;
        if index >= TEMPLATE_BUTTONS_MAX || seen.contains(&index) {
            return invalid(format!(
                "template.parameters.buttons: button {index} is given twice, or is none: they count from 0 to {}",
                TEMPLATE_BUTTONS_MAX - 1
            ));
        }
        seen.push(index);
    }
    Ok(())
}
