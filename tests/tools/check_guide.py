"""Checks the guide against the addon, and the pictures against the documents.

- Each word in **bold** in docs/guide is a label of the addon (a term of its translation template), a way through its menu
  (`WhatsApp > Groups > Create Group`), or one of Odoo's own words below.
- Each link inside the guide leads to a file and heading that are there.
- Each picture that a document or the addon's own page shows is there, each of docs/images is shown, and all together are small.
"""

import os
import re
import sys
import xml.etree.ElementTree as ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
ADDON = os.path.join(ROOT, "odoo_addon/whatsapp_integration")
PICTURES = os.path.join(ROOT, "docs/images")
PICTURES_MIB = 6

# Odoo's own words, of 14 or 19, that the guide has to name.
ODOO = {"New", "Create", "Edit", "Save", "Action", "Actions", "Filters", "Group By", "Settings > Users & Companies > Users"}


def terms():
    text = open(os.path.join(ADDON, "i18n/whatsapp_integration.pot"), encoding="utf-8").read()
    found = re.findall(r'^msgid "(.+)"$', text, re.M)
    return {term.replace('\\"', '"').replace("\\\\", "\\") for term in found}


def menu_ways():
    """Every way through the menu, from the app down."""
    entries = {}
    for name in os.listdir(os.path.join(ADDON, "views")):
        if name.endswith(".xml"):
            for item in ElementTree.parse(os.path.join(ADDON, "views", name)).iter("menuitem"):
                entries[item.get("id")] = (item.get("name"), item.get("parent"))
    ways = set()
    for entry in entries:
        words, at = [], entry
        while at:
            words.insert(0, entries[at][0])
            at = entries[at][1]
        ways.add(" > ".join(words))
    return ways


def documents():
    """Every document that may show pictures, as {path: text}."""
    paths = ["README.md", "CHANGELOG.md"]
    for folder in ("docs", "docs/guide", "docs/adr", "odoo_addon/whatsapp_integration/readme"):
        if os.path.isdir(os.path.join(ROOT, folder)):
            paths += [os.path.join(folder, name) for name in sorted(os.listdir(os.path.join(ROOT, folder))) if name.endswith(".md")]
    return {path: open(os.path.join(ROOT, path), encoding="utf-8").read() for path in paths}


def anchors(text):
    """The anchors of the headings, as Git hosts make them."""
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in re.findall(r"^#+ (.+)$", text, re.M)}


def labels_wrong(path, text, known, ways):
    for found in re.finditer(r"\*\*(.+?)\*\*", text, re.S):
        label = " ".join(found.group(1).split())
        if label in ODOO or label in known or label in ways:
            continue
        what = "no such way through the menu" if label.startswith("WhatsApp > ") else "no label of the addon"
        yield "%s:%d: **%s**: %s" % (path, text.count("\n", 0, found.start()) + 1, label, what)


def links_wrong(path, text, every):
    folder = os.path.dirname(path)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        file, _hash, anchor = target.partition("#")
        file = os.path.normpath(os.path.join(folder, file)) if file else path
        if not os.path.exists(os.path.join(ROOT, file)):
            yield "%s: %s is not there" % (path, target)
        elif anchor and file in every and anchor not in anchors(every[file]):
            yield "%s: %s has no heading for #%s" % (path, file, anchor)


def pictures_wrong(every):
    there = {name for name in os.listdir(PICTURES) if name.endswith(".png")}
    shown = {}
    for path, text in every.items():
        for name in re.findall(r"images/([\w.-]+\.png)", text):
            shown.setdefault(name, path)
    yield from ("%s shows images/%s, which is not there" % (shown[name], name) for name in sorted(set(shown) - there))
    yield from ("docs/images/%s is shown by no document" % name for name in sorted(there - set(shown)))
    folder = os.path.join(ADDON, "static/description")
    page = open(os.path.join(folder, "index.html"), encoding="utf-8").read()
    for name in re.findall(r'src="([^"]+)"', page):
        if not os.path.exists(os.path.join(folder, name)):
            yield "static/description/index.html shows %s, which is not there" % name
    size = sum(os.path.getsize(os.path.join(PICTURES, name)) for name in there)
    if size > PICTURES_MIB << 20:
        yield "the pictures have %.1f MiB, more than %d" % (size / (1 << 20), PICTURES_MIB)


def main():
    known, ways, every = terms(), menu_ways(), documents()
    guide = {path: text for path, text in every.items() if path.startswith("docs/guide/")}
    wrong = []
    for path, text in guide.items():
        wrong += labels_wrong(path, text, known, ways)
        wrong += links_wrong(path, text, every)
    wrong += pictures_wrong(every)
    # The check finds something: a label, a way and a heading that do not exist.
    false = "**No Such Label** **WhatsApp > Nowhere** [x](README.md#no-such-heading)"
    if len([*labels_wrong("docs/guide/x.md", false, known, ways), *links_wrong("docs/guide/x.md", false, every)]) != 3:
        wrong.append("the check of the guide finds nothing")
    bold = sum(len(re.findall(r"\*\*.+?\*\*", text, re.S)) for text in guide.values())
    print("\n".join(wrong) or "%d labels in %d pages, %d pictures: as on the screen" % (bold, len(guide), len(os.listdir(PICTURES))))
    return bool(wrong)


sys.exit(main())
