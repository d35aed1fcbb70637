#!/usr/bin/env bash
# Writes crates/testkit/fixtures/odoo<14|19>.sql: the schema of the Odoo tables the daemon uses, as a
# real Odoo made them, and a few rows. It can be loaded into an empty database in one batch.
#
#   dump_odoo_schema.sh 14|19 CONNECTION      CONNECTION: a libpq string of a database with the addon
#
# Regenerate both after each change of the addon's models. PG_BIN may name the folder of pg_dump and psql.
set -euo pipefail

series=${1:-} connection=${2:-}
case $series in 14 | 19) ;; *) sed -n '2,8p' "$0"; exit 2 ;; esac
[ -n "$connection" ] || { sed -n '2,8p' "$0"; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
out=$here/../../crates/testkit/fixtures/odoo$series.sql
bin=${PG_BIN:-$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1)}

version=$("$bin/psql" -XAtq -d "$connection" -c \
    "SELECT latest_version FROM ir_module_module WHERE name = 'whatsapp_integration' AND state = 'installed'")
case $version in
    "$series".*) ;;
    *) echo "the database has no whatsapp_integration of series $series (found: ${version:-none})" >&2; exit 1 ;;
esac

tables='res_company res_users res_company_users_rel res_groups res_groups_users_rel res_groups_implied_rel
    ir_model_data ir_config_parameter ir_module_module res_partner res_country phone_blacklist bus_bus'
options=()
for table in $tables; do options+=(-t "public.$table"); done

mkdir -p "$(dirname "$out")"
{
    echo "-- Odoo $series with whatsapp_integration $version: schema of the tables the daemon uses, and seed rows."
    echo "-- Made by tests/tools/dump_odoo_schema.sh; do not edit."
    "$bin/pg_dump" -d "$connection" --schema-only --no-owner --no-privileges --no-comments \
        "${options[@]}" -t 'public.whatsapp_*' -t 'public.res_users_whatsapp_configuration_rel' \
        -t 'public.res_groups_whatsapp_configuration_rel' |
        SERIES=$series TABLES=$tables python3 "$here/odoo_schema_filter.py"
    [ "$series" = 14 ] || echo "ALTER TABLE public.res_company ALTER COLUMN layout_background SET DEFAULT 'Blank';"
    cat "$here/odoo_seed.sql"
    if [ "$series" = 14 ]; then
        sql="INSERT INTO res_groups (id, name) VALUES (1, 'Internal User'), (2, 'User'), (3, 'Administrator');
INSERT INTO res_country (id, name, code) VALUES (20, 'Belgium', 'BE'), (231, 'United Kingdom', 'GB');
-- 14 writes the implied groups out
INSERT INTO res_groups_users_rel (gid, uid) VALUES (1, 2), (2, 2), (3, 2), (1, 5), (2, 5), (1, 6);"
    else
        sql="INSERT INTO res_groups (id, name) VALUES (1, '{\"en_US\": \"Internal User\"}'), (2, '{\"en_US\": \"User\"}'), (3, '{\"en_US\": \"Administrator\"}');
INSERT INTO res_country (id, name, code) VALUES (20, '{\"en_US\": \"Belgium\"}', 'BE'), (231, '{\"en_US\": \"United Kingdom\"}', 'GB');
-- 19 stores only what was given directly
INSERT INTO res_groups_users_rel (gid, uid) VALUES (3, 2), (2, 5), (1, 6);"
    fi
    printf '%s\n' "$sql"
    cat <<SQL
INSERT INTO res_groups_implied_rel (gid, hid) VALUES (3, 2), (2, 1);
INSERT INTO ir_module_module (name, state, latest_version) VALUES ('base', 'installed', '$series.0.1.3'), ('whatsapp_integration', 'installed', '$version');
UPDATE res_partner SET country_id = 231 WHERE id = 1;
SELECT setval('public.res_users_id_seq', 100), setval('public.res_partner_id_seq', 100), setval('public.res_company_id_seq', 100),
       setval('public.res_groups_id_seq', 100), setval('public.res_country_id_seq', 300), setval('public.whatsapp_configuration_id_seq', 100);
SQL
} > "$out.new"
mv "$out.new" "$out"
echo "written: ${out#"$here/../../"} ($(wc -l < "$out") lines, $version)"
