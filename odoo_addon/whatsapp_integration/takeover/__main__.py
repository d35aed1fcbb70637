"""Dry run: what a take-over of this database would do. Its transaction is read-only.

    python3 <addons>/whatsapp_integration/takeover [--json] CONNECTION

CONNECTION is a database's name, or a connection string of libpq ("host=… user=odoo dbname=…").
Exit status 0: it can be taken over; 1: there is nothing to take over.
"""

import json
import os
import sys

import psycopg2

if __name__ == "__main__":
    # As a package of its own, so that Odoo is not needed.
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    import takeover

    arguments = [argument for argument in sys.argv[1:] if argument != "--json"]
    if len(arguments) != 1 or arguments[0].startswith("-"):
        sys.exit(__doc__.strip())
    place = (
        arguments[0] if "=" in arguments[0] or "://" in arguments[0] else "dbname=" + arguments[0]
    )
    try:
        connection = psycopg2.connect(place)
    except psycopg2.Error as error:
        sys.exit("the database cannot be reached: %s" % str(error).strip())
    connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
    report = takeover.look(connection.cursor())
    connection.rollback()
    if report is None:
        sys.exit(
            "this database does not hold the tables of the older addon:"
            " there is nothing to take over"
        )
    if "--json" in sys.argv:
        print(json.dumps(report.as_dict(), indent=1, sort_keys=True))
    else:
        print("dry run, nothing was changed\n" + report.text())
