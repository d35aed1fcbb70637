# shellcheck shell=bash disable=SC2154
# Prometheus from Debian's package, unpacked in target/prometheus: nothing is installed, no service begins. Its own words about
# the rules of deploy/prometheus; tests/e2e/prometheus.sh lets it watch a demo.

prometheus_sections() { section alerts "promtool's judgement of the alerts, and their unit tests" 300 prometheus_rules; }

# Sets PROMETHEUS and PROMTOOL. LOG is apt's output.
prometheus_tool() {
  local log=$1 tools=$CHECKOUT/target/prometheus new
  PROMETHEUS=$tools/usr/bin/prometheus PROMTOOL=$tools/usr/bin/promtool
  if ! [ -x "$PROMETHEUS" ] || ! "$PROMTOOL" --version >/dev/null 2>&1; then
    [ -n "$(ls /var/lib/apt/lists/*Packages* 2>/dev/null)" ] || packages_apt "$log" update -qq || { tail_of "$log"; fail "apt-get update failed: $(packages_cause "$log")"; }
    new=$(mktemp -d)
    # old lists name versions that the mirror has replaced since
    prometheus_download "$log" "$new" || { packages_apt "$log" update -qq && prometheus_download "$log" "$new"; } ||
      { tail_of "$log"; fail "Debian's package prometheus cannot be had: $(packages_cause "$log")"; }
    rm -rf "$tools"; chmod 755 "$new"; mv "$new" "$tools"
  fi
  "$PROMETHEUS" --version 2>&1 | head -1
}

prometheus_download() { # LOG FOLDER
  ( cd "$2" && apt-get -o APT::Sandbox::User=root -o Acquire::Retries=3 download -qq prometheus >"$1" 2>&1 </dev/null && dpkg-deb -x prometheus_*.deb . && rm prometheus_*.deb )
}

prometheus_rules() {
  local folder=$CHECKOUT/deploy/prometheus control=$REPORTS/alerts name missing=''
  prometheus_tool "$REPORTS/apt-prometheus.log" || return 1
  "$PROMTOOL" check config --syntax-only "$folder/prometheus.example.yml" && "$PROMTOOL" check rules "$folder/wabridge.rules.yml" && "$PROMTOOL" test rules "$folder/wabridge.rules.test.yml" || return 1
  # Each alert has its test and its runbook.
  for name in $(sed -n 's/^ *- alert: //p' "$folder/wabridge.rules.yml"); do
    grep -q "^  - name: $name\$" "$folder/wabridge.rules.test.yml" || missing+=" the test of $name;"
    grep -q "^### $name\$" "$CHECKOUT/docs/OPERATIONS.md" || missing+=" the runbook of $name in docs/OPERATIONS.md;"
  done
  [ -z "$missing" ] || { echo "missing:$missing"; return 1; }
  # The unit tests see a change: with other limits each of them fails.
  rm -rf "$control"; mkdir -p "$control"; cp "$folder"/wabridge.rules*.yml "$control"
  sed -i 's/> 300$/> 3000/; s/>= 0.9$/>= 9/; s/> 0.2$/> 2/; s/> 5$/> 50/; s/ >= 2$/ >= 20/; s/ == 1$/ == 9/; s/ == 0\b/ == 9/; s/{state="quarantined"}) > 0/{state="quarantined"}) > 9/' "$control/wabridge.rules.yml"
  ! "$PROMTOOL" test rules "$control/wabridge.rules.test.yml" >"$control/said" 2>&1 || { echo "promtool finds nothing in other limits"; return 1; }
  for name in $(sed -n 's/^ *- alert: //p' "$folder/wabridge.rules.yml"); do
    grep -q "alertname: *$name" "$control/said" || { echo "the test of $name does not see another limit"; tail -40 "$control/said"; return 1; }
  done
}
