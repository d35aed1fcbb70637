# shellcheck shell=bash disable=SC2153,SC2154
# The daemon and the simulator of one demo or test: settings, keys, schema, processes. BRIDGE is the folder that holds
# their files. Needs CHECKOUT, process.sh, postgres.sh, machine.sh.

# WABRIDGE_PREBUILT names a binary to be used instead of building one.
WABRIDGE_BIN=${WABRIDGE_PREBUILT:-$CHECKOUT/target/release/wabridge}

bridge_build() { [ -n "${WABRIDGE_PREBUILT:-}" ] || (cd "$CHECKOUT" && as_builder "$CARGO" build --release --locked -p wabridge --target-dir "$CHECKOUT/target"); }

# Daemon and simulator run as the person who builds, not as root when there is somebody else.
bridge_exec() {
  local as=()
  [ -z "${SUDO_USER:-}" ] || [ "$SUDO_USER" = root ] || as=(setpriv --reuid="$SUDO_USER" --regid="$(id -g "$SUDO_USER")" --init-groups)
  cd / && exec setsid ${as[@]+"${as[@]}"} "$WABRIDGE_BIN" "$@"
}

bridge_owner() { [ -z "${SUDO_USER:-}" ] || chown -R "$SUDO_USER" "$BRIDGE"; }

# bridge_settings DATABASE : settings file, keys, and Odoo's side of the shared secret
bridge_settings() {
  local database=$1 keys
  mkdir -p "$BRIDGE"; chmod 700 "$BRIDGE"
  (
    umask 077; cd "$BRIDGE" || exit 1
    [ -s sealing.key ] || "$WABRIDGE_BIN" keys generate --out "$BRIDGE/sealing.key" >/dev/null || exit 1
    printf '%s' "$ODOO_RPC_SECRET" >odoo.secret
    printf '%s' "$CHECKS_RPC_SECRET" >checks.secret
    [ -s metrics.token ] || random_hex 24 >metrics.token
    printf 'postgresql://wabridge:%s@127.0.0.1:%s/%s' "$PG_WABRIDGE_PASSWORD" "$DEMO_PG_PORT" "$database" >database.url
    cat >wabridge.toml <<E
# Written by the scripts under deploy/; deploy/wabridge.example.toml explains each setting.
[public]
listen = "127.0.0.1:$DEMO_PUBLIC_PORT"

[private]
listen = "127.0.0.1:$DEMO_PRIVATE_PORT"
# what Prometheus presents
metrics_bearer_token_file = "$BRIDGE/metrics.token"

[media]
directory = "$BRIDGE/media"
# the simulator's links lead to loopback
allowed_hosts = ["127.0.0.1"]

[databases.$database]
url_file = "$BRIDGE/database.url"
odoo_url = "http://127.0.0.1:$DEMO_ODOO_PORT"
odoo_key = "odoo"

[databases.$database.rpc_keys.odoo]
secret_file = "$BRIDGE/odoo.secret"
act_as = "any"

[databases.$database.rpc_keys.checks]
secret_file = "$BRIDGE/checks.secret"
act_as = "any"

[databases.$database.sealing_keys.first]
key_file = "$BRIDGE/sealing.key"
active = true
E
  ) || fail "the settings cannot be written to $BRIDGE"
  bridge_owner
  keys=$(odoo_data)/wabridge.ini
  (umask 077; printf '[%s]\nurl = http://127.0.0.1:%s\nkey_id = odoo\nsecret = %s\n' "$database" "$DEMO_PRIVATE_PORT" "$ODOO_RPC_SECRET" >"$keys.new")
  chown "$ODOO_UID:$ODOO_UID" "$keys.new"; mv "$keys.new" "$keys"
}

# bridge_schema DATABASE : the role's rights by the superuser, then schema wabridge by the role itself
bridge_schema() {
  "$WABRIDGE_BIN" grants --database "$1" --role wabridge --odoo-role odoo >"$BRIDGE/grants.sql" &&
  db_super "$1" -1 -f "$BRIDGE/grants.sql" &&
  "$WABRIDGE_BIN" migrate --config "$BRIDGE/wabridge.toml"
}

bridge_daemon() {
  ! process_pid daemon >/dev/null || return 0
  port_free DEMO_PUBLIC_PORT; port_free DEMO_PRIVATE_PORT
  process_start daemon bridge_exec serve --config "$BRIDGE/wabridge.toml"
  process_wait daemon 60 curl -fsS -m 5 -o /dev/null "http://127.0.0.1:$DEMO_PRIVATE_PORT/health/ready"
}

bridge_simulator() {
  ! process_pid simulator >/dev/null || return 0
  port_free DEMO_SIMULATOR_PORT
  process_start simulator bridge_exec simulate --listen "127.0.0.1:$DEMO_SIMULATOR_PORT" --accounts "$BRIDGE/simulator.json"
  process_wait simulator 20 curl -fsS -m 5 -o /dev/null "http://127.0.0.1:$DEMO_SIMULATOR_PORT/_control/requests?since=0"
}

# The accounts, people and groups of the demo; the special people of the simulator are there by themselves.
bridge_people() {
  mkdir -p "$BRIDGE"
  (
    umask 077
    cat >"$BRIDGE/simulator.json" <<E
{"accounts": [$(each_account bridge_account | paste -sd,)],
 "people": [{"phone": "447700900123", "name": "Amira Osei"}, {"phone": "447700900124", "name": "Ben Carter"},
            {"phone": "447700900125", "name": "Chiara Rossi"}, {"phone": "447700900126", "name": "David Kim"}],
 "groups": [{"id": "120363025550100777@g.us", "name": "Acme customers", "token": "$WHAPI_TOKEN",
             "participants": ["447700900999", "447700900123", "447700900124", "447700900125"]}]}
E
  )
  bridge_owner
}

bridge_account() { # PREFIX PROVIDER PHONE NAME
  local settings=
  case $2 in
    meta) settings=$(printf ', "settings": {"app_secret": "%s"}' "$(valued "$1" WEBHOOK_SECRET)") ;;
    # its operator enters the address by hand
    custom) settings=$(printf ', "settings": {"webhook_url": "http://127.0.0.1:%s/whatsapp/webhook/custom/%s", "webhook_secret": "%s"}' \
      "$DEMO_PUBLIC_PORT" "$(valued "$1" WEBHOOK_TOKEN)" "$(valued "$1" WEBHOOK_SECRET)") ;;
  esac
  printf '{"provider": "%s", "token": "%s", "channel_id": "%s", "phone": "%s", "name": "%s"%s}\n' \
    "$2" "$(valued "$1" TOKEN)" "$(valued "$1" CHANNEL_ID)" "$3" "$4" "$settings"
}

bridge_rpc() { "$WABRIDGE_BIN" rpc --config "$BRIDGE/wabridge.toml" "$@"; }
