# shellcheck shell=bash disable=SC2034,SC2154
# What a demo remembers between two runs of the script: series, ports, secrets. Needs CHECKOUT and say.sh.
# Everything lies in target/demo, or target/demo-<DEMO_NAME>, so that several can run side by side.

# Sets STATE, RUN, LOGS. DEMO_ENV may name the env file of a demo instead of DEMO_NAME.
demo_place() {
  local name=${DEMO_NAME:-}
  [[ $name =~ ^[A-Za-z0-9_-]*$ ]] || fail "DEMO_NAME may hold letters, digits, - and _ only, not $name"
  STATE=$CHECKOUT/target/demo${name:+-$name}
  if [ -n "${DEMO_ENV:-}" ]; then
    STATE=$(cd "$(dirname "$DEMO_ENV")" 2>/dev/null && pwd) || fail "there is no demo at $DEMO_ENV"
    [[ $STATE == "$CHECKOUT"/target/demo* ]] || fail "$STATE is no demo of this checkout: DEMO_ENV names a target/demo/env"
  fi
  RUN=$STATE/run LOGS=$STATE/log
}

demo_folders() { mkdir -p "$RUN" "$LOGS"; chmod 755 "$STATE"; }

DEMO_PORTS=(DEMO_ODOO_PORT=8069 DEMO_BUS_PORT=8072 DEMO_PUBLIC_PORT=8470 DEMO_PRIVATE_PORT=8471 DEMO_SIMULATOR_PORT=8480 DEMO_PG_PORT=54380)

