//! Words by which people say that they want no more messages, or want them again.

/// What a word means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    Stop,
    Start,
}

/// Longer texts are no single word, characters.
const LONGEST: usize = 60;

/// By language: words that stop and words that start. An account's own list of stop words takes the place of the
/// first column (the addon fills it from the same words when the account is made).
const WORDS: [(&str, &[&str], &[&str]); 8] = [
    ("en", &["STOP", "UNSUBSCRIBE", "OPT OUT"], &["START", "UNSTOP", "SUBSCRIBE", "OPT IN"]),
    ("de", &["STOPP", "ABMELDEN", "ABBESTELLEN"], &["ANMELDEN", "STARTEN"]),
    ("es", &["BAJA", "CANCELAR SUSCRIPCIÓN"], &["ALTA", "SUSCRIBIR"]),
    ("fr", &["ARRET", "ARRÊT", "DESINSCRIRE"], &["REPRENDRE", "INSCRIRE"]),
    ("it", &["DISISCRIVI", "CANCELLAMI"], &["ISCRIVI", "ISCRIVIMI"]),
    ("nl", &["AFMELDEN", "UITSCHRIJVEN"], &["AANMELDEN", "INSCHRIJVEN"]),
    ("pt", &["SAIR", "CANCELAR", "PARAR"], &["VOLTAR", "INSCREVER"]),
    ("ar", &["توقف", "إلغاء الاشتراك"], &["ابدأ", "اشتراك"]),
];

/// Letters and digits in lower case, single spaces between words.
fn plain(text: &str) -> String {
    let spaced: String = text
        .chars()
        .flat_map(char::to_lowercase)
        .map(|c| if c.is_alphanumeric() { c } else { ' ' })
        .collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// False for texts that cannot be a word by themselves; spares looking for the account's list.
pub fn may_be(text: &str) -> bool {
    text.chars().take(LONGEST + 1).count() <= LONGEST && !plain(text).is_empty()
}

/// What a whole text says, by the account's stop words (one per line; None: those of all languages).
pub fn of(text: &str, stop_words: Option<&str>) -> Option<Wish> {
    if !may_be(text) {
        return None;
    }
    let said = plain(text);
    let stops = match stop_words {
        Some(own) => own.lines().any(|word| plain(word) == said),
        None => WORDS.iter().any(|(_, stop, _)| stop.iter().any(|word| plain(word) == said)),
    };
    if stops {
        return Some(Wish::Stop);
    }
    let starts = WORDS.iter().any(|(_, _, start)| start.iter().any(|word| plain(word) == said));
    starts.then_some(Wish::Start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_words_only() {
        for text in ["STOP", "stop", " Stop. ", "«stop»!", "sToP\n", "opt-out", "Arrêt", "توقف"]
        {
            assert_eq!(of(text, None), Some(Wish::Stop), "{text:?}");
        }
        for text in ["do not stop", "stopped", "", "!!", "stop stop", "bus stop?"] {
            assert_eq!(of(text, None), None, "{text:?}");
        }
        assert_eq!(of("Start!", None), Some(Wish::Start));
        assert_eq!(of(&"stop ".repeat(40), None), None);
    }

    #[test]
    fn the_accounts_own_list() {
        let own = Some("Genug\nno more, please\n\n");
        assert_eq!(of("GENUG!", own), Some(Wish::Stop));
        assert_eq!(of("No more please", own), Some(Wish::Stop));
        assert_eq!(of("stop", own), None, "the list is what counts");
        assert_eq!(of("start", own), Some(Wish::Start));
        assert_eq!(of("?", Some("?\n\n")), None, "a word has letters");
    }
}
