//! WHAPI's id patterns (`whapi.md` section 1), by hand: no need for a regular expression engine.

use crate::{media, message::Chat};
use rand::{Rng, distr::Alphanumeric};

/// `^[A-Za-z0-9._]{4,30}-[A-Za-z0-9._]{4,14}(-[A-Za-z0-9._]{4,10})?(-[A-Za-z0-9._]{2,10})?$`
pub(crate) fn is_message(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let fits = |part: &str, least: usize, most: usize| {
        (least..=most).contains(&part.len())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'_')
    };
    match parts[..] {
        [a, b] => fits(a, 4, 30) && fits(b, 4, 14),
        // Either of the last two parts may be missing.
        [a, b, c] => fits(a, 4, 30) && fits(b, 4, 14) && fits(c, 2, 10),
        [a, b, c, d] => fits(a, 4, 30) && fits(b, 4, 14) && fits(c, 4, 10) && fits(d, 2, 10),
        _ => false,
    }
}

fn digits_or_dash(text: &str, least: usize) -> bool {
    (least..=31).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit() || b == b'-')
}

/// The chat a send's `to` means.
///
/// # Errors
/// Why WHAPI would refuse it.
pub(crate) fn recipient(to: &str) -> Result<Chat, String> {
    let (id, suffix) = match to.split_once('@') {
        Some((id, suffix)) => (id, Some(suffix)),
        None => (to, None),
    };
    if !digits_or_dash(id, 9) {
        return Err("to must match ^[\\d-]{9,31}(@[\\w\\.]{1,})?$".to_owned());
    }
    // A bare id that is no possible number can only be a group's.
    let number = id.len() <= 15 && !id.contains('-');
    match suffix {
        Some("s.whatsapp.net") if number => Ok(Chat::Person(id.to_owned())),
        None if number => Ok(Chat::Person(id.to_owned())),
        None => Ok(Chat::Group(format!("{id}@g.us"))),
        Some("g.us") if id.len() >= 10 => Ok(Chat::Group(to.to_owned())),
        Some("c.us") => Err("to: @c.us is not accepted, use @s.whatsapp.net".to_owned()),
        Some("lid") => Err("to: a LID is not a recipient, use the phone number".to_owned()),
        Some(other) => Err(format!("to: no chat of the kind @{other}")),
    }
}

/// The chat id as WHAPI writes it.
pub(crate) fn chat(chat: &Chat) -> String {
    match chat {
        Chat::Person(lid) if lid.ends_with("@lid") => lid.clone(),
        Chat::Person(phone) => format!("{phone}@s.whatsapp.net"),
        Chat::Group(id) | Chat::Channel(id) => id.clone(),
    }
}

/// A new id of a file: `^[A-Za-z0-9]+-[0-9A-Fa-f-]+$`.
pub(crate) fn new_file(mime: &str) -> String {
    let number: u128 = rand::random();
    format!("{}-{:020x}-80", media::extension(mime), number >> 48)
}

fn letters(count: usize) -> impl Iterator<Item = char> {
    rand::rng().sample_iter(Alphanumeric).take(count).map(char::from)
}

/// A new message id: two parts, in groups three, as in the published samples.
pub(crate) fn new_message(in_group: bool) -> String {
    let mut id: String = letters(22).collect();
    id.push_str("-g");
    if in_group {
        id.extend(letters(12));
        id.push('-');
        id.extend(letters(8));
    } else {
        id.extend(letters(10));
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_ids_have_the_pattern() {
        for _ in 0..100 {
            assert!(is_message(&new_message(false)));
            assert!(is_message(&new_message(true)));
        }
        assert!(is_message("Qv5nK1mSv9YaE2fJuP7h4L-kXi3Drf7UjMabc-E8JdK1cQ"));
        for bad in ["", "abc", "abcd", "abcd-efg", "a b c d-efgh", "abcd-efgh-i"] {
            assert!(!is_message(bad), "{bad:?}");
        }
    }

    #[test]
    fn recipients() {
        let person = Chat::Person("447700900123".to_owned());
        assert_eq!(recipient("447700900123"), Ok(person.clone()));
        assert_eq!(recipient("447700900123@s.whatsapp.net"), Ok(person));
        let group = Chat::Group("120363025550100777@g.us".to_owned());
        assert_eq!(recipient("120363025550100777@g.us"), Ok(group.clone()));
        assert_eq!(recipient("120363025550100777"), Ok(group));
        assert!(recipient("447700900123@c.us").unwrap_err().contains("@s.whatsapp.net"));
        for bad in ["", "+447700900123", "4477 00900123", "12345678", "447700900123@lid", "x@g.us"]
        {
            assert!(recipient(bad).is_err(), "{bad:?}");
        }
    }
}