# Sets SERIES and the ports: what the caller says, else what this demo had, else the default. The series is 14 unless
# said; `saved` prefers the one this demo had.
demo_recall() {
  local pair name saved port said=${ODOO_SERIES:-}
  SAVED_SERIES=$(demo_saved SERIES) PORTS_MOVED=
  [ "${1:-}" != saved ] || said=${SAVED_SERIES:-$said}
  SERIES=${said:-14}
  [[ $SERIES == 14 || $SERIES == 19 ]] || fail "ODOO_SERIES is 14 or 19, not $SERIES"
  for pair in "${DEMO_PORTS[@]}"; do
    name=${pair%%=*} saved=$(demo_saved "${pair%%=*}")
    port=${!name:-${saved:-${pair#*=}}}
    [[ $port =~ ^[0-9]{1,5}$ ]] || fail "$name is a port number, not $port"
    [ -z "$saved" ] || [ "$saved" = "$port" ] || PORTS_MOVED=1
    printf -v "$name" %s "$port"
  done
  ODOO_STATE=$STATE/odoo$SERIES BRIDGE=$STATE/odoo$SERIES/bridge DATABASE=demo$SERIES
}

demo_saved() { sed -n "s/^$1=//p" "$STATE/demo.conf" 2>/dev/null || :; }

demo_remember() {
  local pair name
  { echo "SERIES=$SERIES"; for pair in "${DEMO_PORTS[@]}"; do name=${pair%%=*}; echo "$name=${!name}"; done; } >"$STATE/demo.conf.new"
  mv "$STATE/demo.conf.new" "$STATE/demo.conf"
}

random_hex() { od -An -N "$1" -tx1 /dev/urandom | tr -d ' \n'; }

# Passwords and demo tokens, made once. They are worth nothing outside this demo, but each demo has its own.
DEMO_SECRETS="PG_SUPERUSER_PASSWORD PG_ODOO_PASSWORD PG_WABRIDGE_PASSWORD ODOO_RPC_SECRET CHECKS_RPC_SECRET
  WHAPI_TOKEN WHAPI_WEBHOOK_TOKEN WHAPI_WEBHOOK_SECRET WASSENGER_TOKEN WASSENGER_WEBHOOK_TOKEN WASSENGER_WEBHOOK_SECRET
  META_TOKEN META_WEBHOOK_TOKEN META_WEBHOOK_SECRET META_VERIFY_TOKEN META_2_TOKEN META_2_WEBHOOK_TOKEN
  CUSTOM_TOKEN CUSTOM_WEBHOOK_TOKEN CUSTOM_WEBHOOK_SECRET"
demo_secrets() {
  local name
  for name in $DEMO_SECRETS; do
    grep -q "^$name=" "$STATE/secrets" 2>/dev/null || (umask 077; echo "$name=$(random_hex 24)" >>"$STATE/secrets")
  done
  # shellcheck source=/dev/null
  . "$STATE/secrets"
  # both of Meta's numbers belong to one app
  META_2_WEBHOOK_SECRET=$META_WEBHOOK_SECRET
  ODOO_MASTER_PASSWORD=admin ODOO_LOGIN=admin ODOO_PASSWORD=admin ODOO_USER_LOGIN=demo_user ODOO_USER_PASSWORD=demo_user
  WHAPI_CHANNEL_ID=HERON-K42QX WASSENGER_CHANNEL_ID=68a1f0c2d4e5b60718293a4b META_CHANNEL_ID=206543210987654
  META_2_CHANNEL_ID=206543210987655 CUSTOM_CHANNEL_ID=custom-1
}

# The demo's accounts, in their order: variable prefix, provider, own number, name.
DEMO_ACCOUNTS=("WHAPI whapi 447700900999 Acme Support" "WASSENGER wassenger 447700900998 Acme Sales" "META meta 447700900997 Acme Service"
  "META_2 meta 447700900996 Acme Stores" "CUSTOM custom 447700900995 Acme Relay")

# each_account COMMAND... : runs COMMAND PREFIX PROVIDER PHONE NAME for each account
each_account() {
  local row prefix provider phone name
  for row in "${DEMO_ACCOUNTS[@]}"; do read -r prefix provider phone name <<<"$row"; "$@" "$prefix" "$provider" "$phone" "$name"; done
}

# valued PREFIX SUFFIX : the value of that variable
valued() { local name=$1_$2; printf '%s' "${!name-}"; }

# The file by which checks and people find everything; design section 9 names the variables.
demo_write_env() {
  (
    umask 077
    cat >"$STATE/env.new" <<E
ODOO_URL=http://127.0.0.1:$DEMO_ODOO_PORT
ODOO_DB=$DATABASE
ODOO_LOGIN=$ODOO_LOGIN
ODOO_PASSWORD=$ODOO_PASSWORD
ODOO_USER_LOGIN=$ODOO_USER_LOGIN
ODOO_USER_PASSWORD=$ODOO_USER_PASSWORD
DATABASE_URL=postgresql://odoo:$PG_ODOO_PASSWORD@127.0.0.1:$DEMO_PG_PORT/$DATABASE
WABRIDGE_BIN=$WABRIDGE_BIN
WABRIDGE_CONFIG=$BRIDGE/wabridge.toml
WABRIDGE_PUBLIC_URL=http://127.0.0.1:$DEMO_PUBLIC_PORT
WABRIDGE_PRIVATE_URL=http://127.0.0.1:$DEMO_PRIVATE_PORT
WABRIDGE_RPC_KEY_ID=checks
WABRIDGE_RPC_SECRET=$CHECKS_RPC_SECRET
SIMULATOR_URL=http://127.0.0.1:$DEMO_SIMULATOR_PORT
META_VERIFY_TOKEN=$META_VERIFY_TOKEN
E
    each_account account_env >>"$STATE/env.new"
  )
  [ -z "${SUDO_USER:-}" ] || chown "$SUDO_USER" "$STATE/env.new"
  mv "$STATE/env.new" "$STATE/env"
}

account_env() { # PREFIX ...
  local name
  echo "$1_CONFIGURATION_ID=$(configuration_of "$1")"
  for name in WEBHOOK_TOKEN WEBHOOK_SECRET TOKEN CHANNEL_ID; do echo "$1_$name=$(valued "$1" $name)"; done
}
