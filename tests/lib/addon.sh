# shellcheck shell=bash disable=SC2034,SC2154
# The addon's own tests in Odoo's test runner, on a throw-away database with a daemon and a simulator beside it.

# Sets what the libraries under deploy/ want to know, for the test instance of a series.
addon_place() {
  local base=$((TEST_PORTS + 50 + ($1 - 14) * 20))
  SERIES=$1 STATE=$CHECKOUT/target/test-addon$1 DATABASE=addontest
  RUN=$STATE/run LOGS=$STATE/log ODOO_STATE=$STATE/odoo BRIDGE=$STATE/odoo/bridge
  DEMO_ODOO_PORT=$base DEMO_BUS_PORT=$((base + 1)) DEMO_PUBLIC_PORT=$((base + 2)) DEMO_PRIVATE_PORT=$((base + 3))
  DEMO_SIMULATOR_PORT=$((base + 4)) DEMO_PG_PORT=$((base + 5))
}

addon_section() { section "addon-$1" "the addon's tests in Odoo $1" 1800 addon_tests "$1"; }

addon_tests() {
  set -e
  addon_place "$1"; demo_folders; demo_secrets; odoo_prepare
  addon_down; postgres_start
  odoo_seed base; odoo_seed addon
  db_drop $DATABASE; odoo_restore addon $DATABASE
  bridge_settings $DATABASE; bridge_people; bridge_schema $DATABASE
  bridge_simulator; bridge_daemon
  addon_run
}

# Odoo itself exits with 0 when it ran no test: the summary of this very database decides.
addon_run() {
  local rc=0 bus=--longpolling-port sum log=$LOGS/tests.log
  [ "$SERIES" = 14 ] || bus=--gevent-port
  odoo_run 1200 server -d "$DATABASE" --db-filter="^$DATABASE\$" -u "$ODOO_ADDON" --test-enable --test-tags "/$ODOO_ADDON" --stop-after-init \
    --http-interface=127.0.0.1 --http-port="$DEMO_ODOO_PORT" "$bus=$DEMO_BUS_PORT" --workers=0 --max-cron-threads=0 >"$log" 2>&1 || rc=$?
  sum=$(grep -E "tests when loading database .$DATABASE" "$log" | grep -oE '[0-9]+ failed, [0-9]+ error\(s\) of [0-9]+ tests' | tail -1) || :
  [ $rc = 0 ] || grep -E -A25 ' (FAIL|ERROR): |CRITICAL' "$log" || tail -30 "$log"
  echo "Odoo $SERIES: exit $rc, ${sum:-no summary of tests}; log $log"
  [ $rc = 0 ] && [ -n "$sum" ] && [[ $sum != *" of 0 tests" ]]
}

addon_down() { process_stop daemon TERM 35; process_stop simulator TERM 10; }

addon_stop() {
  local series
  for series in 14 19; do
    [ -d "$CHECKOUT/target/test-addon$series" ] || continue
    ( addon_place "$series"; addon_down; postgres_stop ) || :
  done
}
