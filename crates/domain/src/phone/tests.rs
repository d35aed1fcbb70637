use proptest::prelude::*;

use super::*;

fn digits(text: &str, country: Option<&str>) -> String {
    match Msisdn::parse(text, country) {
        Ok(number) => number.digits().to_owned(),
        Err(refusal) => refusal.message,
    }
}

#[test]
fn with_the_country_code() {
    for (text, country, number) in [
        ("+44 7700 900123", None, "447700900123"),
        ("+447700900801", Some("BE"), "447700900801"),
        ("447700900123", None, "447700900123"),
        ("447700900801", Some("GB"), "447700900801"),
        ("32471234567", Some("GB"), "32471234567"),
        ("436641234567", Some("GB"), "436641234567"),
        ("0044 7700-900123", None, "447700900123"),
        ("0044 7700 900123", Some("US"), "447700900123"),
        ("011 44 7700 900123", Some("US"), "447700900123"),
        ("0011 44 7700 900123", Some("AU"), "447700900123"),
        ("010 44 7700 900123", Some("JP"), "447700900123"),
        ("+44 (0)20 7946 0018", None, "442079460018"),
        ("+49 (0) 30 901820", Some("FR"), "4930901820"),
        ("+44 020 7946 0018", None, "442079460018"),
        ("+39 06 698 12345", None, "390669812345"),
        ("+39 (0)6 698 12345", None, "390669812345"),
        ("+39 06 698 12345", Some("IT"), "390669812345"),
        ("+00 32 471 23 45 67", None, "32471234567"),
        ("\u{202a}+32\u{a0}471\u{202f}23\u{2011}45\u{2010}67\u{202c}", None, "32471234567"),
        ("＋３２ ４７１ ２３ ４５ ６７", None, "32471234567"),
        ("+٩٧١ ٥٠ ١٢٣ ٤٥٦٧", None, "971501234567"),
        ("[+1] (202) 555-0123", None, "12025550123"),
        ("+7 800 555-35-35", None, "78005553535"),
        ("+852 5123 4567", None, "85251234567"),
        ("+225 01 23 45 67 89", None, "2250123456789"),
    ] {
        assert_eq!(digits(text, country), number, "{text} {country:?}");
    }
}

#[test]
fn the_way_people_dial_at_home() {
    for (text, country, number) in [
        ("0471 23 45 67", "BE", "32471234567"),
        ("0471/23.45.67", "be", "32471234567"),
        ("471 23 45 67", "BE", "32471234567"),
        ("07700 900123", "GB", "447700900123"),
        ("7700 900123", "GB", "447700900123"),
        ("(202) 555-0123", "US", "12025550123"),
        ("1 202 555 0123", "US", "12025550123"),
        ("06 12 34 56 78", "FR", "33612345678"),
        ("06 698 12345", "IT", "390669812345"),
        ("333 123 4567", "IT", "393331234567"),
        ("8 912 345-67-89", "RU", "79123456789"),
        ("0151 12345678", "DE", "4915112345678"),
        ("11 98765-4321", "BR", "5511987654321"),
        ("0 21 11 98765-4321", "BR", "5511987654321"),
        ("55 1234 5678", "MX", "525512345678"),
        ("044 55 1234 5678", "MX", "525512345678"),
        ("011 15-2345-6789", "AR", "5491123456789"),
        ("11 2345-6789", "AR", "541123456789"),
        ("050 123 4567", "AE", "971501234567"),
        (
            "09 1234 5678",
            "ZZ",
            "\"09 1234 5678\" cannot be written to: the country is missing; write + and the country code, or set a country on the contact or the account",
        ),
    ] {
        assert_eq!(digits(text, Some(country)), number, "{text} {country}");
    }
}

#[test]
fn refused_with_cause_and_cure() {
    for (text, country, word) in [
        ("0471 23 45 67", None, "country is missing"),
        ("7700 900123", None, "country is missing"),
        ("12345", None, "country is missing"),
        ("12 34", Some("GB"), "no number of GB"),
        ("+44 12345", None, "after the country code, not 5"),
        ("+1234567890123456", None, "10 digits after the country code, not 15"),
        ("+999 1234567", None, "no country has a code like +999"),
        ("+0 123 456 789", None, "begins with 0"),
        ("+", None, "no digits"),
        ("call me", None, "letters"),
        ("0800 FLOWERS", Some("GB"), "letters"),
        ("+44 20 7946 0018 x12", None, "extension"),
        ("+44 20 7946 0018 ext. 12", None, "extension"),
        ("+44 20 7946 0018;ext=12", None, "extension"),
        ("+44 20 7946 0018 # 12", None, "extension"),
        ("030 901820 Durchwahl 7", Some("DE"), "extension"),
        ("+44 7700 900123, +44 7700 900124", None, "several numbers"),
        ("+44 7700 900123 +44 7700 900124", None, "one number"),
        ("*31#0471234567", Some("BE"), "'*'"),
    ] {
        let refusal = Msisdn::parse(text, country).unwrap_err();
        assert_eq!(refusal.kind, Kind::InvalidRecipient);
        assert!(refusal.message.contains(word), "{text:?}: {refusal}");
        let read: String = text.trim().chars().take(10).collect();
        assert!(refusal.message.contains(&read), "{text:?}: {refusal}");
    }
    let long = Msisdn::parse(&"x".repeat(500), None).unwrap_err();
    assert!(long.message.len() < 200, "{long}");
}

/// (one form, the other).
const TWO_FORMS: [(&str, &str); 3] = [
    ("5511987654321", "551187654321"),
    ("5215512345678", "525512345678"),
    ("5491123456789", "541123456789"),
];

#[test]
fn two_forms_of_one_phone() {
    for (long, short) in TWO_FORMS {
        let long = Msisdn::parse(&format!("+{long}"), None).unwrap();
        let short = Msisdn::parse(&format!("+{short}"), None).unwrap();
        assert_eq!(long.other_form().as_ref(), Some(&short));
        assert_eq!(short.other_form().as_ref(), Some(&long));
        assert_eq!(long.forms(), [long.clone(), short.clone()]);
        assert_eq!(short.shared_name(), long.shared_name());
        assert_eq!(long.shared_name().as_deref(), Some(long.digits()));
    }
    // A Brazilian landline, other countries, and lengths that fit nothing.
    for one in ["551132345678", "447700900123", "52123", "5412345", "55119"] {
        let number = Msisdn(one.to_owned());
        assert_eq!((number.other_form(), number.shared_name()), (None, None), "{one}");
        assert_eq!(number.forms(), std::slice::from_ref(&number));
    }
}

proptest! {
    #[test]
    fn never_panics(text in "\\PC{0,40}", country in proptest::option::of("[A-Z]{2}")) {
        if let Ok(number) = Msisdn::parse(&text, country.as_deref()) {
            prop_assert!((7..=15).contains(&number.digits().len()));
        }
    }

    #[test]
    fn digits_never_panic(text in "\\+?[0-9]{0,20}", country in proptest::option::of("(BR|MX|AR|US|IT|GB|DE|RU|BE)")) {
        if let Ok(number) = Msisdn::parse(&text, country.as_deref()) {
            prop_assert_eq!(Msisdn::parse(&number.e164(), country.as_deref()), Ok(number.clone()));
            if let Some(other) = number.other_form() {
                prop_assert_eq!(other.other_form(), Some(number.clone()));
                prop_assert_eq!(other.shared_name(), number.shared_name());
            }
        }
    }
}
