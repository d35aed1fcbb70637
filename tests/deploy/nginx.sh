# shellcheck shell=bash disable=SC2016,SC2154
# deploy/nginx in front of a real Odoo and a real daemon: TLS, names, limits, addresses. Needs root.sh and install.sh.

# web STATUS [CURL ARGUMENTS] ADDRESS : the answer's status, and its text in $REPORTS/deploy-answer.txt
web() {
  local wanted=$1 got; shift
  got=$(root_run curl -sS -m 60 -o /tmp/answer -w '%{http_code}' "$@") || { echo "curl: $got"; return 1; }
  root_run cat /tmp/answer >"$REPORTS/deploy-answer.txt" || return 1
  [ "$got" = "$wanted" ] || { echo "answered $got, not $wanted"; head -c 500 "$REPORTS/deploy-answer.txt"; return 1; }
}
answered() { grep -qE -- "$1" "$REPORTS/deploy-answer.txt"; }
other_answered() { ! answered "$1"; }

NGINX_HOOK=https://odoo.example.com/whatsapp/webhook

# A text at Meta's account, signed over its bytes; META_TEXT_ID names it.
meta_webhook() { # STATUS TEXT [CURL ARGUMENTS]
  local status=$1 signature; META_TEXT=$2; shift 2
  cat >"$ROOT/root/meta.json" <<J
{"object": "whatsapp_business_account", "entry": [{"id": "102290129340398", "changes": [{"field": "messages", "value": {"messaging_product": "whatsapp",
 "metadata": {"display_phone_number": "447700900998", "phone_number_id": "206543210987654"},
 "contacts": [{"profile": {"name": "Amira Osei"}, "wa_id": "447700900123"}],
 "messages": [{"from": "447700900123", "id": "wamid.$(random_hex 12)", "timestamp": "1765800001", "type": "text", "text": {"body": "$META_TEXT"}}]}}]}]}
J
  signature=$(root_run openssl dgst -sha256 -hmac "$META_SECRET" -r /root/meta.json | cut -d' ' -f1)
  web "$status" -H "X-Hub-Signature-256: sha256=$signature" -H 'Content-Type: application/json' --data-binary @/root/meta.json "$@" "$NGINX_HOOK/meta/$META_PATH"
}

# The example with this test's names: a second Odoo, which says who it is.
nginx_example() {
  rm -f "$ROOT/etc/nginx/conf.d/odoo.conf"
  root_run sh -ec 'cp /usr/share/doc/wabridge/examples/nginx/wabridge*.conf /etc/nginx/conf.d/
    cd /etc/nginx/conf.d; sed -i "s/^# \(upstream odoo_second\)/\1/; s/# shop.example.com /second.example.com /" wabridge-places.conf
    printf "server { listen 127.0.0.1:8169; location / { return 200 \"the second one, of \$http_x_forwarded_for\"; } }\n" >second.conf'
  ok "nginx takes the example" says 'test is successful' root_run nginx -t
  root_run systemctl restart nginx
}

