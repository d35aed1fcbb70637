# shellcheck shell=bash disable=SC2034,SC2153,SC2154
# Odoo of one series: its command, its databases, its server. Needs SERIES, ODOO_STATE (this demo's folder for the series),
# CHECKOUT, and odoo_root.sh, process.sh, postgres.sh.

ODOO_ADDON=whatsapp_integration
ODOO_MODULES=contacts,phone_validation           # what a seed database holds before the addon

odoo_data() { echo "$ODOO_STATE/data"; }
odoo_prepare() { mkdir -p "$(odoo_data)"; chown "$ODOO_UID:$ODOO_UID" "$(odoo_data)"; chmod 700 "$(odoo_data)"; }

# odoo_exec COMMAND ARGS... : replaces this shell by Odoo's command, with the connection of this demo
odoo_exec() {
  local command=$1 secret; shift
  # not on the command line, where everybody could read it
  secret=$(odoo_data)/odoo.conf
  (umask 077; printf '[options]\ndb_host = 127.0.0.1\ndb_port = %s\ndb_user = odoo\ndb_password = %s\ndata_dir = /var/lib/odoo\naddons_path = /usr/lib/python3/dist-packages/odoo/addons,/mnt/addons\nadmin_passwd = %s\n' \
    "$DEMO_PG_PORT" "$PG_ODOO_PASSWORD" "$ODOO_MASTER_PASSWORD" >"$secret.new"; chown "$ODOO_UID:$ODOO_UID" "$secret.new"; mv "$secret.new" "$secret")
  ODOO_ENV=(WABRIDGE_ODOO_KEYS=/var/lib/odoo/wabridge.ini)
  odoo_enter "$(odoo_root "$SERIES")" "${ODOO_ADDONS:-$CHECKOUT/odoo_addon}" "$(odoo_data)" /usr/bin/python3 /usr/bin/odoo "$command" -c /var/lib/odoo/odoo.conf "$@"
}

# odoo_run LIMIT_S ARGS... : the same in the foreground, bounded
odoo_run() { ( ODOO_PREFIX=(timeout -k 10 "$1"); shift; exec 3>&- 8>&- 9>&-; odoo_exec "$@" ); }

odoo_without_demo() { [ "$SERIES" = 14 ] && echo --without-demo=all || echo --without-demo=1; }

# odoo_update DATABASE -i|-u MODULES
odoo_update() { odoo_run 900 server -d "$1" "$2" "$3" "$(odoo_without_demo)" --stop-after-init --no-http --max-cron-threads=0 --log-level=warn; }

# ---- seeds: installed databases kept as dumps beside the roots, so that a new demo or test run restores in seconds

odoo_addon_hash() { (cd "$CHECKOUT/odoo_addon" && find . -type f ! -name '*.pyc' ! -path '*/tests/*' -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -c1-16); }

odoo_seed_file() { # base | addon
  local key; key=$(odoo_root_stamp "$SERIES")-pg$("$PGBIN/postgres" --version | grep -oE '[0-9]+' | head -1)
  [ "$1" = base ] || key=$key-$(odoo_addon_hash)
  echo "$CHECKOUT/target/odoo/seeds/$SERIES-$1-$key"
}

# odoo_seed base|addon : makes the dump if it is missing
odoo_seed() {
  local level=$1 file name=seed_$1_$$ store lock; file=$(odoo_seed_file "$level"); store=$(odoo_data)/filestore
  mkdir -p "${file%/*}"
  exec {lock}>"$file.lock"; flock "$lock"         # another demo may want the same
  [ ! -e "$file.dump" ] || { exec {lock}>&-; return 0; }
  if [ "$level" = base ]; then odoo_update "$name" -i "$ODOO_MODULES"
  else odoo_seed base && odoo_restore base "$name" && odoo_update "$name" -i $ODOO_ADDON
  fi || { db_drop "$name"; fail "Odoo $SERIES cannot install its modules"; }
  [ "$level" = base ] || odoo_installed "$name" || { db_drop "$name"; fail "Odoo $SERIES did not install the addon $ODOO_ADDON"; }
  rm -f "$file".part.*
  tar -C "$store" -cf "$file.part.tar" "$name"
  PGPASSWORD=$PG_SUPERUSER_PASSWORD "$PGBIN/pg_dump" -h 127.0.0.1 -p "$DEMO_PG_PORT" -U postgres -Fc -Z1 -f "$file.part.dump" "$name"
  db_drop "$name"; rm -rf "${store:?}/$name"
  mv "$file.part.tar" "$file.tar"; mv "$file.part.dump" "$file.dump"
  exec {lock}>&-
  # seeds of other states of the addon or the root are of no use any more
  find "${file%/*}" -name "$SERIES-$level-*" ! -name "${file##*/}.*" -delete
}

# odoo_restore base|addon DATABASE
odoo_restore() {
  local file store; file=$(odoo_seed_file "$1"); store=$(odoo_data)/filestore
  db_super postgres -c "create database \"$2\" owner odoo template template0 lc_collate 'C'" &&
  PGPASSWORD=$PG_SUPERUSER_PASSWORD "$PGBIN/pg_restore" -h 127.0.0.1 -p "$DEMO_PG_PORT" -U postgres -d "$2" -j "$(nproc)" --role=odoo --no-owner --exit-on-error "$file.dump" &&
  mkdir -p "$store" && rm -rf "${store:?}/$2" && tar -C "$store" --transform "s,^[^/]*,$2," -xf "$file.tar" && chown -R "$ODOO_UID:$ODOO_UID" "$store"
}

odoo_installed() { [ "$(db_super "$1" -c "select state from ir_module_module where name = '$ODOO_ADDON'")" = installed ]; }

# ---- server

odoo_start() { # DATABASE
  local bus=--longpolling-port; [ "$SERIES" = 14 ] || bus=--gevent-port
  ! process_pid odoo >/dev/null || return 0
  port_free DEMO_ODOO_PORT
  process_start odoo odoo_server server -d "$1" --db-filter="^$1\$" --http-interface=127.0.0.1 --http-port="$DEMO_ODOO_PORT" "$bus=$DEMO_BUS_PORT" --workers=0 --max-cron-threads=1
  process_wait odoo 120 curl -fsS -m 5 -o /dev/null "http://127.0.0.1:$DEMO_ODOO_PORT/web/login"
}

odoo_server() { ODOO_PREFIX=(setsid); odoo_exec "$@"; }
# A browser's open long poll holds Odoo 14 up to 50 s: a second signal ends it without waiting for that.
odoo_stop() {
  local pid i
  if pid=$(process_pid odoo); then kill -TERM "$pid" 2>/dev/null || :; for ((i = 0; i < 50; i++)); do process_pid odoo >/dev/null || break; sleep 0.1; done; fi
  process_stop odoo TERM 15; odoo_leave "$SERIES"
}
