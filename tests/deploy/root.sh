# shellcheck shell=bash disable=SC2016,SC2154
# A clean Debian with systemd as its first process, in namespaces of its own: no container engine, no port of the
# machine, no network but its loopback. Needs CHECKOUT, REPORTS and the libraries under deploy/lib.

DEPLOY=$CHECKOUT/target/deploy
CLEAN=$DEPLOY/clean                               # as mmdebstrap made it, never run
ROOT=$DEPLOY/root                                 # the copy that a run boots
CLEAN_RECIPE=1                                    # count up when clean_build makes it differently

# What somebody who installs the bridge has already, apart from Odoo.
clean_packages() { echo "systemd,sudo,adduser,ca-certificates,curl,openssl,nginx,postgresql,procps"; }
clean_stamp() { { echo "$CLEAN_RECIPE $(clean_packages)"; cat /etc/debian_version; } | sha256sum | cut -c1-16; }
clean_ready() { [ "$(cat "$CLEAN.stamp" 2>/dev/null)" = "$(clean_stamp)" ]; }

clean_build() {
  local keyring=/usr/share/keyrings/debian-archive-keyring.gpg mirror
  ! clean_ready || return 0
  [ -e "$keyring" ] || keyring=${keyring%.gpg}.pgp
  mirror=${DEBIAN_ARCHIVE_MIRROR:-$(odoo_mirror)}
  [ -n "$mirror" ] || fail "no Debian archive in this machine's apt configuration: name one with DEBIAN_ARCHIVE_MIRROR=URL"
  rm -rf "$CLEAN"; mkdir -p "$DEPLOY"
  # documents and translations are left out while it is made, not of what is installed into it later
  # shellcheck source=/dev/null
  mmdebstrap --quiet --variant=minbase --mode=root --keyring="$keyring" --include="$(clean_packages)" \
    --aptopt='Acquire::Check-Valid-Until "false"' --aptopt='Acquire::Retries "3"' --aptopt='APT::Install-Recommends "false"' \
    --dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook='rm -f "$1"/etc/dpkg/dpkg.cfg.d/99mmdebstrap "$1"/etc/resolv.conf "$1"/etc/nginx/sites-enabled/default' \
    "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$CLEAN" "$mirror" || return 1
  clean_stamp >"$CLEAN.stamp"
}

# A fresh copy with the people and the Odoo of the README's example: users, unit, command `odoo`.
root_make() {
  rm -rf "$ROOT"
  mkdir "$ROOT"
  # nothing under /usr is changed in place: links will do
  find "$CLEAN" -mindepth 1 -maxdepth 1 ! -name usr -exec cp -a -t "$ROOT" {} +
  cp -al "$CLEAN/usr" "$ROOT/"
  # what is written here need not outlive a power cut
  echo force-unsafe-io >"$ROOT/etc/dpkg/dpkg.cfg.d/test"
  printf 'fsync = off\nfull_page_writes = off\n' >"$(echo "$ROOT"/etc/postgresql/*/main/conf.d)/test.conf"
  mkdir -p "$ROOT"/{etc/odoo,opt/odoo-addons,opt/odoo-root,var/lib/odoo}
  cp "$CHECKOUT"/tests/deploy/files/odoo "$ROOT/usr/bin/odoo"
  cp "$CHECKOUT"/tests/deploy/files/odoo-in-root "$ROOT/usr/local/sbin/odoo-in-root"
  chmod 755 "$ROOT/usr/bin/odoo" "$ROOT/usr/local/sbin/odoo-in-root"
  cp "$CHECKOUT"/tests/deploy/files/{odoo,simulator}.service "$ROOT/etc/systemd/system/"
  cp "$CHECKOUT/tests/deploy/files/odoo.conf" "$ROOT/etc/odoo/"
  printf 'admin ALL=(ALL) NOPASSWD: ALL\nodoo ALL=(root) NOPASSWD: /usr/local/sbin/odoo-in-root\n' >"$ROOT/etc/sudoers.d/example"
  chmod 440 "$ROOT/etc/sudoers.d/example"
  printf '127.0.0.1 localhost example odoo.example.com second.example.com elsewhere.example.com odoo wabridge\n' >"$ROOT/etc/hosts"
  echo example >"$ROOT/etc/hostname"
  chroot "$ROOT" sh -ec '
    useradd --uid '"$ODOO_UID"' --home-dir /var/lib/odoo --shell /usr/sbin/nologin odoo
    useradd --create-home --shell /bin/bash admin
    chown odoo:odoo /var/lib/odoo
    systemctl --quiet mask systemd-udevd systemd-timesyncd systemd-networkd systemd-resolved getty.target apt-daily.timer apt-daily-upgrade.timer systemd-logind 2>/dev/null || :'
}

