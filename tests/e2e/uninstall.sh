#!/usr/bin/env bash
# Takes the addon away from a copy of the demo of DEMO_ENV, with a daemon on it: what was written is exported first; after
# the uninstallation and `wabridge drop` the copy's catalogue and Odoo's own records are those of a database that never
# had the addon. The demo itself goes on.
set -euo pipefail
CHECKOUT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
for noun in say machine packages process odoo_root postgres odoo bridge demo_state; do
  # shellcheck source=/dev/null
  . "$CHECKOUT/deploy/lib/$noun.sh"
done
demo_place; demo_recall saved; demo_secrets; packages_find_postgres
WORK=$STATE/uninstall COPY=leaving NEVER=never
PUBLIC=$((DEMO_PG_PORT + 11)) PRIVATE=$((DEMO_PG_PORT + 12))

leave() { unset PGPASSWORD; process_stop leaving INT 40 || :; db_drop $COPY || :; db_drop $NEVER || :; rm -rf "$WORK" "$(odoo_data)/filestore/$COPY" "$(odoo_data)/filestore/$NEVER"; }
trap leave EXIT
leave; mkdir -p "$WORK"; chmod 700 "$WORK"

# left DATABASE : a line for everything that an addon can bring: the catalogue, rights, Odoo's own records. Not among it is
# what Odoo keeps of every addon: its line in the list of known modules; and what people made for themselves: saved
# filters and lists of columns.
left() {
  db_super "$1" -c "
    select 'schema ' || nspname from pg_namespace where nspname !~ '^pg_'
    union all select case relkind when 'i' then 'index ' when 'S' then 'sequence ' when 'v' then 'view ' else 'table ' end || relname
      from pg_class where relnamespace = 'public'::regnamespace
    union all select 'column ' || c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
      from pg_attribute a join pg_class c on c.oid = a.attrelid
      where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'v') and a.attnum > 0 and not a.attisdropped
    union all select 'constraint ' || conrelid::regclass || ' ' || conname from pg_constraint where connamespace = 'public'::regnamespace
    union all select 'function ' || p.oid::regprocedure from pg_proc p where pronamespace = 'public'::regnamespace
    union all select 'trigger ' || tgrelid::regclass || ' ' || tgname from pg_trigger where not tgisinternal
    union all select 'type ' || typname from pg_type where typnamespace = 'public'::regnamespace
    union all select 'right of wabridge: ' || classid::regclass || ' ' || objid from pg_shdepend
      where dbid = (select oid from pg_database where datname = current_database()) and refobjid = 'wabridge'::regrole
    union all select 'model ' || model from ir_model
    union all select 'field ' || model || '.' || name from ir_model_fields
    union all select 'external id ' || module || '.' || name from ir_model_data
      where module not like '\\_\\_%' and not (module = 'base' and model = 'ir.module.module')
    union all select 'database object ' || name from ir_model_constraint
    union all select 'relation ' || name from ir_model_relation
    union all select 'scheduled action ' || coalesce(m.model, '') || ' ' || coalesce(a.code, '')
      from ir_cron c join ir_act_server a on a.id = c.ir_actions_server_id left join ir_model m on m.id = a.model_id
    union all select 'menu ' || split_part(coalesce(m.action, ''), ',', 1) || ' ' || d.module || '.' || d.name from ir_ui_menu m
      left join ir_model_data d on d.model = 'ir.ui.menu' and d.res_id = m.id
    union all select 'parameter ' || key from ir_config_parameter where key ~ 'whatsapp'
    union all select 'installed ' || name from ir_module_module where state <> 'uninstalled' and state <> 'uninstallable'
    union all select 'record of ' || what || ': ' || name from (
      select 'ir_attachment', res_model from ir_attachment union all select 'mail_message', model from mail_message
      union all select 'mail_followers', res_model from mail_followers union all select 'mail_activity', res_model from mail_activity
      union all select 'ir_act_window', res_model from ir_act_window union all select 'ir_ui_view', model from ir_ui_view
      union all select 'ir_act_server', state from ir_act_server) as r(what, name) where name like '%whatsapp%'" | sort
}

# The copy: database, files, settings with ports of its own; and a database that never had the addon.
export PGPASSWORD=$PG_SUPERUSER_PASSWORD
db_super postgres -c "create database $COPY owner odoo template template0 lc_collate 'C'"
"$PGBIN/pg_dump" -h 127.0.0.1 -p "$DEMO_PG_PORT" -U postgres -Fc -Z0 "$DATABASE" |
  "$PGBIN/pg_restore" -h 127.0.0.1 -p "$DEMO_PG_PORT" -U postgres -d $COPY --exit-on-error
