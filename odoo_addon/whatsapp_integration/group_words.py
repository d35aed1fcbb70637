"""Words and pictures of groups that several screens share."""

import base64
import io
from urllib.parse import quote

import qrcode
from PIL import Image

from .series import translator

ICON_SIDE = 640
ICON_MAX_PIXELS = 50 * 1000 * 1000

# What came of a change for one person, as the daemon answers it (docs/PROTOCOL.md).
RESULTS = [
    ("added", "Added"),
    ("removed", "Removed"),
    ("promoted", "Is an administrator now"),
    ("demoted", "Is a plain member now"),
    ("invited", "Got the invitation"),
    ("waiting", "Waiting"),
    ("not_on_whatsapp", "Not on WhatsApp"),
    ("refused_privacy", "Does not let others add them"),
    ("not_admin", "This account is no administrator of the group"),
    ("already_member", "Is a member already"),
    ("not_member", "Is no member"),
    ("done", "Done"),
    ("failed", "Failed"),
]
# With these nothing went wrong.
GOOD = ("added", "removed", "promoted", "demoted", "invited", "waiting", "done")
# Who could not be added and can be asked to join instead.
INVITABLE = ("refused_privacy", "not_admin", "failed")


def result_label(env, word):
    """The translated label of a result; a word that this version does not know stays as it is."""
    selection = env["whatsapp.group.result"]._fields["result"]._description_selection(env)
    return dict(selection).get(word, word)


def invitation_text(env, group, link):
    """The message that invites to a group; `link` may be {link}, for the daemon to fill in."""
    _ = translator(env)
    return _("You are invited to our WhatsApp group “%(group)s”: %(link)s") % {
        "group": group,
        "link": link,
    }


def qr_png(text):
    """A QR code as base64 of a PNG; False for no text."""
    if not text:
        return False
    picture = io.BytesIO()
    qrcode.make(text, box_size=8, border=2).save(picture, "PNG")
    return base64.b64encode(picture.getvalue())


def share_address(text):
    """WhatsApp's own page that lets a person choose whom to send `text` to."""
    return "https://wa.me/?text=%s" % quote(text, safe="")


def square_jpeg(encoded):
    """A picture (base64) as WhatsApp wants icons: square, upright JPEG, 640 at most; or None.

    The same picture always gives the same bytes: they are part of what an idempotency key covers.
    """
    try:
        picture = Image.open(io.BytesIO(base64.b64decode(encoded)))
        if picture.width * picture.height > ICON_MAX_PIXELS:
            return None
        picture = picture.convert("RGBA")
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    picture = picture.crop((left, top, left + side, top + side))
    if side > ICON_SIDE:
        picture = picture.resize((ICON_SIDE, ICON_SIDE), Image.LANCZOS)
    white = Image.new("RGB", picture.size, (255, 255, 255))
    white.paste(picture, mask=picture.split()[3])
    jpeg = io.BytesIO()
    white.save(jpeg, "JPEG", quality=88)
    return base64.b64encode(jpeg.getvalue()).decode()