# Boots the copy, with Odoo of a series in it; root_run works in it from then on. Sets ROOT_PID, the first process as the
# machine sees it.
root_boot() { # SERIES
  local cgroups group unshared limit=$((SECONDS + 90)) state
  cgroups=$(findmnt -nt cgroup2 -o TARGET | head -1)
  [ -n "$cgroups" ] || { cgroups=$DEPLOY/cgroups; mkdir -p "$cgroups"; mount -t cgroup2 cgroup2 "$cgroups"; }
  group=$cgroups/wabridge-deploy-$$
  mkdir -p "$group"; echo "$group" >"$DEPLOY/cgroup"
  ( echo "$BASHPID" >"$group/cgroup.procs"
    exec 3>&- 8>&- 9>&-
    exec unshare --mount --propagation private --pid --fork --kill-child --uts --ipc --net --cgroup \
      bash "$CHECKOUT/tests/deploy/boot.sh" "$ROOT" "$(odoo_root "$1")" ) </dev/null >"$REPORTS/deploy-boot.log" 2>&1 &
  unshared=$!
  until read -r ROOT_PID _ 2>/dev/null <"/proc/$unshared/task/$unshared/children" || [ -n "${ROOT_PID:-}" ]; do
    kill -0 $unshared 2>/dev/null || { tail_of "$REPORTS/deploy-boot.log"; echo "the clean root does not boot"; return 1; }
    sleep 0.1
  done
  until state=$(root_run systemctl is-system-running 2>/dev/null) || [ "$state" = degraded ]; do
    kill -0 $unshared 2>/dev/null && [ $SECONDS -lt $limit ] || { tail_of "$REPORTS/deploy-boot.log" 40; echo "systemd does not come up: ${state:-nothing}"; return 1; }
    sleep 0.3
  done
  [ "$state" = running ] || root_run systemctl --no-pager --failed
}

root_halt() {
  local group; group=$(cat "$DEPLOY/cgroup" 2>/dev/null) || return 0
  # SIGRTMIN+3: power off; then whatever is left in its group
  [ -z "${ROOT_PID:-}" ] || kill -s RTMIN+3 "$ROOT_PID" 2>/dev/null || :
  for _ in {1..100}; do [ -n "${ROOT_PID:-}" ] && kill -0 "$ROOT_PID" 2>/dev/null || break; sleep 0.1; done
  [ ! -e "$group/cgroup.kill" ] || echo 1 >"$group/cgroup.kill" || :
  for _ in {1..50}; do find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || :; [ -d "$group" ] || break; sleep 0.1; done
  ! mountpoint -q "$DEPLOY/cgroups" || umount "$DEPLOY/cgroups"
  rm -f "$DEPLOY/cgroup"
}

# root_run COMMAND... : as root inside; root_admin: as the administrator with sudo, in his home
root_run() { nsenter -t "$ROOT_PID" -m -u -i -n -p -C -r -w env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 HOME=/root "$@"; }
root_admin() { root_run setpriv --reuid=admin --regid=admin --init-groups env -C /home/admin HOME=/home/admin USER=admin "$@"; }
root_sql() { root_run setpriv --reuid=postgres --regid=postgres --init-groups env -C / psql -X -q -A -t -v ON_ERROR_STOP=1 -d "$1" -c "$2"; }
