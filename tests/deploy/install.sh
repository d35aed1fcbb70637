# shellcheck shell=bash disable=SC2016,SC2154
# The package on a clean Debian, the README's steps on it as they are written, and nginx in front. Needs root.sh.

# ok TEXT COMMAND... : a check; the first that fails ends the section
CHECKS=0
ok() {
  local text=$1; shift
  "$@" >"$REPORTS/deploy-check.log" 2>&1 || { echo "FAILED: $text: $*"; cat "$REPORTS/deploy-check.log"; return 1; }
  CHECKS=$((CHECKS + 1)); echo "ok: $text"
}
refuses() { ! "$@"; }
says() { local wanted=$1 said; shift; said=$("$@" 2>&1) || :; echo "$said"; grep -qE -- "$wanted" <<<"$said"; }   # says PATTERN COMMAND...
is() { [ "$1" = "$2" ] || { echo "is: $1"; echo "wanted: $2"; return 1; }; }
eventually() { local limit=$((SECONDS + 120)); until "$@" >/dev/null 2>&1; do [ $SECONDS -lt $limit ] || { "$@"; return 1; }; sleep 0.3; done; }

# ---- the README's commands

# Writes the indented blocks of the chapter into FOLDER: NN-B.sh, or .nginx where a block begins with `location`.
readme_blocks() { # FOLDER
  mkdir -p "$1"
  awk -v folder="$1" '
    function done() { if (text != "") { close(file); text = "" } held = "" }
    /^## / { done(); on = /^## Install it/; next }
    !on { next }
    /^\*\*[0-9]+\. / { done(); step = substr($1, 3) + 0; block = 0 }
    /^    / && step {
      line = substr($0, 5)
      if (text == "") { block++; file = sprintf("%s/%02d-%d.%s", folder, step, block, line ~ /^location / ? "nginx" : "sh"); printf "" >file }
      printf "%s%s\n", held, line >>file; text = text line; held = ""; next
    }
    /^$/ && text != "" { held = held "\n"; next }
    { done() }' "$CHECKOUT/README.md"
}

# Keys and values of the table of system parameters.
readme_parameters() { sed -n '/^## Install it/,/^## /{s/^| `\(whatsapp_integration[^`]*\)` | `\([^`]*\)`.*/\1 \2/p}' "$CHECKOUT/README.md"; }

# Runs the blocks of a step as the administrator types them.
readme_step() { # NUMBER
  local file any=
  for file in "$REPORTS/deploy-readme/$(printf %02d "$1")"-*.sh; do
    [ -e "$file" ] || break
    any=1; sed 's/^/    $ /' "$file"
    install -m 644 "$file" "$ROOT/home/admin/step.sh"
    root_admin bash -euo pipefail step.sh || { echo "FAILED: step $1 of the README"; return 1; }
  done
  [ -n "$any" ] || { echo "FAILED: the README has no commands in step $1"; return 1; }
  CHECKS=$((CHECKS + 1)); echo "ok: step $1 of the README"
}

# ---- the package alone

paths() { root_run find /etc /usr /opt /var /home -xdev \( -path /opt/odoo-root -o -path /var/lib/dpkg -o -path /var/lib/apt -o -path /var/cache -o -path /var/log -o -path /var/lib/systemd/deb-systemd-helper-enabled -o -path /var/lib/postgresql -o -path /usr/lib/udev/hwdb.bin \) -prune -o -print | sort; }

