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
  local series rc=0 jobs=()
  takeover_place 14; demo_folders; demo_secrets
  takeover_stop; postgres_start; takeover_drop
  db_super postgres -c "alter system set fsync = off" -c "select pg_reload_conf()" >/dev/null
  for series in "${SERIES_LIST[@]}"; do
    takeover_series "$series" >"$LOGS/series$series.log" 2>&1 & jobs+=("$!")
  done
  for series in "${SERIES_LIST[@]}"; do
    if wait "${jobs[0]}"; then grep '^Odoo ' "$LOGS/series$series.log"; else cat "$LOGS/series$series.log"; rc=1; fi
    jobs=("${jobs[@]:1}")
  done
  return $rc
}

# All of one series; what 14 left goes on with 19.
takeover_series() (
  set -e
  takeover_place "$1"; odoo_prepare
  takeover_one
  [ "$1" = 14 ] || return 0
  takeover_serve
  [ "${SERIES_LIST[*]}" != "14 19" ] || takeover_move
)

takeover_drop() {
  local name
  for name in takeover14 takeover19 moved19; do db_drop $name; done
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
  # 14's version on 19: a database that was moved there with the older addon in it
  takeover_version 14.0.4.2.0
  odoo_update "$DATABASE" -u "$ODOO_ADDON"
  takeover_check
  db_super "$DATABASE" -c "select payload::jsonb -> 'counts' from whatsapp_event where kind = 'takeover_report'" >"$STATE/done$SERIES.json"
  python3 -c 'import json, sys; one, two = (json.load(open(name)) for name in sys.argv[1:]); sys.exit(one != two and "the dry run told otherwise")' "$STATE/dry$SERIES.json" "$STATE/done$SERIES.json"
  echo "Odoo $SERIES: the dry run told what was done"
  # A second time, as after an upgrade that broke off.
  was=$(takeover_print)
  takeover_version "$SERIES.0.4.2.0"
  odoo_update "$DATABASE" -u "$ODOO_ADDON"
  [ "$was" = "$(takeover_print)" ] || { echo "Odoo $SERIES: a second take-over changes rows"; return 1; }
  ! takeover_look >/dev/null 2>&1 || { echo "Odoo $SERIES: the dry run finds something to take over in what was taken over"; return 1; }
  echo "Odoo $SERIES: a second time it changes nothing"
}

# takeover_version VERSION : that version of the addon is installed, says the database
takeover_version() { db_super "$DATABASE" -c "update ir_module_module set state = 'installed', latest_version = '$1' where name = '$ODOO_ADDON'"; }

# The dry run, as an administrator starts it, with Odoo's own Python.
takeover_look() {
  ( exec 3>&- 8>&- 9>&-; ODOO_ENV=("PGPASSWORD=$PG_ODOO_PASSWORD")
    odoo_enter "$(odoo_root "$SERIES")" "$CHECKOUT/odoo_addon" "" /usr/bin/python3 "/mnt/addons/$ODOO_ADDON/takeover" "$@" \
      "host=127.0.0.1 port=$DEMO_PG_PORT user=odoo dbname=$DATABASE" )
}

# Rows and columns of everything the older addon had.
takeover_sum() {
  takeover_dump -t 'public.whatsapp_*' -t public.ir_cron -t public.ir_model_data | grep -v '^.\(un\)\?restrict ' | sha256sum
}

takeover_print() { db_super "$DATABASE" -f "$CHECKOUT/tests/takeover/fingerprint.sql"; }

