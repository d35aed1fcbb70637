//! Phone numbers as people write them, into E.164.
//!
//! A number has to be *possible* in libphonenumber's words (a length that its country has), not *valid*: made-up and
//! new ranges are missing in every table. In Brazil, Mexico and Argentina one phone has two international forms,
//! and WhatsApp knows it by either: [`Msisdn::forms`].

use std::collections::BTreeSet;

use phonenumber::country::Id;
use phonenumber::metadata::{DATABASE, Descriptors};
use phonenumber::{Metadata, Mode, Type};

use crate::error::{Kind, Refusal};

/// Digits of a country's longest code.
const CODE_MAX: usize = 3;
/// Characters of what was read that an error repeats.
const QUOTED_MAX: usize = 40;
const TYPES: [Type; 11] = [
    Type::FixedLine,
    Type::Mobile,
    Type::TollFree,
    Type::PremiumRate,
    Type::SharedCost,
    Type::PersonalNumber,
    Type::Voip,
    Type::Pager,
    Type::Uan,
    Type::Voicemail,
    Type::Unknown,
];

/// An E.164 number: digits only, without plus, 7 to 15 of them. A value that exists is possible.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Msisdn(String);

impl Msisdn {
    /// Reads `+44 7700 900123`, `0044…`, digits with the country code, or a national number together with
    /// the country (ISO code, two letters).
    ///
    /// # Errors
    /// `invalid_recipient`: what was read, what is wrong with it, and what to write instead.
    pub fn parse(text: &str, country: Option<&str>) -> Result<Self, Refusal> {
        let typed = Typed::read(text)?;
        let refuse = |why: &str| Err(refusal(text, why));
        let country = country.and_then(|code| code.trim().to_ascii_uppercase().parse::<Id>().ok());
        if typed.digits.is_empty() {
            return refuse("it has no digits");
        }
        if let Some(digits) = typed.international(country) {
            return match international(&digits) {
                Ok(number) => Ok(number),
                Err(why) => refuse(&why),
            };
        }
        let bare = international(&typed.digits).ok();
        let Some(country) = country else {
            // Digits that begin with a country's code, as WhatsApp itself writes them.
            return match bare.filter(|_| !typed.digits.starts_with('0')) {
                Some(number) => Ok(number),
                None => refuse(
                    "the country is missing; write + and the country code, or set a country on the contact or the account",
                ),
            };
        };
        let national = National::read(&typed.digits, country);
        match (national, bare) {
            (Some(national), _) if national.certain => Ok(national.number),
            (_, Some(bare)) if !typed.digits.starts_with('0') => Ok(bare),
            (Some(national), _) => Ok(national.number),
            (None, _) => refuse(&format!(
                "no number of {} has these digits; write the area code too, or + and the country code",
                country.as_ref()
            )),
        }
    }

