"""Stores contacts as an ordinary addon stores a provider's list: through the ORM, as superuser. Runs in `odoo shell`.

SIZE, how many contacts each way gets, is set before. Prints one line of JSON, contacts a second of each way:
`new` (search by account and id, then create), `again` (the same list: search, then write), `bulk` (one create of all,
nothing searched); and `rewritten`, how many rows `again` has written anew although nothing in the list was new.
"""

import json
import time

BATCH = 100  # contacts of a transaction


def account_of(env):
    accounts = env["whatsapp.configuration"]
    return accounts.search([("name", "=", "Bench")], limit=1) or accounts.create(
        {"name": "Bench", "provider": "whapi", "channel_id": "BENCH-1"}
    )


def told(account, first, count):
    """The same fields as the daemon's writer fills; a contact's name is its provider's, nobody edited it."""
    for n in range(first, first + count):
        number = "4477%08d" % n
        yield {
            "configuration_id": account.id,
            "contact_id": number + "@s.whatsapp.net",
            "phone": "+" + number,
            "name": n % 3 == 0 and "Saved %d" % n,
            "name_edited_at": False,
            "pushname": "Person %d" % n,
            "provider": "whapi",
            "is_wa_contact": True,
            "is_business": n % 50 == 0,
            "synced_at": "2025-12-15 12:00:00",
        }


def one_by_one(env, contacts):
    model = env["whatsapp.contact"]
    for n, values in enumerate(contacts, 1):
        keys = ("configuration_id", "contact_id")
        known = model.search([(key, "=", values[key]) for key in keys], limit=1)
        if known:
            known.write(values)
        else:
            model.create(values)
        if n % BATCH == 0:
            env.cr.commit()
    env.cr.commit()


def in_bulk(env, contacts):
    env["whatsapp.contact"].create(contacts)
    env.cr.commit()


def rate(store, env, contacts):
    begin = time.perf_counter()
    store(env, contacts)
    return len(contacts) / (time.perf_counter() - begin)


def versions(env):
    env.cr.execute("SELECT id, xmin::text FROM whatsapp_contact")
    return set(env.cr.fetchall())


def main(env):
    account = account_of(env)
    env.cr.execute("SELECT coalesce(max(right(phone, 8)::int), 0) + 1 FROM whatsapp_contact")
    first = env.cr.fetchone()[0]
    # What is slow the first time is no way of storing.
    one_by_one(env, list(told(account, first, BATCH)))
    contacts = list(told(account, first + BATCH, SIZE))  # noqa: F821 (set before)
    took = {"new": rate(one_by_one, env, contacts)}
    before = versions(env)
    took["again"] = rate(one_by_one, env, contacts)
    took["rewritten"] = len(versions(env) - before)
    more = list(told(account, first + BATCH + SIZE, SIZE))  # noqa: F821
    took["bulk"] = rate(in_bulk, env, more)
    count = env["whatsapp.contact"].search_count([("configuration_id", "=", account.id)])
    if count != first - 1 + BATCH + 2 * SIZE:  # noqa: F821
        raise AssertionError("%d contacts are stored" % count)
    print(json.dumps(took))


main(env)  # noqa: F821 (given by the shell)