package_alone() {
  local before after
  before=$(paths)
  cp "$DEB" "$ROOT/home/admin/wabridge.deb"
  root_run apt-get install -y -q /home/admin/wabridge.deb || return 1
  ok "nothing of it differs from the package" says '^$' root_run sh -c 'dpkg --verify wabridge; echo'
  ok "its user has no shell and no password" says '^wabridge:x:[0-9]{3}:[0-9]*:.*:/var/lib/wabridge:/usr/sbin/nologin$' root_run getent passwd wabridge
  ok "others cannot read the settings" is "$(root_run stat -c '%a %U:%G' /etc/wabridge/wabridge.toml)" "640 root:wabridge"
  ok "files of messages are the daemon's alone" is "$(root_run stat -c '%a %U:%G' /var/lib/wabridge)" "700 wabridge:wabridge"
  ok "it is not enabled" is "$(root_run systemctl is-enabled wabridge)" disabled
  ok "it is not started" is "$(root_run systemctl is-active wabridge)" inactive
  ok "untouched settings are refused, with the cure" says 'databases: none is given; add a section' root_run runuser -u wabridge -- wabridge config check
  ok "the unit has no word of complaint" says '^$' root_run sh -c 'systemd-analyze verify wabridge.service 2>&1; echo'
  ok "its documents are there" root_run test -s /usr/share/doc/wabridge/docs/OPERATIONS.md -a -s /usr/share/man/man1/wabridge.1.gz -a -s /usr/share/doc/wabridge/examples/nginx/wabridge.conf
  root_run apt-get purge -y -q wabridge || return 1
  rm "$ROOT/home/admin/wabridge.deb"
  after=$(paths)
  ok "a purge leaves nothing" is "$(diff <(echo "$before") <(echo "$after"))" ""
  ok "nor its user" refuses root_run getent passwd wabridge
}

# ---- Odoo and its provider

odoo_ready() { # SERIES
  local seed store; seed=$(SERIES=$1 odoo_seed_file base); store=$ROOT/var/lib/odoo/filestore
  root_run setpriv --reuid=postgres --regid=postgres --init-groups env -C / sh -ec 'createuser --createdb odoo; createdb -O odoo -T template0 --lc-collate C acme' || return 1
  cp "$seed.dump" "$ROOT/var/lib/odoo/base.dump"
  root_run setpriv --reuid=odoo --regid=odoo --clear-groups env -C / pg_restore -d acme -j2 --no-owner --exit-on-error /var/lib/odoo/base.dump || return 1
  mkdir -p "$store"; tar -C "$store" --transform 's,^[^/]*,acme,' -xf "$seed.tar"
  root_run chown -R odoo:odoo /var/lib/odoo
  root_run systemctl start odoo
}

# A certificate for the address that the README gives Odoo, of an authority that the machine trusts, as the provider would.
certificate() {
  mkdir -p "$ROOT/etc/nginx/wabridge-tls"
  root_run sh -ec 'cd /etc/nginx/wabridge-tls
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj "/CN=Example authority" -keyout ca.key -out ca.pem 2>/dev/null
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=odoo.example.com -keyout privkey.pem -out request.pem 2>/dev/null
    printf "subjectAltName=DNS:odoo.example.com,DNS:second.example.com,DNS:elsewhere.example.com\nbasicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth\n" >extensions
    openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 800 -extfile extensions -out leaf.pem 2>/dev/null
    cat leaf.pem ca.pem >fullchain.pem
    chmod 600 privkey.pem ca.key
    cp ca.pem /usr/local/share/ca-certificates/example.crt; update-ca-certificates >/dev/null'
}

WHAPI_SECRET=$(random_hex 24) WHAPI_PATH=$(random_hex 24) META_SECRET=$(random_hex 24) META_PATH=$(random_hex 24)

accounts_ready() {
  cat >"$ROOT/etc/odoo/simulator.json" <<J
{"accounts": [{"provider": "whapi", "token": "token-of-whapi", "channel_id": "HERON-K42QX", "phone": "447700900999", "name": "Shop"},
 {"provider": "meta", "token": "token-of-meta", "channel_id": "206543210987654", "phone": "447700900998", "name": "Service", "settings": {"app_secret": "$META_SECRET"}}]}
J
  cat >"$ROOT/etc/odoo/accounts.json" <<J
{"accounts": [{"name": "Shop", "provider": "whapi", "channel_id": "HERON-K42QX", "secrets": {"token": "token-of-whapi", "webhook_secret": "$WHAPI_SECRET", "webhook_token": "$WHAPI_PATH"}},
 {"name": "Service", "provider": "meta", "channel_id": "206543210987654", "secrets": {"token": "token-of-meta", "app_secret": "$META_SECRET", "verify_token": "heron", "webhook_token": "$META_PATH"}}]}
J
  cp "$CHECKOUT/tests/deploy/files/accounts.py" "$ROOT/etc/odoo/"
  root_run systemctl start simulator
  root_run sh -c 'odoo-in-root shell -c /etc/odoo/odoo.conf -d acme --no-http --max-cron-threads=0 --workers=0 --log-level=warn </etc/odoo/accounts.py'
}

