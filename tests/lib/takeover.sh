# shellcheck shell=bash disable=SC2034,SC2154
# Databases of the older addon are taken over, on both series; then the one of 14 goes on with 19's addon. The older addon
# is rebuilt in tests/takeover/older, and really installed.

takeover_section() { section takeover "take-over from the older addon, from 14 to 19" 900 takeover_tests; }

# Sets what the libraries under deploy/ want to know. Both series share one cluster.
takeover_place() {
  local base=$((TEST_PORTS + 60))
  STATE=$CHECKOUT/target/test-takeover SERIES=$1
  RUN=$STATE/run LOGS=$STATE/log ODOO_STATE=$STATE/odoo$1 BRIDGE=$STATE/bridge DATABASE=takeover$1
  DEMO_ODOO_PORT=$base DEMO_BUS_PORT=$((base + 1)) DEMO_PUBLIC_PORT=$((base + 2)) DEMO_PRIVATE_PORT=$((base + 3))
  DEMO_SIMULATOR_PORT=$((base + 4)) DEMO_PG_PORT=$((base + 5))
}

takeover_tests() {
  set -e
  local series jobs=()
  takeover_place 14; demo_folders; demo_secrets; odoo_prepare
  takeover_drop; postgres_start
  for series in "${SERIES_LIST[@]}"; do
    ( takeover_place "$series"; odoo_prepare; takeover_one ) >"$LOGS/series$series.log" 2>&1 & jobs+=("$!")
  done
  for series in "${SERIES_LIST[@]}"; do
    wait "${jobs[0]}" || { cat "$LOGS/series$series.log"; return 1; }
    jobs=("${jobs[@]:1}"); cat "$LOGS/series$series.log"
  done
  [[ " ${SERIES_LIST[*]} " != *" 14 "* ]] || takeover_serve
  [ "${SERIES_LIST[*]}" != "14 19" ] || takeover_move
}

takeover_drop() {
  local series
  ! process_pid postgres >/dev/null || for series in 14 19; do db_drop "takeover$series"; done
  db_exists moved19 2>/dev/null && db_drop moved19
  rm -rf "$BRIDGE"
}

# takeover_odoo LIMIT_S ARGS... : Odoo that finds the older addon instead of ours
takeover_odoo() { ( export ODOO_ADDONS=$CHECKOUT/tests/takeover/older; odoo_run "$@" ); }

takeover_one() {
  set -e
  local here=$CHECKOUT/tests/takeover was
  odoo_seed base; odoo_restore base "$DATABASE"
  takeover_odoo 300 server -d "$DATABASE" -i "$ODOO_ADDON" "$(odoo_without_demo)" --stop-after-init --no-http --max-cron-threads=0 --log-level=warn
  odoo_installed "$DATABASE"
  db_super "$DATABASE" -1 -f "$here/fill.sql" >/dev/null
  was=$(takeover_sum)
  takeover_look --json >"$STATE/dry$SERIES.json"
  [ "$was" = "$(takeover_sum)" ] || { echo "the dry run changed something"; return 1; }
  odoo_update "$DATABASE" -u "$ODOO_ADDON"
  takeover_check
  db_super "$DATABASE" -c "select payload::jsonb -> 'counts' from whatsapp_event where kind = 'takeover_report'" >"$STATE/done$SERIES.json"
  python3 -c 'import json, sys; one, two = (json.load(open(name)) for name in sys.argv[1:]); sys.exit(one != two and "the dry run told otherwise")' "$STATE/dry$SERIES.json" "$STATE/done$SERIES.json"
  echo "Odoo $SERIES: the dry run told what was done"
  # A second time, as after an upgrade that broke off.
  was=$(takeover_print)
  db_super "$DATABASE" -c "update ir_module_module set latest_version = '14.0.4.2.0' where name = '$ODOO_ADDON'"
  odoo_update "$DATABASE" -u "$ODOO_ADDON"
  [ "$was" = "$(takeover_print)" ] || { echo "Odoo $SERIES: a second take-over changes rows"; return 1; }
  ! takeover_look >/dev/null 2>&1 || { echo "Odoo $SERIES: the dry run finds something to take over in what was taken over"; return 1; }
  echo "Odoo $SERIES: a second time it changes nothing"
}

# The dry run, as an administrator starts it, with Odoo's own Python.
takeover_look() {
  ( exec 3>&- 8>&- 9>&-; ODOO_ENV=("PGPASSWORD=$PG_ODOO_PASSWORD")
    odoo_enter "$(odoo_root "$SERIES")" "$CHECKOUT/odoo_addon" "" /usr/bin/python3 "/mnt/addons/$ODOO_ADDON/takeover" "$@" \
      "host=127.0.0.1 port=$DEMO_PG_PORT user=odoo dbname=$DATABASE" )
}

# Rows and columns of everything the older addon had.
takeover_sum() {
  PGPASSWORD=$PG_SUPERUSER_PASSWORD "$PGBIN/pg_dump" -h 127.0.0.1 -p "$DEMO_PG_PORT" -U postgres -t 'public.whatsapp_*' -t public.ir_cron -t public.ir_model_data "$DATABASE" |
    grep -v '^.\(un\)\?restrict ' | sha256sum
}

takeover_print() { db_super "$DATABASE" -f "$CHECKOUT/tests/takeover/fingerprint.sql"; }

# Every rule of check.sql holds, and each was looked at.
takeover_check() {
  local said broken
  said=$(db_super "$DATABASE" -f "$CHECKOUT/tests/takeover/check.sql")
  broken=$(awk -F'|' '$2 != "0"' <<<"$said")
  [ -z "$broken" ] && [ "$(wc -l <<<"$said")" -gt 40 ] || { echo "Odoo $SERIES, rules that rows break: ${broken:-none was looked at}"; return 1; }
  echo "Odoo $SERIES: $(wc -l <<<"$said") rules hold"
}

