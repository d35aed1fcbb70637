"""The translation template of the addon, made of the exports of both series.

    terms.py merge EXPORT14 EXPORT19 TEMPLATE    writes the template: the union of both
    terms.py check TEMPLATE EXPORT [EXPORT]      exit 1 when the template is not that: with one export, when it lacks some of it

Each export must come from Odoo 14 or 19 (tests/tools/export_terms.py). Dates and Odoo's versions are left out, so that the
template changes only with the terms. Odoo 14 and 19 mark terms of JavaScript and Python differently: the template has both.
"""

import ast
import re
import sys

HEADER = """# Translation template of whatsapp_integration, for Odoo 14 and 19.
# Made by tests/tools/regenerate_terms.sh of Odoo's own exports; not edited by hand.
msgid ""
msgstr ""
"Project-Id-Version: whatsapp_integration\\n"
"Report-Msgid-Bugs-To: \\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=UTF-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: \\n"
"""


def read(path):
    """{msgid: {"#.": comments, "#:": places, "#,": flags}} of a .pot file, each a set of words."""
    terms = {}
    for block in re.split(r"\n\s*\n", open(path, encoding="utf-8").read()):
        entry = {"#.": set(), "#:": set(), "#,": set()}
        source, reading = [], False
        for line in block.splitlines():
            if line[:2] in entry:
                entry[line[:2]].update(_words(line[:2], line[2:].strip()))
            elif line.startswith("msgid "):
                source, reading = [ast.literal_eval(line[6:])], True
            elif line.startswith("msgstr "):
                reading = False
            elif reading and line.startswith('"'):
                source.append(ast.literal_eval(line))
            elif not line.startswith("#") and not line.startswith('"') and line:
                sys.exit("%s: cannot read the line %r" % (path, line))
        source = "".join(source)
        if source:
            if source in terms:
                sys.exit("%s: twice: %r" % (path, source))
            terms[source] = entry
    if not terms:
        sys.exit("%s holds no term" % path)
    return terms


def _words(kind, text):
    if kind == "#:":
        # the line of code is 0 in Odoo's exports; a place has no space in it
        return text.split()
    if kind == "#,":
        return [flag.strip() for flag in text.split(",")]
    return [text]


def union(exports):
    terms = {}
    for export in exports:
        for source, entry in export.items():
            known = terms.setdefault(source, {"#.": set(), "#:": set(), "#,": set()})
            for kind, words in entry.items():
                known[kind] |= words
    return terms


def quoted(word, text):
    lines = text.split("\n")
    lines = [line + "\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
    escaped = [
        '"%s"' % line.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
        for line in lines
    ]
    if len(escaped) == 1:
        return "%s %s" % (word, escaped[0])
    return "\n".join([word + ' ""', *escaped])


def write(path, terms):
    with open(path, "w", encoding="utf-8") as file:
        file.write(HEADER)
        for source in sorted(terms):
            entry = terms[source]
            file.write("\n")
            for kind in ("#.", "#:"):
                for word in sorted(entry[kind]):
                    file.write("%s %s\n" % (kind, word))
            if entry["#,"]:
                file.write("#, %s\n" % ", ".join(sorted(entry["#,"])))
            file.write(quoted("msgid", source) + '\nmsgstr ""\n')


def differences(template, exports):
    """What is wrong with the template, in lines."""
    wanted = union(exports)
    lines = []
    for source, entry in sorted(wanted.items()):
        known = template.get(source)
        if known is None:
            lines.append("missing: %r (%s)" % (source, ", ".join(sorted(entry["#:"])[:2])))
            continue
        for kind, words in entry.items():
            lines += ["%r lacks %s %s" % (source, kind, word) for word in sorted(words - known[kind])]
            if len(exports) > 1:
                lines += ["%r has no %s %s any more" % (source, kind, word) for word in sorted(known[kind] - words)]
    if len(exports) > 1:
        lines += ["no term any more: %r" % source for source in sorted(set(template) - set(wanted))]
    return lines


def main(command, *paths):
    if command == "merge" and len(paths) == 3:
        write(paths[2], union([read(paths[0]), read(paths[1])]))
        print("%s: %d terms" % (paths[2].rsplit("/", 1)[-1], len(read(paths[2]))))
        return 0
    if command == "check" and len(paths) in (2, 3):
        template, exports = read(paths[0]), [read(path) for path in paths[1:]]
        # The comparison finds something: without one of its terms the template is refused.
        if not differences({s: e for s, e in template.items() if s != "Send Message"}, exports):
            print("the check of the template finds nothing")
            return 1
        lines = differences(template, exports)
        print("\n".join(lines[:40]) or "%d terms, as exported" % len(template))
        if lines:
            print("%d differences: bash tests/tools/regenerate_terms.sh writes the template anew" % len(lines))
        return bool(lines)
    print(__doc__)
    return 2


sys.exit(main(*(sys.argv[1:] or [""])))