# ---- calls

rpc() { root_run runuser -u wabridge -- wabridge rpc "$@"; }
message() { root_sql acme "select status from whatsapp_message where content = '$1' order by id limit 1"; }
sent_text() { # TEXT NUMBER : says what becomes of it
  local account uid
  account=$(root_sql acme "select id from whatsapp_configuration where provider = 'whapi'") uid=$(root_sql acme "select res_id from ir_model_data where module = 'base' and name = 'user_admin'")
  rpc message.send "{\"uid\": $uid, \"configuration_id\": $account, \"to\": \"$2\", \"type\": \"text\", \"text\": {\"body\": \"$1\"}}"
}
became() { says "^($2)\$" message "$1"; }      # became TEXT STATUSES

readme_install() { # SERIES
  local step file pid key value
  rm -rf "$REPORTS/deploy-readme"; readme_blocks "$REPORTS/deploy-readme"
  ok "the README builds the package as this test did" says '^bash deploy/deb\.sh$' cat "$REPORTS/deploy-readme/01-1.sh"
  mkdir -p "$ROOT/home/admin/target/deb"; cp "$DEB" "$ROOT/home/admin/target/deb/"
  certificate
  for step in 2 3 4 5 6 7 8; do readme_step $step; done
  # the table of step 8, which is typed into Odoo
  while read -r key value; do
    root_sql acme "insert into ir_config_parameter (key, value) values ('$key', '$value') on conflict (key) do update set value = excluded.value" || return 1
  done < <(readme_parameters)
  ok "the README names the public address" is "$(root_sql acme "select value from ir_config_parameter where key = 'whatsapp_integration.public_url'")" https://odoo.example.com
  root_run systemctl restart odoo
  # step 9, in somebody's nginx that knows Odoo alone
  { echo 'server { listen 443 ssl; server_name odoo.example.com; ssl_certificate /etc/nginx/wabridge-tls/fullchain.pem; ssl_certificate_key /etc/nginx/wabridge-tls/privkey.pem;'
    echo 'location / { proxy_pass http://127.0.0.1:8069; proxy_set_header Host $host; }'; cat "$REPORTS/deploy-readme/09-1.nginx"; echo '}'; } >"$ROOT/etc/nginx/conf.d/odoo.conf"
  ok "nginx likes the README's lines" root_run nginx -t
  root_run systemctl restart nginx
  eventually root_run curl -fsS -o /dev/null https://odoo.example.com/web/login
  ok "step 10: accounts, credentials, test, webhook" says '^account [0-9]+ meta' accounts_ready
  readme_step 11
}

# Under systemd's rules: what the unit promises is so.
under_systemd() {
  local pid; pid=$(root_run systemctl show -P MainPID wabridge)
  ok "systemd was told that it is ready" says 'ActiveState=active' root_run systemctl show wabridge -p ActiveState -p StatusText
  ok "it has no privileges and gets none" says '^CapEff:.0+ NoNewPrivs:.1 Seccomp:.2 $' root_run sh -c "grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/$pid/status | tr '\n' ' '"
  ok "the file system is read-only for it" refuses root_run nsenter -t "$pid" -m -r -w touch /etc/wabridge/x
  ok "its own folder is not" root_run nsenter -t "$pid" -m -r -w sh -c 'touch /var/lib/wabridge/x && rm /var/lib/wabridge/x'
  ok "the health check of containers says so too" env -i PATH="$PATH" nsenter -t "$ROOT_PID" -n bash "$CHECKOUT/deploy/container/healthcheck.sh"
  ok "a text is sent" says '"accepted"|"id"' sent_text "from the package" +447700900803
  # the provider calls https://odoo.example.com, through nginx, with its own signature
  ok "statuses come back through nginx" eventually became "from the package" "delivered|read"
  ok "and so does the answer" eventually became "Echo: from the package" "received|delivered|read"
}

