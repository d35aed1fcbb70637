"""Types of files as people call them."""

from .series import translator


def _(source):
    """Marks a term for the export; it is translated where it is used."""
    return source


# (what the type begins with, icon, what it is called)
KINDS = (
    ("image/webp", "fa-smile-o", _("Picture or sticker")),
    ("image/", "fa-file-image-o", _("Picture")),
    ("video/", "fa-file-video-o", _("Video")),
    ("audio/", "fa-file-audio-o", _("Recording")),
    ("application/pdf", "fa-file-pdf-o", _("PDF")),
    ("application/vnd.openxmlformats-officedocument.spreadsheet", "fa-file-excel-o", _("Table")),
    ("application/vnd.openxmlformats-officedocument.word", "fa-file-word-o", _("Text document")),
    ("text/", "fa-file-text-o", _("Text")),
    ("", "fa-file-o", _("Document")),
)


def shown(env, mimetype):
    """(icon, word) for a type of file."""
    _start, icon, word = next(row for row in KINDS if (mimetype or "").startswith(row[0]))
    return icon, translator(env)(word)
