#!/usr/bin/env bash
# After each change of the addon's models: installs the addon in Odoo 14 and 19, runs its tests, and writes
# crates/testkit/fixtures/odoo14.sql and odoo19.sql anew from the databases they leave.
#
#   bash tests/tools/regenerate_fixtures.sh     as root, as tests/run.sh; TEST_PORTS moves the ports
set -euo pipefail
CHECKOUT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
TEST_PORTS=${TEST_PORTS:-17000}
case ${1:-} in '') ;; *) sed '/^#!/d; /^[^#]/Q; s/^# \?//' "${BASH_SOURCE[0]}"; exit 2 ;; esac

stop() { for series in 14 19; do pid=$(cat "$CHECKOUT/target/test-addon$series/run/postgres.pid" 2>/dev/null | cut -d' ' -f1) && kill "$pid" 2>/dev/null || :; done; }
trap stop EXIT
TEST_PORTS=$TEST_PORTS bash "$CHECKOUT/tests/run.sh" -k addon
for series in 14 19; do
  # shellcheck source=/dev/null
  . "$CHECKOUT/target/test-addon$series/secrets"
  PGPASSWORD=$PG_SUPERUSER_PASSWORD bash "$CHECKOUT/tests/tools/dump_odoo_schema.sh" "$series" \
    "host=127.0.0.1 port=$((TEST_PORTS + 55 + (series - 14) * 20)) user=postgres dbname=addontest"
done