# Keys that systemd hands over, from the package's example.
credentials() {
  root_run sh -ec 'mkdir -p /etc/systemd/system/wabridge.service.d
    cp /usr/share/doc/wabridge/examples/credentials.conf /etc/systemd/system/wabridge.service.d/
    chown root:root /etc/wabridge/acme.rpc /etc/wabridge/acme.seal; chmod 600 /etc/wabridge/acme.rpc /etc/wabridge/acme.seal
    sed -i "s#\"/etc/wabridge/acme\.\(rpc\|seal\)\"#\"credential:acme.\1\"#" /etc/wabridge/wabridge.toml
    systemctl daemon-reload; systemctl restart wabridge'
  ok "with keys that only root can read it is ready" root_run curl -fsS -o /dev/null http://127.0.0.1:8471/health/ready
  ok "its user cannot read them from disk" refuses root_run runuser -u wabridge -- cat /etc/wabridge/acme.seal
  root_run sh -ec 'rm -r /etc/systemd/system/wabridge.service.d
    chgrp wabridge /etc/wabridge/acme.rpc /etc/wabridge/acme.seal; chmod 640 /etc/wabridge/acme.rpc /etc/wabridge/acme.seal
    sed -i "s#\"credential:acme\.\(rpc\|seal\)\"#\"/etc/wabridge/acme.\1\"#" /etc/wabridge/wabridge.toml
    systemctl daemon-reload; systemctl restart wabridge'
}

upgrade_and_removal() {
  local before pid
  before=$(root_run systemctl show -P MainPID wabridge)
  cp "$DEB_NEXT" "$ROOT/home/admin/next.deb"
  root_run sh -c 'mv /etc/wabridge/acme.rpc /etc/wabridge/acme.away'
  root_run dpkg -i /home/admin/next.deb || return 1
  ok "with settings that cannot be used an upgrade leaves the old program running" is "$(root_run systemctl show -P MainPID wabridge)" "$before"
  ok "which goes on serving" root_run curl -fsS -o /dev/null http://127.0.0.1:8471/health/ready
  root_run sh -c 'mv /etc/wabridge/acme.away /etc/wabridge/acme.rpc'
  root_run dpkg -i /home/admin/next.deb || return 1
  pid=$(root_run systemctl show -P MainPID wabridge)
  ok "else it makes the tables of the new version and restarts" refuses is "$pid" "$before"
  ok "the settings are as they were" root_run grep -q '^odoo_key = "odoo-acme"' /etc/wabridge/wabridge.toml
  ok "the new program is ready" eventually root_run curl -fsS -o /dev/null http://127.0.0.1:8471/health/ready
  root_run systemctl stop wabridge
  ok "SIGTERM ends it well" is "$(root_run systemctl show -p Result -p ExecMainStatus wabridge | sort | paste -sd" ")" "ExecMainStatus=0 Result=success"
  root_run systemctl start wabridge
  root_run apt-get remove -y -q wabridge || return 1
  ok "removed, nothing runs" refuses root_run pgrep -u wabridge
  ok "settings and files stay" root_run test -s /etc/wabridge/wabridge.toml -a -d /var/lib/wabridge
  root_run dpkg -i /home/admin/next.deb || return 1
  ok "installed again, what was enabled starts" eventually root_run curl -fsS -o /dev/null http://127.0.0.1:8471/health/ready
  root_run apt-get purge -y -q wabridge || return 1
  ok "a purge takes settings, files and user" root_run sh -c '! getent passwd wabridge && test ! -e /etc/wabridge/wabridge.toml -a ! -e /var/lib/wabridge -a ! -e /etc/systemd/system/multi-user.target.wants/wabridge.service'
  ok "keys stay, root's alone" is "$(root_run stat -c '%a %U:%G' /etc/wabridge/acme.seal /etc/wabridge/acme.rpc | sort -u)" "600 root:root"
  ok "Odoo's stay Odoo's" is "$(root_run stat -c %U /etc/wabridge/odoo.ini)" odoo
}
