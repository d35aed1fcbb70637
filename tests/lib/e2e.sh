# shellcheck shell=bash disable=SC2154
# The whole thing from outside: a demo of each series, checks and journeys in Chromium on it.

e2e_npm() {
  cd "$CHECKOUT/tests/e2e" || return 1
  [ node_modules/.package-lock.json -nt package-lock.json ] && return 0
  as_builder timeout -k 10 600 npm ci --no-audit --no-fund
}

# Sets DEMO_NAME, ODOO_SERIES and the ports of the demo of a series for what follows in this shell.
e2e_demo() {
  local base=$((TEST_PORTS + ($1 - 14) * 20))     # 14: +0, 19: +100
  export DEMO_PDF=1                               # where it cannot be had, reports are checked as HTML
  export DEMO_NAME=ci$1 ODOO_SERIES=$1 DEMO_ODOO_PORT=$base DEMO_BUS_PORT=$((base + 1)) DEMO_PUBLIC_PORT=$((base + 2))
  export DEMO_PRIVATE_PORT=$((base + 3)) DEMO_SIMULATOR_PORT=$((base + 4)) DEMO_PG_PORT=$((base + 5))
}

e2e_sections() {
  section "demo-$1" "deploy/demo.sh with Odoo $1, from nothing" 1800 e2e_start "$1"
  section "e2e-$1" "checks and journeys on Odoo $1" 2700 e2e_play "$1"
  local script
  for script in "$CHECKOUT"/tests/e2e/*.sh; do
    [ ! -e "$script" ] || section "$(basename "$script" .sh)-$1" "$(basename "$script") on Odoo $1" 1800 e2e_script "$1" "$script"
  done
  [ -n "$KEEP" ] || ( e2e_demo "$1"; bash "$CHECKOUT/deploy/demo.sh" stop )
}

e2e_start() { e2e_demo "$1"; bash "$CHECKOUT/deploy/demo.sh" reset && bash "$CHECKOUT/deploy/demo.sh" start; }
e2e_play() { e2e_demo "$1"; DEMO_ENV=$CHECKOUT/target/demo-ci$1/env SHOTS=$REPORTS/shots-$1 CHROMIUM=$(command -v chromium) node "$CHECKOUT/tests/e2e/run.js"; }
e2e_script() { e2e_demo "$1"; DEMO_ENV=$CHECKOUT/target/demo-ci$1/env bash "$2"; }

e2e_stop() {
  local series
  for series in 14 19; do [ ! -e "$CHECKOUT/target/demo-ci$series/demo.conf" ] || ( e2e_demo "$series"; bash "$CHECKOUT/deploy/demo.sh" stop ) || :; done
}
