#!/usr/bin/env bash
# Measures on a PostgreSQL of its own and writes a report into tests/bench/results/:
#
#   bash tests/bench/run.sh [ingest]                   what comes in: all its rows of the targets but the one with millions of messages
#   bash tests/bench/run.sh --only BIG                 that one; needs some 10 GB below TMPDIR
#   bash tests/bench/run.sh send                       what goes out: the dispatcher, message.send
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
  ingest|send) what=$1; shift ;;
esac
report=tests/bench/results/$what.md
case " $* " in *" --only "*) report=${TMPDIR:-/tmp}/wabridge-bench.md ;; esac
mkdir -p tests/bench/results
"$target/release/wabridge-bench" "$what" --report "$report" "$@"
echo "report: $report"
