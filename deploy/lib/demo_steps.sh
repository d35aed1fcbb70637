# shellcheck shell=bash disable=SC2154
# The steps of deploy/demo.sh. Needs everything else under deploy/lib.

demo_start() {
  local noun
  demo_recall; demo_secrets
  say "demo with Odoo $SERIES in ${STATE#"$CHECKOUT"/}"
  packages_demo "$LOGS/apt.log"
  odoo_root_ready "$SERIES" || begin root "$LOGS/odoo-root.log" "downloading and unpacking Odoo $SERIES (1 to 3 min)" odoo_root_build "$SERIES"
  step "$LOGS/cargo.log" "building the daemon" bridge_build
  finish root
  step "$LOGS/odoo-root.log" "checking the Odoo root" odoo_root_build "$SERIES"
  # what ran for the other series, or on other ports, makes room; its data stay
  if [ -n "$PORTS_MOVED" ]; then demo_stop ""; elif [ -n "$SAVED_SERIES" ] && [ "$SAVED_SERIES" != "$SERIES" ]; then
    say "this demo was Odoo $SAVED_SERIES, now it becomes Odoo $SERIES (the other's data stay)"
    for noun in odoo daemon simulator; do "demo_stop_$noun"; done
  fi
  demo_remember
  odoo_prepare; bridge_people
  demo_start_postgres
  demo_database
  demo_changed
  demo_start_simulator
  demo_start_daemon
  demo_start_odoo
  demo_fill
  demo_write_env
  demo_next
}

# The Odoo database with the addon, in the state the checkout has now.
demo_database() {
  if ! [ "$(cat "$ODOO_STATE/database" 2>/dev/null)" ] || ! db_exists "$DATABASE"; then
    db_drop "$DATABASE"; rm -f "$ODOO_STATE/provisioned"
    [ -e "$(odoo_seed_file base).dump" ] || step "$LOGS/odoo-seed.log" "installing Odoo's modules (half a minute, once)" odoo_seed base
    [ -e "$(odoo_seed_file addon).dump" ] || step "$LOGS/odoo-seed.log" "installing the addon" odoo_seed addon
    step "$LOGS/odoo-restore.log" "making the database $DATABASE" odoo_restore addon "$DATABASE"
    # other demos come from the same dump; before the daemon sees it, else it would take it for a copy of itself
    db_super "$DATABASE" -c "update ir_config_parameter set value = gen_random_uuid() where key in ('database.uuid', 'database.secret')"
    odoo_addon_hash >"$ODOO_STATE/database"
  elif [ "$(cat "$ODOO_STATE/database")" != "$(odoo_addon_hash)" ]; then
    demo_stop_odoo
    step "$LOGS/odoo-update.log" "upgrading the addon, which has changed" odoo_update "$DATABASE" -u "$ODOO_ADDON"
    odoo_addon_hash >"$ODOO_STATE/database"; rm -f "$ODOO_STATE/provisioned"
  fi
  bridge_settings "$DATABASE"
  step "$LOGS/schema.log" "rights and tables of the daemon" bridge_schema "$DATABASE"
}

# A daemon or simulator that runs with another binary or other settings than the ones here is started anew.
demo_changed() {
  local now; now=$(cat "$WABRIDGE_BIN" "$BRIDGE/wabridge.toml" "$BRIDGE/simulator.json" | sha256sum)
  [ "$(cat "$RUN/running" 2>/dev/null)" = "$now" ] || { demo_stop_daemon; demo_stop_simulator; }
  echo "$now" >"$RUN/running"
}

demo_start_postgres() { process_pid postgres >/dev/null || { say "starting PostgreSQL on port $DEMO_PG_PORT"; postgres_start; }; }

demo_start_simulator() {
  ! process_pid simulator >/dev/null || return 0
  say "starting the simulator on port $DEMO_SIMULATOR_PORT"
  bridge_simulator
  rm -f "$ODOO_STATE/registered"                  # it keeps webhook addresses in memory
  ! process_pid daemon >/dev/null || [ ! -e "$ODOO_STATE/provisioned" ] || demo_register
}

demo_start_daemon() { process_pid daemon >/dev/null || { say "starting the daemon on ports $DEMO_PUBLIC_PORT (webhooks) and $DEMO_PRIVATE_PORT"; bridge_daemon; }; }
demo_start_odoo() { process_pid odoo >/dev/null || { say "starting Odoo $SERIES on port $DEMO_ODOO_PORT"; odoo_start "$DATABASE"; }; }

