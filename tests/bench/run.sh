#!/usr/bin/env bash
# Measures on a PostgreSQL of its own and writes a report into tests/bench/results/:
#
#   bash tests/bench/run.sh [ingest]                   what comes in: all its rows of the targets but the one with millions of messages
#   bash tests/bench/run.sh --only BIG                 that one; needs some 10 GB below TMPDIR
#   bash tests/bench/run.sh send                       what goes out: the dispatcher, message.send
#   bash tests/bench/run.sh sync                       contacts, groups and messages of a provider, beside COPY and merge; and contacts
#                                                      through the ORM of a real Odoo 14 and 19. ODOO_SERIES=14 or 19: that one
#   bash tests/bench/run.sh dashboard                  the dashboards with 100,000 and with 10 million messages; needs some 10 GB below TMPDIR
#   bash tests/bench/run.sh user_waits                 a user of a real Odoo 14 and 19 while the provider is slow; demos on BENCH_PORTS (19200) and
#                                                      the five after it. ODOO_SERIES=14 or 19: that one, shown only
#   bash tests/bench/run.sh soak --minutes 60          the long run; writes nothing
#
# Times are reported, never asserted; what is asserted is that rows are acknowledgements.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
target=${CARGO_TARGET_DIR:-target}
cargo build --release --locked -p wabridge -p wabridge-bench
export WABRIDGE_BIN=${WABRIDGE_BIN:-$target/release/wabridge}
what=ingest
case ${1:-} in
  soak) exec "$target/release/wabridge-bench" "$@" ;;
  ingest|send|sync|dashboard) what=$1; shift ;;
esac
if [ "${1:-}" = user_waits ]; then
  shift
  report=$(mktemp -u --suffix .md) base=${BENCH_PORTS:-19200} stop=true
  trap 'eval "$stop"; rm -f "$report"' EXIT
  export WABRIDGE_PREBUILT=$PWD/$target/release/wabridge DEMO_ODOO_PORT=$base DEMO_BUS_PORT=$((base + 1)) DEMO_PUBLIC_PORT=$((base + 2))
  export DEMO_PRIVATE_PORT=$((base + 3)) DEMO_SIMULATOR_PORT=$((base + 4)) DEMO_PG_PORT=$((base + 5))
  case $target in /*) WABRIDGE_PREBUILT=$target/release/wabridge ;; esac
  for series in ${ODOO_SERIES:-14 19}; do
    stop="DEMO_NAME=bench$series ODOO_SERIES=$series bash deploy/demo.sh stop"
    DEMO_NAME=bench$series ODOO_SERIES=$series bash deploy/demo.sh reset
    DEMO_NAME=bench$series ODOO_SERIES=$series bash deploy/demo.sh start
    "$target/release/wabridge-bench" user_waits --env "target/demo-bench$series/env" --report "$report" "$@"
    eval "$stop"; stop=true
  done
  [ -n "${ODOO_SERIES:-}" ] || { cp "$report" tests/bench/results/user_waits.md; echo "report: tests/bench/results/user_waits.md"; }
  exit
fi
[ "$what" != sync ] || set -- --odoo "${ODOO_SERIES:-14,19}" "$@"
report=tests/bench/results/$what.md
case " $* " in *" --only "*) report=${TMPDIR:-/tmp}/wabridge-bench.md ;; esac
mkdir -p tests/bench/results
"$target/release/wabridge-bench" "$what" --report "$report" "$@"
echo "report: $report"