# The daemon on what was taken over: it seals the tokens, the accounts are active again, a chat goes on.
takeover_serve() {
  set -e
  takeover_place 14
  mkdir -p "$BRIDGE"
  printf '{"accounts": [{"provider": "whapi", "token": "clear-token-support-7d1c", "channel_id": "HERON-K42QX", "phone": "447700900999", "name": "Support"},
    {"provider": "wassenger", "token": "clear-token-sales-93ab", "channel_id": "68a1f0c2d4e5b60718293a4b", "phone": "447700900998", "name": "Sales"},
    {"provider": "whapi", "token": "clear-token-stores-11fe", "channel_id": "HERON-STORES", "phone": "447700900997", "name": "Stores"}]}\n' >"$BRIDGE/simulator.json"
  db_super "$DATABASE" -c "update whatsapp_configuration set base_url = 'http://127.0.0.1:$DEMO_SIMULATOR_PORT' where provider <> 'custom'"
  bridge_settings "$DATABASE"; bridge_schema "$DATABASE"; bridge_simulator
  takeover_shell "env['whatsapp.configuration']._cron_watch()"
  takeover_is 4 "select count(*) from whatsapp_takeover_secret" "tokens wait while no bridge is there"
  bridge_daemon
  takeover_shell "env['whatsapp.configuration']._cron_watch()"
  takeover_is "" "select to_regclass('whatsapp_takeover_secret')" "nothing waits any more"
  takeover_is 4 "select count(*) from whatsapp_configuration where token like 'wab1:%'" "tokens are sealed"
  takeover_is "1 2 3" "select string_agg(id::text, ' ' order by id) from whatsapp_configuration where active" "accounts are active as they were"
  takeover_goes_on
  process_stop daemon TERM 35
}

# takeover_shell PYTHON : in Odoo's shell, committed
takeover_shell() { printf '%s\nenv.cr.commit()\n' "$1" | odoo_run 300 shell -d "$DATABASE" --no-http --max-cron-threads=0 --log-level=error; }

takeover_is() { # WANTED SQL WHAT
  local found; found=$(db_super "$DATABASE" -c "$2")
  [ "$found" = "$1" ] || { echo "Odoo $SERIES: $3: wanted \"$1\", found \"$found\""; return 1; }
  echo "Odoo $SERIES: $3"
}

# A message to somebody who was there before goes out, in the chat that was there before.
takeover_goes_on() {
  local answer people
  people=$(db_super "$DATABASE" -c "select (select count(*) from whatsapp_contact), (select count(*) from whatsapp_chat)")
  answer=$(bridge_rpc message.send '{"uid": 2, "configuration_id": 1, "to": {"contact_id": 5}, "type": "text", "text": {"body": "Still there?"}, "wait_ms": 30000}')
  [[ $answer == *wamid* || $answer == *'"message_id":"'* || $answer == *'"message_id": "'* ]] || { echo "Odoo $SERIES: a taken-over contact cannot be written to: $answer"; return 1; }
  takeover_is "$people" "select (select count(*) from whatsapp_contact), (select count(*) from whatsapp_chat)" "a chat goes on, nobody is there twice"
  "$WABRIDGE_BIN" doctor --config "$BRIDGE/wabridge.toml" || { echo "Odoo $SERIES: doctor is not content"; return 1; }
}

# The rows of 14, with schema wabridge, in a database of 19: our addon of 19 goes on with them.
takeover_move() {
  set -e
  local was rows file=$STATE/moved.sql
  takeover_place 14
  was=$(takeover_rows)
  PGPASSWORD=$PG_SUPERUSER_PASSWORD "$PGBIN/pg_dump" -h 127.0.0.1 -p "$DEMO_PG_PORT" -U postgres -f "$file" -t 'public.whatsapp_*' \
    -t public.res_users_whatsapp_configuration_rel -t 'wabridge.*' "$DATABASE"
  takeover_place 19
  DATABASE=moved19
  odoo_restore base "$DATABASE"
  db_super "$DATABASE" -c "create schema wabridge authorization wabridge" -f "$file" >/dev/null
  db_super "$DATABASE" -c "update ir_module_module set state = 'installed', latest_version = '14.0.5.0.0' where name = '$ODOO_ADDON'"
  odoo_update "$DATABASE" -u "$ODOO_ADDON"
  rows=$(takeover_rows)
  [ "$was" = "$rows" ] || { printf 'from 14 to 19 rows changed:\n%s\n%s\n' "$was" "$rows"; return 1; }
  echo "from 14 to 19 no row changed"
  bridge_settings "$DATABASE"; bridge_schema "$DATABASE"
  "$WABRIDGE_BIN" adopt "$DATABASE" --config "$BRIDGE/wabridge.toml"
  bridge_daemon
  takeover_goes_on
}

# Rows and their contents, whatever the order of the columns.
takeover_rows() {
  local table
  for table in message contact group group_member chat event; do
    db_super "$DATABASE" -c "select '$table', count(*), md5(string_agg(md5(r.words), '' order by r.id)) from (select t.id, (select string_agg(f.key || '=' || f.value, ',' order by f.key)
      from jsonb_each_text(jsonb_strip_nulls(to_jsonb(t))) f) as words from whatsapp_$table t) r"
  done
}

takeover_stop() { ( takeover_place 14; for noun in daemon simulator postgres; do process_stop $noun TERM 35; done ) || :; }