    /// Digits that a provider or the database gave, as they are; None where they are no E.164 number.
    pub fn of_digits(digits: &str) -> Option<Self> {
        let digits = digits.strip_prefix('+').unwrap_or(digits);
        let fits = (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        fits.then(|| Self(digits.to_owned()))
    }

    pub fn digits(&self) -> &str {
        &self.0
    }

    /// With plus, as in `whatsapp_contact.phone`.
    pub fn e164(&self) -> String {
        format!("+{}", self.0)
    }

    /// The other form of the same phone, where its country has two.
    pub fn other_form(&self) -> Option<Self> {
        other_form(&self.0).map(Self)
    }

    /// All forms of the same phone, this one first.
    pub fn forms(&self) -> Vec<Self> {
        std::iter::once(self.clone()).chain(self.other_form()).collect()
    }

    /// One name for all forms of the same phone, None where there is one form only: the longer of the two.
    pub fn shared_name(&self) -> Option<String> {
        let other = self.other_form()?;
        Some(if other.0.len() > self.0.len() { other.0 } else { self.0.clone() })
    }
}

/// Brazil writes a 9 before mobile numbers (`55 11 9 8765 4321`), Mexico once wrote a 1 (`52 1 55 …`), Argentina a 9
/// (`54 9 11 …`); WhatsApp knows old accounts by one form and new ones by the other.
fn other_form(digits: &str) -> Option<String> {
    if let Some(national) = digits.strip_prefix("55") {
        let (area, rest) = national.split_at_checked(2)?;
        return match rest.len() {
            9 if rest.starts_with('9') && rest[1..].starts_with(['6', '7', '8', '9']) => {
                Some(format!("55{area}{}", &rest[1..]))
            }
            8 if rest.starts_with(['6', '7', '8', '9']) => Some(format!("55{area}9{rest}")),
            _ => None,
        };
    }
    for (code, mark) in [("52", "1"), ("54", "9")] {
        let Some(national) = digits.strip_prefix(code) else { continue };
        return match (national.len(), national.strip_prefix(mark)) {
            (11, Some(rest)) => Some(format!("{code}{rest}")),
            (10, _) => Some(format!("{code}{mark}{national}")),
            _ => None,
        };
    }
    None
}

/// What was typed, without what means nothing.
struct Typed {
    plus: bool,
    /// `(0)` after a plus: said in the country only.
    digits: String,
}

impl Typed {
    fn read(text: &str) -> Result<Self, Refusal> {
        let refuse = |why: &str| Err(refusal(text, why));
        let mut digits = String::new();
        let mut plus = false;
        for (at, c) in text.char_indices() {
            match c {
                _ if decimal(c).is_some() => digits.extend(decimal(c)),
                '+' | '\u{ff0b}' if digits.is_empty() && !plus => plus = true,
                '+' | '\u{ff0b}' => return refuse("it has a + in its middle; write one number"),
                ',' | ';' | '\n' if has_digit(&text[at..]) && !digits.is_empty() => {
                    return refuse(if is_extension(&text[at..]) {
                        EXTENSION
                    } else {
                        "these are several numbers; write one"
                    });
                }
                c if is_separator(c) => {}
                'x' | 'X' | '#' if !digits.is_empty() => return refuse(EXTENSION),
                c if c.is_alphabetic() => {
                    return refuse(if !digits.is_empty() && is_extension(&text[at..]) {
                        EXTENSION
                    } else {
                        "letters are no part of a phone number, and it is no chat id"
                    });
                }
                c => {
                    return refuse(&format!("{c:?} is no part of a phone number"));
                }
            }
        }
        if plus && text.contains("(0)") {
            // Said at home only: +44 (0)20 is +44 20. Italy's numbers keep their 0.
            if let Some(at) = digits.find('0')
                && code_of(&digits).is_some_and(|code| code.len() == at && code != "39")
            {
                digits.remove(at);
            }
        }
        Ok(Self { plus, digits })
    }

