#!/usr/bin/env bash
# Contacts through the ORM of a real Odoo, on the PostgreSQL at PORT of loopback, which trusts everybody; the bench of
# synchronisation calls it.
#
#   bash tests/bench/orm.sh prepare SERIES PORT          makes the database bench<SERIES> with the addon in it
#   bash tests/bench/orm.sh measure SERIES PORT SIZE     stores SIZE contacts in each way; its last line is JSON (orm.py)
set -euo pipefail
CHECKOUT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
for noun in say machine packages process odoo_root postgres odoo; do
  # shellcheck source=/dev/null
  . "$CHECKOUT/deploy/lib/$noun.sh"
done
command=${1:-} SERIES=${2:-} size=${4:-}
case $command-$SERIES in
  prepare-14|prepare-19|measure-14|measure-19) ;;
  *) sed '/^#!/d; /^[^#]/Q; s/^# \?//' "${BASH_SOURCE[0]}"; exit 2 ;;
esac
machine_root "${BASH_SOURCE[0]}" "$@"
# shellcheck disable=SC2034  # the libraries want to know
{
  STATE=$CHECKOUT/target/bench-odoo$SERIES ODOO_STATE=$CHECKOUT/target/bench-odoo$SERIES
  DEMO_PG_PORT=${3:-}
  PG_SUPERUSER_PASSWORD=none PG_ODOO_PASSWORD=none ODOO_MASTER_PASSWORD=none
}
DATABASE=bench$SERIES
mkdir -p "$STATE"
packages_find_postgres

prepare() {
  machine_system; machine_target
  odoo_root_ready "$SERIES" || step "$STATE/root.log" "downloading and unpacking Odoo $SERIES (1 to 3 min)" odoo_root_build "$SERIES"
  odoo_prepare
  odoo_seed base; odoo_seed addon
  db_drop "$DATABASE"; odoo_restore addon "$DATABASE"
  db_super "$DATABASE" -c 'vacuum analyze'
}

measure() {
  { echo "SIZE = $((size))"; cat "$CHECKOUT/tests/bench/orm.py"; } |
    odoo_run 300 shell -d "$DATABASE" --no-http --max-cron-threads=0 --log-level=warn
}

trap 'odoo_leave "$SERIES"' EXIT
"$command"