nginx_checks() { # SERIES
  nginx_example
  mv "$ROOT/etc/nginx/conf.d/wabridge-places.conf" "$ROOT/root/places.conf"
  cp "$CHECKOUT/deploy/container/wabridge-places.conf" "$ROOT/etc/nginx/conf.d/"
  ok "and the places of the containers" says 'test is successful' root_run nginx -t
  mv "$ROOT/root/places.conf" "$ROOT/etc/nginx/conf.d/wabridge-places.conf"
  ok "Odoo answers under its name" web 200 https://odoo.example.com/web/login
  ok "with its login" answered 'name="login"'
  ok "another Odoo under its own" web 200 -H 'X-Forwarded-For: 203.0.113.9' https://second.example.com/web/login
  ok "which is told the address that nginx sees" answered '^the second one, of 127\.0\.0\.1$'
  ok "a name of nobody is refused" web 404 https://elsewhere.example.com/web/login
  ok "without TLS one is sent to TLS" web 301 http://odoo.example.com/web/login
  ok "but webhooks are not" web 404 -X POST http://odoo.example.com/whatsapp/webhook/meta/x
  ok "old TLS is refused" refuses root_run curl -sS -o /dev/null --tls-max 1.1 https://odoo.example.com/web/login
  ok "databases are not made from outside" web 403 --interface 127.0.0.2 https://odoo.example.com/web/database/manager
  if [ "$1" = 19 ]; then
    ok "open screens reach the port for them" eventually says 'HTTP/1.1 101' root_run curl -sS -i -m 5 --http1.1 -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Origin: https://odoo.example.com' \
      -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: d2FicmlkZ2Utd2FicmlkZw==' https://odoo.example.com/websocket
  else
    ok "open screens reach the port for them" web 200 -H 'Content-Type: application/json' --data '{"jsonrpc": "2.0", "method": "call", "params": {"partner_ids": []}}' https://odoo.example.com/longpolling/im_status
  fi

  ok "a signed webhook passes" meta_webhook 200 "through nginx"
  ok "and is taken by the daemon" answered '"accepted":1'
  ok "its text arrives in Odoo" eventually became "through nginx" "received|delivered|read"
  META_SECRET_KEPT=$META_SECRET META_SECRET=not-the-secret
  ok "one that is signed otherwise does not" meta_webhook 401 "forged"
  META_SECRET=$META_SECRET_KEPT
  root_run sh -c 'head -c 4500000 /dev/zero | tr "\0" " " >/root/large; cat /root/large /root/large >/root/larger'
  ok "a body beyond the daemon's limit is refused" web 413 --data-binary @/root/large "$NGINX_HOOK/whapi/$WHAPI_PATH"
  ok "by the daemon" answered '"too_large"'
  ok "one beyond nginx's too" web 413 --data-binary @/root/larger "$NGINX_HOOK/whapi/$WHAPI_PATH"
  ok "by nginx" answered '<center>nginx'

  ok "calls do not lead to the private listener" web 404 -X POST -H 'Content-Type: application/json' --data '{}' https://odoo.example.com/rpc
  ok "nor metrics" web 404 https://odoo.example.com/metrics
  ok "nor files" web 404 https://odoo.example.com/wabridge-media/health/live
  ok "nor dots" web 404 --path-as-is "$NGINX_HOOK/../../rpc"
  ok "nor does Odoo's wake route answer" web 404 -X POST https://odoo.example.com/whatsapp/bridge/wake

  # who may deliver, by the address that nginx saw
  root_run sed -i 's/^trusted_proxies = .*/&\nallowed_addresses = ["127.0.0.2"]/' /etc/wabridge/wabridge.toml
  root_run systemctl restart wabridge
  ok "an address that may deliver" meta_webhook 200 "from there" --interface 127.0.0.2
  ok "one that may not, whatever it says of itself" meta_webhook 401 "from elsewhere" --interface 127.0.0.3 -H 'X-Forwarded-For: 127.0.0.2'
  ok "nor without nginx" web 401 --interface 127.0.0.3 -H 'X-Forwarded-For: 127.0.0.2' --data-binary @/root/meta.json "http://127.0.0.1:8470/whatsapp/webhook/meta/$META_PATH"
  root_run sed -i '/^allowed_addresses/d' /etc/wabridge/wabridge.toml
  root_run systemctl restart wabridge

  # the limit itself, made small: four at once, then nothing for an hour
  root_run sed -i 's/rate=300r\/s/rate=1r\/m/; s/burst=600/burst=3/' /etc/nginx/conf.d/wabridge.conf
  root_run systemctl restart nginx
  for _ in 1 2 3 4; do ok "within the limit the daemon answers" web 401 --data '{}' "$NGINX_HOOK/custom/nobody"; done
  ok "beyond it nginx does" web 429 --data '{}' "$NGINX_HOOK/custom/nobody"
  ok "by itself" answered '<center>nginx'
  ok "other providers go on" web 401 --data '{}' "$NGINX_HOOK/wassenger/nobody"

  ok "nginx wrote of webhooks" root_run grep -q '/whatsapp/webhook/meta/\.\.\." 200' /var/log/nginx/wabridge.log
  ok "and no token" refuses root_run grep -rqE "$META_PATH|$WHAPI_PATH" /var/log/nginx
}
