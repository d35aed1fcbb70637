#!/bin/bash
# Runs once, when PostgreSQL's volume is made: the roles of Odoo and the daemon, with the passwords of the secrets.
set -euo pipefail
psql -v ON_ERROR_STOP=1 -U postgres -d postgres \
  -v odoo="$(cat /run/secrets/odoo_password)" -v wabridge="$(cat /run/secrets/wabridge_password)" <<'SQL'
CREATE ROLE odoo LOGIN CREATEDB PASSWORD :'odoo';
CREATE ROLE wabridge LOGIN PASSWORD :'wabridge';
SQL
