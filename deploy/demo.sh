#!/usr/bin/env bash
# The real thing on loopback: PostgreSQL, a real Odoo with the addon, the daemon, and the simulator as provider.
#
#   bash deploy/demo.sh [start]        installs what is missing and starts what is down; may be run again at any time
#   bash deploy/demo.sh status         what runs, where, and the logins; exit 1 when something is down
#   bash deploy/demo.sh stop           ends what was started; the data stay
#   bash deploy/demo.sh reset          stop, and forget all data (downloads and builds stay)
#   bash deploy/demo.sh start|stop daemon|simulator|odoo|postgres     one of its processes alone
#
# ODOO_SERIES=14|19 picks Odoo (14 unless said). DEMO_NAME=x is another demo beside the first, in target/demo-x; it needs
# ports of its own: DEMO_ODOO_PORT, DEMO_BUS_PORT, DEMO_PUBLIC_PORT, DEMO_PRIVATE_PORT, DEMO_SIMULATOR_PORT, DEMO_PG_PORT.
# DEMO_PDF=1 adds wkhtmltopdf (60 MB), which Odoo needs to make PDF of reports. DEMO_ENV=FILE names a demo by its env
# file. DEBIAN_ARCHIVE_MIRROR=URL: where archived releases are, if the machine's own mirror has them no more.
set -euo pipefail
CHECKOUT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
for noun in say machine packages process odoo_root postgres odoo bridge demo_state demo_steps; do
  # shellcheck source=/dev/null
  . "$CHECKOUT/deploy/lib/$noun.sh"
done
trap drop_jobs EXIT
trap 'exit 130' INT TERM

command=${1:-start} service=${2:-}
case $service in ''|daemon|simulator|odoo|postgres) ;; *) fail "there is no process $service: daemon, simulator, odoo or postgres" ;; esac
case $command in start|status|stop|reset) ;; *) sed '/^#!/d; /^[^#]/Q; s/^# \?//' "${BASH_SOURCE[0]}"; exit 2 ;; esac
demo_place

if [ "$command" = start ] && [ -z "$service" ]; then
  machine_cargo; machine_root "${BASH_SOURCE[0]}" "$@"; machine_system; machine_target
else
  [ -e "$STATE/demo.conf" ] || {
    [ "$command" = start ] && fail "this demo was never started: bash deploy/demo.sh"
    say "nothing to do: there is no demo in $STATE"; [ "$command" != status ] || exit 1; exit 0; }
  machine_root "${BASH_SOURCE[0]}" "$@"
fi
demo_folders
exec 9>"$STATE/lock"
flock -n 9 || { say "another run of this script works on this demo: waiting"; flock -w 1800 9 || fail "it did not end within 30 min: see ps"; }

case $command in
  start) if [ -z "$service" ]; then demo_start; else demo_recall saved; demo_secrets; packages_find_postgres; "demo_start_$service"; say "$service runs"; fi ;;
  stop) demo_recall saved; demo_stop "$service" ;;
  status) demo_recall saved; demo_secrets; demo_status ;;
  reset) demo_recall saved; demo_stop ""; demo_forget ;;
esac
