#!/usr/bin/env bash
# Every test: lints, Rust, the addon in Odoo 14's and 19's own test runner, and the whole thing end to end in Chromium.
#
#   bash tests/run.sh                       everything; exit 0 only when all of it passed
#   bash tests/run.sh lint|rust|addon|e2e|deploy    some of it; several may be named
#   bash tests/run.sh -k ...                keeps what was started running, to look at it
#
# ODOO_SERIES=14|19 restricts addon and e2e to one series. Installs what is missing, as deploy/demo.sh does; what it
# starts lives in target/demo-ci14, target/demo-ci19, target/test-addon14, target/test-addon19 and target/test-takeover on ports of its own,
# from TEST_PORTS (17000) on. Logs are under target/tests.
set -euo pipefail
CHECKOUT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for file in deploy/lib/{say,machine,packages,process,odoo_root,postgres,odoo,bridge,demo_state}.sh tests/lib/{sections,lint,rust,addon,e2e,terms,takeover,prometheus,deploy}.sh; do
  # shellcheck source=/dev/null
  . "$CHECKOUT/$file"
done

KEEP='' PARTS=()
for argument; do
  case $argument in
    -k) KEEP=1 ;;
    lint|rust|addon|e2e|deploy) PARTS+=("$argument") ;;
    *) sed '/^#!/d; /^[^#]/Q; s/^# \?//' "${BASH_SOURCE[0]}"; exit 2 ;;
  esac
done
[ ${#PARTS[@]} -gt 0 ] || PARTS=(lint rust addon e2e deploy)
part() { [[ " ${PARTS[*]} " == *" $1 "* ]]; }
read -ra SERIES_LIST <<<"${ODOO_SERIES:-14 19}"
TEST_PORTS=${TEST_PORTS:-17000}
REPORTS=$CHECKOUT/target/tests

machine_cargo
machine_root "${BASH_SOURCE[0]}" "$@"
machine_system; machine_target
mkdir -p "$REPORTS"
exec 9>"$REPORTS/lock"
flock -n 9 || fail "another tests/run.sh works in this checkout: wait for it"

finish_all() {
  local code=$? pid
  trap '' INT TERM
  for pid in "${SECTION_RUNS[@]}"; do section_kill "$pid"; done
  drop_jobs
  [ -n "$KEEP" ] || { addon_stop; takeover_stop; e2e_stop; deploy_stop; }
  [ -z "$KEEP" ] || say "kept running: bash deploy/demo.sh stop with DEMO_NAME=ci14 or ci19 ends it"
  sections_table || code=1
  exit "$code"
}
trap finish_all EXIT
trap 'exit 130' INT TERM

packages_demo "$REPORTS/apt.log"
if part addon || part e2e || part deploy; then
  for SERIES in "${SERIES_LIST[@]}"; do
    odoo_root_ready "$SERIES" || begin "root$SERIES" "$REPORTS/odoo-root$SERIES.log" "downloading and unpacking Odoo $SERIES" odoo_root_build "$SERIES"
  done
fi
if part e2e; then packages_browser "$REPORTS/apt.log"; begin npm "$REPORTS/npm.log" "fetching the browser driver" e2e_npm; fi
if part deploy; then deploy_begin; fi

if part lint; then lint_sections; prometheus_sections; fi
if part rust; then rust_sections; fi
if part e2e || part deploy; then section build "build of the daemon" 3600 bridge_build; fi
if part addon || part e2e || part deploy; then
  for SERIES in "${SERIES_LIST[@]}"; do finish "root$SERIES"; odoo_root_build "$SERIES" >"$REPORTS/odoo-root$SERIES.log"; done
fi
if part addon; then for SERIES in "${SERIES_LIST[@]}"; do addon_section "$SERIES"; done; terms_section; fi
if part e2e; then finish npm; takeover_section; for SERIES in "${SERIES_LIST[@]}"; do e2e_sections "$SERIES"; done; fi
if part deploy; then deploy_sections "${SERIES_LIST[-1]}"; fi
