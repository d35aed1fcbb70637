# shellcheck shell=bash disable=SC2153,SC2154
# A PostgreSQL cluster of our own on loopback; the machine's clusters are not touched. Passwords come from the demo's
# secrets; every role needs one. Needs PGBIN, STATE, RUN, LOGS, DEMO_PG_PORT, PG_*_PASSWORD and process.sh.

POSTGRES_USER=postgres
id -u postgres >/dev/null 2>&1 || POSTGRES_USER=nobody

as_postgres() { (cd / && exec setpriv --reuid="$POSTGRES_USER" --regid="$(id -g "$POSTGRES_USER")" --init-groups "$@"); }

# Where the data lie: in the demo's folder, or, where that user cannot get there (a checkout below a 0700 home), in /var/tmp.
postgres_data() {
  if as_postgres test -x "$STATE"; then echo "$STATE/postgres"
  else echo "/var/tmp/wabridge-$(printf %s "$STATE" | sha256sum | cut -c1-12)/postgres"; fi
}

postgres_init() {
  local data=$1 folder=${1%/*} password
  if [ "$folder" != "$STATE" ] && [ -e "$folder" ]; then
    if [ -L "$folder" ] || [ "$(stat -c %u "$folder")" != 0 ]; then fail "$folder belongs to somebody else: remove it"; fi
  fi
  rm -rf "$data"; mkdir -p "$data"; chown "$POSTGRES_USER" "$data"; chmod 700 "$data"
  password=$(mktemp "$folder/pw.XXXXXX"); printf '%s\n' "$PG_SUPERUSER_PASSWORD" >"$password"; chown "$POSTGRES_USER" "$password"
  as_postgres "$PGBIN/initdb" -D "$data" -U postgres -A scram-sha-256 --pwfile="$password" --locale=C.UTF-8 -E UTF8 --no-sync >"$LOGS/initdb.log" 2>&1 ||
    { rm -f "$password"; tail_of "$LOGS/initdb.log"; fail "initdb failed, see $LOGS/initdb.log"; }
  rm -f "$password"
  # a server that fitted the machine would be larger; the demo's data are small
  printf "listen_addresses = '127.0.0.1'\nunix_socket_directories = ''\nmax_connections = 200\nshared_buffers = 256MB\n" >>"$data/postgresql.conf"
}

postgres_start() {
  local data; data=$(postgres_data)
  ! process_pid postgres >/dev/null || return 0
  port_free DEMO_PG_PORT
  # written last by initdb and by us: a half made cluster is made again
  grep -q '^unix_socket_directories' "$data/postgresql.conf" 2>/dev/null || postgres_init "$data"
  [ "$(cat "$data/PG_VERSION")" = "$("$PGBIN/postgres" --version | grep -oE '[0-9]+' | head -1)" ] ||
    fail "the demo's data were made by PostgreSQL $(cat "$data/PG_VERSION"): start it with WABRIDGE_PGBIN=/usr/lib/postgresql/$(cat "$data/PG_VERSION")/bin, or bash deploy/demo.sh reset"
  process_start postgres postgres_exec "$data"
  process_wait postgres 60 db_super postgres -c 'select 1'
  db_super postgres -c "do \$\$ begin
    if not exists (select from pg_roles where rolname = 'odoo') then create role odoo; end if;
    if not exists (select from pg_roles where rolname = 'wabridge') then create role wabridge; end if; end \$\$;
    alter role odoo login createdb password '$PG_ODOO_PASSWORD';
    alter role wabridge login nosuperuser nocreatedb nocreaterole password '$PG_WABRIDGE_PASSWORD'" || fail "the roles cannot be made, see $LOGS/postgres.log"
}

postgres_exec() { cd / && exec setsid setpriv --reuid="$POSTGRES_USER" --regid="$(id -g "$POSTGRES_USER")" --init-groups "$PGBIN/postgres" -D "$1" -p "$DEMO_PG_PORT"; }

postgres_stop() { process_stop postgres INT 30; }

# db ROLE PASSWORD DATABASE ARGS... ; errors are errors, and no psqlrc of anybody takes part
db() { PGPASSWORD=$2 PGOPTIONS="-c client_min_messages=warning" PGCONNECT_TIMEOUT=10 "$PGBIN/psql" -X -q -A -t -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$DEMO_PG_PORT" -U "$1" -d "$3" "${@:4}"; }
db_super() { db postgres "$PG_SUPERUSER_PASSWORD" "$@"; }
db_exists() { [ "$(db_super postgres -c "select 1 from pg_database where datname = '$1'")" = 1 ]; }
db_drop() { db_super postgres -c "drop database if exists \"$1\" with (force)"; }
