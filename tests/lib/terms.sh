# shellcheck shell=bash disable=SC2034,SC2154
# The translation template holds the terms of the code, of both series; the guide names labels that are among them. Needs addon.sh.

TERMS=$CHECKOUT/odoo_addon/whatsapp_integration/i18n/whatsapp_integration.pot

terms_section() { section terms "translation template, labels and pictures of the guide" 600 terms_check; }

terms_check() {
  local series exports=()
  for series in "${SERIES_LIST[@]}"; do
    ( terms_export "$series" ) || return 1
    exports+=("$REPORTS/terms-$series.pot")
  done
  python3 "$CHECKOUT/tests/tools/terms.py" check "$TERMS" "${exports[@]}" && python3 "$CHECKOUT/tests/tools/check_guide.py"
}

# Odoo's own export of the addon alone, as it was installed for the addon's tests, to terms-<series>.pot.
terms_export() {
  local out
  { addon_place "$1" && demo_folders && demo_secrets && odoo_prepare && postgres_start && odoo_seed base && odoo_seed addon; } || return 1
  out=$(odoo_data)/terms.pot
  rm -f "$out" "$REPORTS/terms-$1.pot"
  db_drop addonterms && odoo_restore addon addonterms || return 1
  odoo_run 300 shell -d addonterms --no-http --max-cron-threads=0 --log-level=warn <"$CHECKOUT/tests/tools/export_terms.py" >"$LOGS/terms.log" 2>&1
  cp "$out" "$REPORTS/terms-$1.pot" || { tail -20 "$LOGS/terms.log"; return 1; }
  db_drop addonterms; rm -rf "$(odoo_data)/filestore/addonterms"
}
