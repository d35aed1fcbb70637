"""What people write when they want no more messages, by language; an account's list starts so."""

STOP_WORDS = {
    "en": ("STOP", "UNSUBSCRIBE", "OPT OUT"),
    "de": ("STOPP", "ABMELDEN", "ABBESTELLEN"),
    "es": ("BAJA", "CANCELAR SUSCRIPCIÓN"),
    "fr": ("ARRET", "ARRÊT", "DESINSCRIRE"),
    "it": ("DISISCRIVI", "CANCELLAMI"),
    "nl": ("AFMELDEN", "UITSCHRIJVEN"),
    "pt": ("SAIR", "CANCELAR", "PARAR"),
    "ar": ("توقف", "إلغاء الاشتراك"),
}


def stop_words(language):
    """One per line: the words of English and of `language` (en_US, de, …)."""
    code = (language or "en").split("_")[0]
    words = STOP_WORDS["en"] + (STOP_WORDS.get(code, ()) if code != "en" else ())
    return "\n".join(words)