cp -a "$(odoo_data)/filestore/$DATABASE" "$(odoo_data)/filestore/$COPY"
odoo_restore base $NEVER
# The checks installed more than the addon.
installed() { db_super "$1" -c "select name from ir_module_module where state = 'installed' and name not like 'whatsapp\_integration%' order by 1"; }
more=$(comm -13 <(installed $NEVER) <(installed $COPY) | paste -sd,)
[ -z "$more" ] || odoo_update $NEVER -i "$more"
sed "s/databases\.$DATABASE\b/databases.$COPY/; s/:$DEMO_PUBLIC_PORT\"/:$PUBLIC\"/; s/:$DEMO_PRIVATE_PORT\"/:$PRIVATE\"/; s,^url_file = .*,url_file = \"$WORK/url\"," \
  "$BRIDGE/wabridge.toml" >"$WORK/wabridge.toml"
printf 'postgresql://wabridge:%s@127.0.0.1:%s/%s' "$PG_WABRIDGE_PASSWORD" "$DEMO_PG_PORT" $COPY >"$WORK/url"
[ -z "${SUDO_USER:-}" ] || chown -R "$SUDO_USER" "$WORK"
bridge() { (bridge_exec "$@" --config "$WORK/wabridge.toml"); }
db_super $COPY -c "insert into ir_config_parameter (key, value) values ('whatsapp_integration.database_role', 'wabridge') on conflict (key) do update set value = excluded.value"
log=$LOGS/leaving.log; : >"$log"
process_start leaving bridge_exec serve --config "$WORK/wabridge.toml"
process_wait leaving 60 curl -fsS -m 5 -o /dev/null "http://127.0.0.1:$PUBLIC/whatsapp/health"
say "a copy of $DATABASE is served on port $PUBLIC"

left $NEVER >"$WORK/never"
left $COPY >"$WORK/with"
for kind in table column index menu "scheduled action" "external id" field "right of wabridge"; do
  grep -q "^> $kind" < <(diff "$WORK/never" "$WORK/with") || fail "the comparison does not see a $kind of the addon"
done

# What was written leaves before the addon does.
# A check may have taken a file away: the export says so with exit code 1, and is whole all the same.
bridge export $COPY "$WORK/export" | tee "$WORK/said" || grep -q "files are NOT in it" "$WORK/said"
[ -s "$WORK/export/export.json" ] || fail "the export is not whole"
for pair in messages:whatsapp_message contacts:whatsapp_contact groups:whatsapp_group chats:whatsapp_chat media:whatsapp_media; do
  rows=$(wc -l <"$WORK/export/${pair%:*}.jsonl") count=$(db_super $COPY -c "select count(*) from ${pair#*:}")
  [ "$rows" = "$count" ] || fail "the export has $rows of $count ${pair%:*}"
done
[ "$(wc -l <"$WORK/export/messages.jsonl")" -gt 0 ] || fail "the demo has no message"
! bridge drop $COPY --yes >"$WORK/refused" 2>&1 || fail "schema wabridge was dropped under an installed addon"

say "uninstalling in Odoo $SERIES"
odoo_run 300 shell -d $COPY --no-http --max-cron-threads=0 --log-level=warn >"$WORK/odoo.log" 2>&1 <<'P' || { cat "$WORK/odoo.log"; fail "Odoo does not uninstall the addon"; }
modules = env["ir.module.module"].search([("name", "=like", "whatsapp_integration%"), ("state", "=", "installed")])
modules.button_immediate_uninstall()
P
! odoo_installed $COPY || { cat "$WORK/odoo.log"; fail "the addon is still installed"; }
! grep -E ' (ERROR|CRITICAL) ' "$WORK/odoo.log" || fail "Odoo complains"

# The daemon says so once (its rights are gone too, so that it cannot see Odoo's own word for it), and goes on.
for ((i = 0; i < 120; i++)); do ! grep -q "addon whatsapp_integration is not installed" "$log" || break; pause 0.5; done
[ "$(grep -c "addon whatsapp_integration is not installed" "$log")" = 1 ] || { tail -20 "$log"; fail "the daemon does not say once that the addon is gone"; }
pause 3; before=$(grep -cE ' (WARN|ERROR) ' "$log" || :); pause 6; after=$(grep -cE ' (WARN|ERROR) ' "$log" || :)
[ $((after - before)) -le 1 ] || { tail -20 "$log"; fail "the daemon complains again and again"; }
process_stop leaving INT 40
bridge drop $COPY --yes

# Odoo 19 forgets of every addon: its own notes of foreign keys that the addon's fields had in Odoo's tables (the keys are
# gone), and external ids that mail, sms and snailmail gave to what they added to the addon's models.
ODOOS='^(database object (ir_act_server|res_users)_whatsapp_[a-z_]*_fkey|external id (mail|sms|snailmail)\.(selection__whatsapp_|model_inherit__whatsapp_)[a-z_]*)$'
left $COPY | if [ "$SERIES" = 14 ]; then cat; else grep -vE "$ODOOS"; fi >"$WORK/after"
diff "$WORK/never" "$WORK/after" || fail "something is left in Odoo $SERIES (>), or missing (<)"
say "nothing is left"
