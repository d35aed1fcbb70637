#!/usr/bin/env bash
# Measures what comes in, on a PostgreSQL of its own, and writes tests/bench/results/ingest.md:
#
#   bash tests/bench/run.sh                            all rows of the targets but the one with millions of messages
#   bash tests/bench/run.sh --only BIG                 that one; needs some 10 GB below TMPDIR
#   bash tests/bench/run.sh soak --minutes 60          the long run; writes nothing
#
# Times are reported, never asserted; what is asserted is that rows are acknowledgements.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
target=${CARGO_TARGET_DIR:-target}
cargo build --release --locked -p wabridge -p wabridge-bench
export WABRIDGE_BIN=${WABRIDGE_BIN:-$target/release/wabridge}
case ${1:-} in
  soak) exec "$target/release/wabridge-bench" "$@" ;;
  ingest) shift ;;
esac
report=tests/bench/results/ingest.md
case " $* " in *" --only "*) report=${TMPDIR:-/tmp}/wabridge-bench.md ;; esac
mkdir -p tests/bench/results
"$target/release/wabridge-bench" ingest --report "$report" "$@"
echo "report: $report"
