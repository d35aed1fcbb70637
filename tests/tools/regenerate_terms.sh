#!/usr/bin/env bash
# After each change of a text, label or message: writes the addon's translation template
# odoo_addon/whatsapp_integration/i18n/whatsapp_integration.pot anew from the exports of Odoo 14 and 19.
#
#   bash tests/tools/regenerate_terms.sh     as root, as tests/run.sh; TEST_PORTS moves the ports
set -euo pipefail
CHECKOUT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
TEST_PORTS=${TEST_PORTS:-17000}
case ${1:-} in '') ;; *) sed '/^#!/d; /^[^#]/Q; s/^# \?//' "${BASH_SOURCE[0]}"; exit 2 ;; esac
for file in deploy/lib/{say,machine,packages,process,odoo_root,postgres,odoo,bridge,demo_state}.sh tests/lib/{addon,terms}.sh; do
  # shellcheck source=/dev/null
  . "$CHECKOUT/$file"
done
REPORTS=$CHECKOUT/target/terms
mkdir -p "$REPORTS"
trap addon_stop EXIT
packages_find_postgres
for SERIES in 14 19; do
  odoo_root_ready "$SERIES" || odoo_root_build "$SERIES" >"$REPORTS/odoo-root$SERIES.log"
  ( terms_export "$SERIES" )
done
mkdir -p "${TERMS%/*}"
python3 "$CHECKOUT/tests/tools/terms.py" merge "$REPORTS"/terms-{14,19}.pot "$TERMS"
