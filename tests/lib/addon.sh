# shellcheck shell=bash disable=SC2034,SC2154
# The addon's own tests in Odoo's test runner, on a throw-away database. No daemon works on it: it would take the rows that
# the tests look at. Addon and daemon together are tested end to end.

# Sets what the libraries under deploy/ want to know, for the test instance of a series.
addon_place() {
  local base=$((TEST_PORTS + 50 + ($1 - 14) * 20))
  SERIES=$1 STATE=$CHECKOUT/target/test-addon$1 DATABASE=addontest
  RUN=$STATE/run LOGS=$STATE/log ODOO_STATE=$STATE/odoo
  DEMO_ODOO_PORT=$base DEMO_BUS_PORT=$((base + 1)) DEMO_PG_PORT=$((base + 5))
}

addon_section() { section "addon-$1" "the addon's tests in Odoo $1" 1800 addon_tests "$1"; }

addon_tests() {
  set -e
  addon_place "$1"; demo_folders; demo_secrets; odoo_prepare
  postgres_start
  odoo_seed base; odoo_seed addon
  db_drop $DATABASE; odoo_restore addon $DATABASE
  addon_run
}

# The second addon installs itself only where base_automation is: here it is asked for, and its tests run with the first one's.
ADDON_AUTOMATION=whatsapp_integration_automation

# Odoo itself exits with 0 when it ran no test: the summary of this very database decides, and both addons must have run some.
addon_run() {
  local rc=0 bus=--longpolling-port sum addon log=$LOGS/tests.log
  [ "$SERIES" = 14 ] || bus=--gevent-port
  odoo_run 1200 server -d "$DATABASE" --db-filter="^$DATABASE\$" -u "$ODOO_ADDON" -i "$ADDON_AUTOMATION" --test-enable \
    --test-tags "/$ODOO_ADDON,/$ADDON_AUTOMATION" --stop-after-init \
    --http-interface=127.0.0.1 --http-port="$DEMO_ODOO_PORT" "$bus=$DEMO_BUS_PORT" --workers=0 --max-cron-threads=0 >"$log" 2>&1 || rc=$?
  sum=$(grep -E "tests when loading database .$DATABASE" "$log" | grep -oE '[0-9]+ failed, [0-9]+ error\(s\) of [0-9]+ tests' | tail -1) || :
  [ $rc = 0 ] || grep -E -A25 ' (FAIL|ERROR): |CRITICAL' "$log" || tail -30 "$log"
  echo "Odoo $SERIES: exit $rc, ${sum:-no summary of tests}; log $log"
  [ $rc = 0 ] && [ -n "$sum" ] && [[ $sum != *" of 0 tests" ]] || return 1
  for addon in "$ODOO_ADDON" "$ADDON_AUTOMATION"; do
    grep -qE "odoo\.addons\.$addon\.tests\.[a-z_]+: Starting " "$log" || { echo "Odoo $SERIES: no test of $addon ran"; return 1; }
  done
}

addon_stop() {
  local series
  for series in 14 19; do
    [ -d "$CHECKOUT/target/test-addon$series" ] || continue
    ( addon_place "$series"; postgres_stop ) || :
  done
}