# Account, users and partners; and where the provider sends its webhooks. Done once, and again when what it depends on changed.
demo_fill() {
  local wanted file; file=$(odoo_data)/demo.json
  wanted=$(cat "$CHECKOUT/deploy/demo_data.py" "$STATE/demo.conf" "$STATE/secrets" | sha256sum)
  if [ "$(cat "$ODOO_STATE/provisioned" 2>/dev/null)" != "$wanted" ]; then
    (umask 077; printf '{"odoo_url": "http://127.0.0.1:%s", "public_url": "http://127.0.0.1:%s", "simulator_url": "http://127.0.0.1:%s", "user_login": "%s", "user_password": "%s", "accounts": [%s]}\n' \
      "$DEMO_ODOO_PORT" "$DEMO_PUBLIC_PORT" "$DEMO_SIMULATOR_PORT" "$ODOO_USER_LOGIN" "$ODOO_USER_PASSWORD" "$(each_account demo_account | paste -sd,)" >"$file")
    chown "$ODOO_UID:$ODOO_UID" "$file"
    step "$LOGS/demo-data.log" "filling in accounts, users and partners" odoo_run 300 shell -d "$DATABASE" --no-http --max-cron-threads=0 --log-level=warn <"$CHECKOUT/deploy/demo_data.py"
    rm -f "$file" "$ODOO_STATE/registered"
    echo "$wanted" >"$ODOO_STATE/provisioned"
  fi
  [ -e "$ODOO_STATE/registered" ] || demo_register
}

# What demo_data.py reads of an account.
demo_account() { # PREFIX PROVIDER PHONE NAME
  local secret=webhook_secret verify=
  [ "$2" != meta ] || { secret=app_secret; verify=$META_VERIFY_TOKEN; }
  printf '{"name": "%s", "provider": "%s", "channel_id": "%s", "secrets": {"token": "%s", "webhook_token": "%s", "%s": "%s"%s}}\n' "$4" "$2" \
    "$(valued "$1" CHANNEL_ID)" "$(valued "$1" TOKEN)" "$(valued "$1" WEBHOOK_TOKEN)" "$secret" "$(valued "$1" WEBHOOK_SECRET)" "${verify:+, \"verify_token\": \"$verify\"}"
}

configuration_of() { # PREFIX
  local id
  id=$(db_super "$DATABASE" -c "select id from whatsapp_configuration where channel_id = '$(valued "$1" CHANNEL_ID)' order by id limit 1")
  [ -n "$id" ] || fail "the demo's account $1 is gone from Odoo: $(demo_command reset), then start"
  echo "$id"
}

# Has the daemon tell the providers where the webhooks go.
demo_register() {
  ADMIN=$(db_super "$DATABASE" -c "select res_id from ir_model_data where module = 'base' and name = 'user_admin'")
  each_account demo_register_one
  touch "$ODOO_STATE/registered"
}

demo_register_one() { # PREFIX ...
  local parameters; parameters="{\"uid\": $ADMIN, \"configuration_id\": $(configuration_of "$1")}"
  # a custom provider has no call for it: the simulator knows the address from its settings
  [ "$2" = custom ] || step "$LOGS/register.log" "registering the webhook of $4" bridge_rpc configuration.register_webhook "$parameters"
  step "$LOGS/register.log" "testing the connection of $4" bridge_rpc configuration.test "$parameters"
}

demo_stop_odoo() { odoo_stop; }
demo_stop_daemon() { process_stop daemon TERM 35; }
demo_stop_simulator() { process_stop simulator TERM 10; }
demo_stop_postgres() { postgres_stop; }

demo_stop() {
  local noun
  for noun in ${1:-odoo daemon simulator postgres}; do
    ! process_pid "$noun" >/dev/null || say "stopping $noun"
    "demo_stop_$noun"
  done
}

demo_forget() {
  local data
  data=$(postgres_data)
  [ "${data%/*}" = "$STATE" ] || rm -rf "${data%/*}"
  rm -rf "$STATE"
  say "everything of this demo is gone; $(demo_command) makes it anew (downloads and builds were kept)"
}

demo_status() {
  local noun down=0
  for noun in postgres simulator daemon odoo; do
    if process_pid "$noun" >/dev/null; then printf '%-10s runs, pid %s\n' "$noun" "$(process_pid "$noun")" >&3
    else printf '%-10s is down\n' "$noun" >&3; down=1; fi
  done
  [ $down = 0 ] || { printf 'start what is down: %s\n' "$(demo_command)" >&3; exit 1; }
  demo_next
}

# This demo's own command line, to be typed by people.
demo_command() { echo "${STATE##*/target/demo}" | sed 's/^-\(.*\)/DEMO_NAME=\1 /' | tr -d '\n'; [ "$SERIES" = 14 ] || printf 'ODOO_SERIES=%s ' "$SERIES"; echo "bash deploy/demo.sh${1:+ $1}"; }

demo_next() {
  cat >&3 <<E

Odoo $SERIES with WhatsApp: http://127.0.0.1:$DEMO_ODOO_PORT
  as WhatsApp user   $ODOO_USER_LOGIN / $ODOO_USER_PASSWORD
  as administrator   $ODOO_LOGIN / $ODOO_PASSWORD

Next: open that address, log in, choose WhatsApp > Send Message, send a text to +447700900803 and keep
WhatsApp > Inbox open: it becomes sent, delivered and read, then the answer "Echo: ..." arrives, all by itself.
Other people: +447700900801 is not on WhatsApp, +447700900804 never gets anything, +447700900805 never reads;
any other number, for example +447700900123 (Amira Osei), reads what you send and stays silent.

Variables for checks: ${STATE#"$CHECKOUT"/}/env    Logs: ${STATE#"$CHECKOUT"/}/log    End: $(demo_command stop)
Prove it all: bash tests/run.sh
E
}
