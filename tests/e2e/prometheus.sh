#!/usr/bin/env bash
# A real Prometheus (Debian's package) watches the demo of DEMO_ENV: every metric of dashboards and rules is there, every
# panel is answered, every alert fires and clears.
set -euo pipefail
CHECKOUT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
for file in deploy/lib/{say,packages}.sh tests/lib/prometheus.sh; do
  # shellcheck source=/dev/null
  . "$CHECKOUT/$file"
done
mkdir -p "$CHECKOUT/target/tests"
prometheus_tool "$CHECKOUT/target/tests/apt-prometheus.log"
export PROMETHEUS PROMTOOL
exec node "$CHECKOUT/tests/e2e/run.js" prometheus/alerts