# Every rule of check.sql holds; and where something was lost, rules are broken.
takeover_check() {
  local said broken rules=$CHECKOUT/tests/takeover/check.sql
  said=$(db_super "$DATABASE" -f "$rules")
  broken=$(awk -F'|' '$2 != "0"' <<<"$said")
  [ -z "$broken" ] && [ "$(wc -l <<<"$said")" -gt 40 ] || { echo "Odoo $SERIES, rules that rows break: ${broken:-none was looked at}"; return 1; }
  echo "Odoo $SERIES: $(wc -l <<<"$said") rules hold"
  broken=$(db_super "$DATABASE" -c begin -c "update whatsapp_message set content = 'x' where id = 1; update whatsapp_message set extra = null where id = 2;
    update whatsapp_message set contact_id = 401 where id = 3; delete from whatsapp_event where kind = 'takeover_set_aside'; delete from whatsapp_group_member where role = 'admin'" -f "$rules" | awk -F'|' 'NF == 2 && $2 != "0"')
  [ "$(wc -l <<<"$broken")" -ge 7 ] || { echo "Odoo $SERIES: rows were lost, and only these rules are broken: $broken"; return 1; }
  echo "Odoo $SERIES: what is lost is found"
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
  takeover_erase
}

# Nothing of what was kept beside keeps a person who is erased.
takeover_erase() {
  local left
  "$WABRIDGE_BIN" erase "$DATABASE" +447700910001 --config "$BRIDGE/wabridge.toml" >/dev/null
  left=$(takeover_dump -t 'public.whatsapp_*' -n wabridge | grep -c '447700910001\|Person 1[^0-9]') || :
  [ "$left" = 0 ] || { echo "Odoo $SERIES: $left lines still name somebody who was erased"; return 1; }
  left=$(takeover_dump -t 'public.whatsapp_*' -n wabridge | grep -c '447700910002') || :
  [ "$left" != 0 ] || { echo "Odoo $SERIES: the dump names nobody at all"; return 1; }
  echo "Odoo $SERIES: who is erased is in no row"
}

takeover_dump() { PGPASSWORD=$PG_SUPERUSER_PASSWORD "$PGBIN/pg_dump" -h 127.0.0.1 -p "$DEMO_PG_PORT" -U postgres "$@" "$DATABASE"; }

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
  [[ $answer =~ \"message_id\":\ ?\" ]] || { echo "Odoo $SERIES: a taken-over contact cannot be written to: $answer"; return 1; }
  takeover_is "$people" "select (select count(*) from whatsapp_contact), (select count(*) from whatsapp_chat)" "a chat goes on, nobody is there twice"
  "$WABRIDGE_BIN" doctor --config "$BRIDGE/wabridge.toml" || { echo "Odoo $SERIES: doctor is not content"; return 1; }
}

# The rows of 14, with schema wabridge, in a database of 19: our addon of 19 goes on with them.
takeover_move() {
  set -e
  local was rows file=$STATE/moved.sql
  takeover_place 14
  was=$(takeover_rows)
  takeover_dump -f "$file" -t 'public.whatsapp_*' -t public.res_users_whatsapp_configuration_rel -t 'wabridge.*'
  takeover_place 19; odoo_prepare
  DATABASE=moved19
  odoo_seed base; odoo_restore base "$DATABASE"
  db_super "$DATABASE" -c "create schema wabridge authorization wabridge" -f "$file" >/dev/null
  takeover_version 14.0.5.0.0
  odoo_update "$DATABASE" -u "$ODOO_ADDON"
  rows=$(takeover_rows)
  [ "$was" = "$rows" ] || { printf 'Odoo 19: on the way from 14 rows changed:\n%s\n%s\n' "$was" "$rows"; return 1; }
  echo "Odoo 19: on the way from 14 no row changed"
  bridge_settings "$DATABASE"; bridge_schema "$DATABASE"
  "$WABRIDGE_BIN" adopt "$DATABASE" --config "$BRIDGE/wabridge.toml"
  bridge_daemon
  takeover_goes_on
  process_stop daemon TERM 35
}

# Rows and their contents, whatever the order of the columns.
takeover_rows() {
  local table
  for table in message contact group group_member chat event; do
    db_super "$DATABASE" -c "select '$table', count(*), md5(string_agg(md5(r.words), '' order by r.id)) from (select t.id, (select string_agg(f.key || '=' || f.value, ',' order by f.key)
      from jsonb_each_text(jsonb_strip_nulls(to_jsonb(t))) f) as words from whatsapp_$table t) r"
  done
}

takeover_stop() { [ ! -d "$CHECKOUT/target/test-takeover" ] || ( takeover_place 14; process_stop daemon TERM 35; process_stop simulator TERM 10; postgres_stop ); }