    /// The digits from the country code on, where it was said that they are.
    fn international(&self, country: Option<Id>) -> Option<String> {
        if self.plus {
            // Some write +00 44.
            return Some(self.digits.strip_prefix("00").unwrap_or(&self.digits).to_owned());
        }
        // What is dialled there before the code: 00, 011, 0011.
        let dialled = country
            .and_then(|country| DATABASE.by_id(country.as_ref()))
            .and_then(|meta| meta.international_prefix()?.find(&self.digits))
            .filter(|found| found.start() == 0)
            .map(|found| &self.digits[found.end()..])
            .filter(|rest| international(rest).is_ok());
        dialled.or_else(|| self.digits.strip_prefix("00")).map(str::to_owned)
    }
}

const EXTENSION: &str =
    "it has an extension, which WhatsApp cannot reach; write the number without it";

fn refusal(text: &str, why: &str) -> Refusal {
    let read: String = text.trim().chars().filter(|c| !c.is_control()).take(QUOTED_MAX).collect();
    Refusal::new(Kind::InvalidRecipient, format!("\"{read}\" cannot be written to: {why}"))
}

/// Digits of the scripts that phones and web pages use.
fn decimal(c: char) -> Option<char> {
    let zero = match c {
        '0'..='9' => return Some(c),
        '\u{660}'..='\u{669}' => '\u{660}',
        '\u{6f0}'..='\u{6f9}' => '\u{6f0}',
        '\u{966}'..='\u{96f}' => '\u{966}',
        '\u{9e6}'..='\u{9ef}' => '\u{9e6}',
        '\u{ff10}'..='\u{ff19}' => '\u{ff10}',
        _ => return None,
    };
    char::from_digit(u32::from(c) - u32::from(zero), 10)
}

fn has_digit(text: &str) -> bool {
    text.chars().any(|c| decimal(c).is_some())
}

/// What stands between digits, marks of direction that come along when a number is copied included.
fn is_separator(c: char) -> bool {
    c.is_whitespace()
        || matches!(c, '-' | '.' | '(' | ')' | '[' | ']' | '/' | '~' | '\u{ad}')
        || matches!(c, '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{ff0d}' | '\u{ff08}' | '\u{ff09}')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// `ext 12`, `;ext=12`, `int. 3`, `Durchwahl 7`.
fn is_extension(rest: &str) -> bool {
    const WORDS: [&str; 9] =
        ["ext", "extn", "extension", "anexo", "int", "interno", "ramal", "poste", "durchwahl"];
    let rest = rest.trim_start_matches([';', ',', ' ']);
    let word: String = rest.chars().take_while(|c| c.is_alphabetic()).collect();
    WORDS.contains(&word.to_lowercase().as_str()) && has_digit(rest)
}

/// The code of the country that digits begin with: no code is the beginning of another.
fn code_of(digits: &str) -> Option<&str> {
    (1..=CODE_MAX).filter_map(|len| digits.get(..len)).find(|code| {
        !code.starts_with('0')
            && code.parse::<u16>().is_ok_and(|code| DATABASE.by_code(&code).is_some())
    })
}

/// Digits from the country code on; else what is wrong.
fn international(digits: &str) -> Result<Msisdn, String> {
    let Some(code) = code_of(digits) else {
        return Err(match digits.chars().next() {
            Some('0') => "no country code begins with 0; write + and the country code".to_owned(),
            Some(_) => {
                let code: String = digits.chars().take(CODE_MAX).collect();
                format!("no country has a code like +{code}")
            }
            None => "the country code is missing".to_owned(),
        });
    };
    let national = &digits[code.len()..];
    match check(code, national) {
        Check::Possible => Msisdn::of_digits(digits),
        // The 0 that is dialled at home.
        _ if national.starts_with('0') && check(code, &national[1..]) == Check::Possible => {
            Msisdn::of_digits(&format!("{code}{}", &national[1..]))
        }
        Check::Length(_) if is_second_form(digits) => Msisdn::of_digits(digits),
        Check::Length(lengths) => {
            return Err(format!(
                "numbers of +{code} have {} digits after the country code, not {}",
                words(&lengths),
                national.len()
            ));
        }
    }
    .ok_or_else(|| "E.164 numbers have 7 to 15 digits".to_owned())
}

/// A form that the tables do not know any more (`52 1 …`) of a number that they know.
fn is_second_form(digits: &str) -> bool {
    other_form(digits)
        .and_then(|other| code_of(&other).map(|code| check(code, &other[code.len()..])))
        .is_some_and(|check| check == Check::Possible)
}

#[derive(PartialEq, Eq)]
enum Check {
    Possible,
    /// The lengths that there are.
    Length(BTreeSet<u16>),
}

fn check(code: &str, national: &str) -> Check {
    let metas = code.parse::<u16>().ok().and_then(|code| DATABASE.by_code(&code));
    let lengths: BTreeSet<u16> = metas.into_iter().flatten().flat_map(lengths).collect();
    match u16::try_from(national.len()).is_ok_and(|len| lengths.contains(&len)) {
        true => Check::Possible,
        false => Check::Length(lengths),
    }
}

/// Lengths of the national numbers of a region, whatever their kind.
fn lengths(meta: &Metadata) -> impl Iterator<Item = u16> + use<> {
    let of = |all: &Descriptors| -> BTreeSet<u16> {
        TYPES
            .into_iter()
            .filter_map(|kind| all.get(kind))
            .flat_map(|descriptor| descriptor.possible_length().to_vec())
            .collect()
    };
    of(meta.descriptors()).into_iter()
}

/// `9`, `8 or 9`, `4 to 13`.
fn words(lengths: &BTreeSet<u16>) -> String {
    match (lengths.first(), lengths.last()) {
        (Some(first), Some(last)) if first == last => first.to_string(),
        (Some(first), Some(last)) if lengths.len() == 2 => format!("{first} or {last}"),
        (Some(first), Some(last)) => format!("{first} to {last}"),
        _ => "other".to_owned(),
    }
}

/// A number as it is dialled at home.
struct National {
    number: Msisdn,
    /// It cannot be meant with a country code: it begins with what is dialled at home only, or is assigned there.
    certain: bool,
}

impl National {
    fn read(digits: &str, country: Id) -> Option<Self> {
        let meta = DATABASE.by_id(country.as_ref())?;
        let code = meta.country_code().to_string();
        // From phones of before 2019: 044, 045 and 01 before mobile numbers.
        let digits = if code == "52" {
            let old = ["044", "045", "01"].iter().find_map(|prefix| digits.strip_prefix(*prefix));
            old.filter(|rest| rest.len() == 10).unwrap_or(digits)
        } else {
            digits
        };
        let number = phonenumber::parse(Some(country), digits).ok()?;
        let text = number.format().mode(Mode::E164).to_string();
        let international = text.strip_prefix('+')?;
        let rest = international.strip_prefix(&code)?;
        if check(&code, rest) != Check::Possible {
            return None;
        }
        let prefixed = meta.national_prefix().is_some_and(|prefix| digits.starts_with(prefix));
        let certain = digits.starts_with('0')
            || phonenumber::is_valid(&number)
            || prefixed && digits.len() == rest.len() + 1;
        Some(Self { number: Msisdn::of_digits(international)?, certain })
    }
}

#[cfg(test)]
mod tests;
