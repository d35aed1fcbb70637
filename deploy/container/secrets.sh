#!/bin/bash
# Makes what compose.yml wants in ./secrets, once; what is there stays. Needs nothing but coreutils.
# Keep a copy of acme.seal where you keep passwords, apart from the database's backups.
set -euo pipefail
umask 077
FOLDER=${1:-$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/secrets}
mkdir -p "$FOLDER"
cd "$FOLDER"

random() { head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n'; }
# once NAME : its content from stdin. The containers' users read the files, the folder keeps everybody else out.
once() { local text; text=$(cat); [ -s "$1" ] || { printf '%s\n' "$text" >"$1.new"; chmod 644 "$1.new"; mv "$1.new" "$1"; }; }

for name in postgres_password odoo_password wabridge_password acme.rpc acme.seal; do random | once $name; done
once odoo.ini <<INI
[acme]
url = http://wabridge:8471
key_id = odoo-acme
secret = $(cat acme.rpc)
INI
once odoo.conf <<CONF
[options]
db_host = postgres
db_user = odoo
db_password = $(cat odoo_password)
db_name = acme
list_db = False
proxy_mode = True
workers = 2
addons_path = /mnt/extra-addons
data_dir = /var/lib/odoo
CONF
chmod 700 .
ls -l
