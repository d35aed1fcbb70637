"""Makes pg_dump's output loadable as one batch into an empty database.

Drops session settings, comments and psql's own commands, foreign keys to other tables,
indexes that need an extension, and views: Odoo alone reads them, and drops them itself where it
changes the type of a column. Reads stdin, writes stdout.
"""

import os
import re
import sys

dumped = set(os.environ["TABLES"].split())
text = re.sub(r"(?m)^(--.*|\\.*|SET .*;|SELECT pg_catalog\.set_config.*;)\n", "", sys.stdin.read())
statements = [s.strip() for s in re.split(r";\n", text) if s.strip()]
kept = []
for statement in statements:
    target = re.search(r"REFERENCES public\.(\w+)", statement)
    if target and target.group(1) not in dumped and not target.group(1).startswith("whatsapp_"):
        continue
    if statement.startswith("CREATE VIEW "):
        continue
    if re.search(r"USING gin|_trgm_|unaccent", statement) or "_wizard" in statement:
        continue
    kept.append(re.sub(r"\n\s*", "\n    ", statement) + ";")
sys.stdout.write("\n".join(kept) + "\n")
