# shellcheck shell=bash disable=SC2016,SC2154
# A real Odoo without containers: apt resolves the dependency closure of another Debian release against an empty dpkg
# status, downloads it, and the packages are only unpacked (their scripts never run) into <checkout>/target/odoo/<series>.
# Nothing is ever mounted outside a private mount namespace, so nothing needs to be unmounted and rm -rf stays harmless.
# Needs CHECKOUT, PGBIN and say.sh.

# shellcheck source=/dev/null
. "$CHECKOUT/deploy/lib/odoo_packages.sh"
# shellcheck source=/dev/null
. "$CHECKOUT/deploy/lib/odoo_pdf.sh"

ODOO_UID=64814                                   # the unprivileged user Odoo runs as, unknown to the machine
odoo_root() { echo "$CHECKOUT/target/odoo/$1"; }

# The stamp a finished root of SERIES carries: another list of packages is another root.
odoo_root_stamp() {
  local version=ODOO_$1_VERSION
  { cat "$CHECKOUT/deploy/lib/odoo_packages.sh"; echo "${!version}"; } | sha256sum | cut -c1-16
}

odoo_root_ready() { [ "$(cat "$(odoo_root "$1")/.wabridge-ready" 2>/dev/null)" = "$(odoo_root_stamp "$1")" ]; }

# odoo_enter ROOT ADDONS DATA COMMAND... : replaces this shell by COMMAND, run as ODOO_UID inside ROOT.
# ADDONS appears read-only as /mnt/addons, DATA as /var/lib/odoo; "" leaves one out. ODOO_ENV holds more variables,
# ODOO_PREFIX a command to run it with.
odoo_enter() {
  exec ${ODOO_PREFIX[@]+"${ODOO_PREFIX[@]}"} unshare --mount --propagation unchanged /bin/sh -c '
    root=$1 addons=$2 data=$3 uid=$4; shift 4
    # (in a chroot / is no mount point: then the root becomes one, which odoo_leave takes back)
    mount --make-rprivate / 2>/dev/null || { mount --bind "$root" "$root" && mount --make-rprivate "$root"; } || exit 71
    mount --rbind /dev "$root/dev" && mount -t proc proc "$root/proc" || exit 71
    [ -z "$addons" ] || { mount --bind "$addons" "$root/mnt/addons" && mount -o remount,ro,bind "$root/mnt/addons"; } || exit 71
    [ -z "$data" ] || mount --bind "$data" "$root/var/lib/odoo" || exit 71
    cd / && exec chroot --userspec="$uid:$uid" --groups= "$root" /usr/bin/env -i PATH=/usr/bin:/bin HOME=/var/lib/odoo LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 "$@"
  ' odoo_enter "$1" "$2" "$3" "${ODOO_ENTER_UID:-$ODOO_UID}" ${ODOO_ENV[@]+"${ODOO_ENV[@]}"} "${@:4}"
}

# Where the machine itself is a chroot below a shared mount, the root's own mount point is seen outside: taken back here.
odoo_leave() { while mountpoint -q "$(odoo_root "$1")"; do umount "$(odoo_root "$1")" 2>/dev/null || break; done; }

# The mirror of the machine's main archive, from its own apt configuration.
odoo_mirror() {
  apt-get indextargets --format '$(REPO_URI)|$(ORIGIN)|$(LABEL)' 'Created-By: Packages' 2>/dev/null |
    awk -F'|' '$2=="Debian" && $3=="Debian" {print $1; exit}'
}

# odoo_apt FOLDER SUITE... : a private apt with an empty dpkg status; used through APT_CONFIG=FOLDER/apt.conf
odoo_apt() {
  local dir=$1 keyring=/usr/share/keyrings/debian-archive-keyring.gpg mirror suite; shift
  [ -n "$(ls /var/lib/apt/lists/*Packages* 2>/dev/null)" ] || packages_apt "$dir.update.log" update -qq || :
  mirror=${DEBIAN_ARCHIVE_MIRROR:-$(odoo_mirror)}
  [ -n "$mirror" ] || fail "no Debian archive in this machine's apt configuration: name one with DEBIAN_ARCHIVE_MIRROR=URL"
  [ -e "$keyring" ] || keyring=${keyring%.gpg}.pgp
  [ -e "$keyring" ] || fail "Debian's archive keys are missing: apt-get install debian-archive-keyring"
  mkdir -p "$dir"/{lists/partial,archives/partial,prefs}; : >"$dir/status"
  for suite; do echo "deb [signed-by=$keyring] $mirror $suite main"; done >"$dir/sources.list"
  cat >"$dir/apt.conf" <<C
Dir::Etc::SourceList "$dir/sources.list"; Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null"; Dir::Etc::PreferencesParts "$dir/prefs";
Dir::State "$dir"; Dir::State::Lists "$dir/lists"; Dir::State::status "$dir/status";
Dir::Cache "$dir"; Dir::Cache::archives "$dir/archives";
// the archived release never changes again, and of the moving one exactly one version is taken
Acquire::Check-Valid-Until "false";
APT::Install-Recommends "false"; Acquire::Languages "none"; Acquire::Retries "3"; APT::Sandbox::User "root";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false"; Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
C
  APT_CONFIG=$dir/apt.conf apt-get update -qq -o APT::Update::Error-Mode=any >"$dir/update.log" 2>&1 </dev/null && return 0
  tail -5 "$dir/update.log"
  for suite; do
    ! grep -qE "NO_PUBKEY|EXPKEYSIG|KEYEXPIRED|[Mm]issing key|not signed" <(grep -E "[ /]${suite}([ /_]|$)" "$dir/update.log") ||
      fail "release $suite is signed with a key this machine does not know: apt-get install --only-upgrade debian-archive-keyring, then start again"
    ! grep -qE "404|does not have a Release file" <(grep -E "[ /]${suite}([ /_]|$)" "$dir/update.log") ||
      fail "this machine's mirror has no release $suite (Odoo comes from it): name one that has it with DEBIAN_ARCHIVE_MIRROR=URL"
  done
  fail "the package lists of $* cannot be read: $(grep -E '^E:' "$dir/update.log" | head -1)"
}

# Downloads what SERIES needs into FOLDER/archives.
odoo_download() {
  local series=$1 dir=$2 package=ODOO_$1_PACKAGE version=ODOO_$1_VERSION suite=ODOO_$1_SUITE from=ODOO_$1_DEPENDS_SUITE depends=ODOO_$1_DEPENDS
  local has gone suites=("${!from}")
  if [ "${!suite}" != "${!from}" ]; then
    # from the other suite only the odoo package itself, which is fetched by name and version below
    suites+=("${!suite}"); mkdir -p "$dir/prefs"
    printf 'Package: *\nPin: release n=%s\nPin-Priority: -1\n' "${!suite}" >"$dir/prefs/other.pref"
  fi
  odoo_apt "$dir" "${suites[@]}"
  export APT_CONFIG=$dir/apt.conf DEBIAN_FRONTEND=noninteractive
  has=$(apt-cache madison "${!package}" | awk -F'|' '{gsub(/ /, "", $2); print $2}')
  grep -qxF -- "${!version}" <<<"$has" ||
    fail "release ${!suite} on this machine's mirror no longer has ${!package} ${!version} (it has: ${has:-none}): set DEBIAN_ARCHIVE_MIRROR=URL, or ODOO_${series}_VERSION=VERSION"
  for gone in ${!depends}; do
    [ -n "$(apt-cache --no-all-versions show "$gone" 2>/dev/null)" ] || apt-cache showpkg "$gone" 2>/dev/null | grep -A1 '^Reverse Provides' | grep -q . ||
      fail "release ${!from} on this machine's mirror no longer has $gone"
  done
  # shellcheck disable=SC2086
  apt-get install -y -q --download-only --no-install-recommends ${!depends} </dev/null >"$dir/download.log" 2>&1 || {
    tail -5 "$dir/download.log"; gone=$(grep -oE '[a-z0-9.+-]+_[^ /]*\.deb' <(grep -E '^(E|Err)' "$dir/download.log") | head -1)
    fail "release ${!from} on this machine's mirror no longer has ${gone:-one of the packages of Odoo $series}: $(grep -E '^E:' "$dir/download.log" | head -1)"; }
  (cd "$dir/archives" && apt-get download -q "${!package}=${!version}" </dev/null >>"$dir/download.log" 2>&1) ||
    fail "release ${!suite} on this machine's mirror no longer has ${!package} ${!version}: $(grep -E '^E:' "$dir/download.log" | head -1)"
  unset APT_CONFIG
}

# Unpacks FOLDER/archives into ROOT, without docs, translations and localisation modules.
odoo_unpack() {
  local dir=$1 root=$2 link python
  mkdir -p "$root"/{etc/ssl/certs,tmp,proc,dev,mnt/addons,var/lib/odoo,usr/bin,usr/sbin,usr/lib,usr/lib64}
  for link in bin sbin lib lib64; do ln -sfn "usr/$link" "$root/$link"; done
  chmod 1777 "$root/tmp"
  find "$dir/archives" -name '*.deb' -print0 | xargs -0 -P "$(nproc)" -I{} sh -c '
    dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --keep-directory-symlink --no-same-owner \
      --exclude="./usr/share/doc/*" --exclude="./usr/share/man/*" --exclude="./usr/share/locale/*" \
      --exclude="./usr/share/info/*" --exclude="*/odoo/addons/l10n_*" --exclude="*/odoo/addons/*/i18n/*" \
      --exclude="*/odoo/addons/*/i18n_extra/*" || { echo "cannot unpack $1"; exit 255; }' _ {} "$root" || fail "unpacking the packages of Odoo failed (disk full?)"
  printf 'root:x:0:0:root:/root:/bin/sh\nodoo:x:%s:%s:odoo:/var/lib/odoo:/bin/sh\n' $ODOO_UID $ODOO_UID >"$root/etc/passwd"
  printf 'root:x:0:\nodoo:x:%s:\n' $ODOO_UID >"$root/etc/group"
  printf '127.0.0.1 localhost\n' >"$root/etc/hosts"
  : >"$root/etc/resolv.conf"
  cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/" 2>/dev/null || :
  chown -R $ODOO_UID:$ODOO_UID "$root/var/lib/odoo"
  python=$(cd "$root/usr/bin" && find . -name 'python3.[0-9]*' -printf '%f\n' | grep -xE 'python3\.[0-9]+' | head -1)
  [ -e "$root/usr/bin/python3" ] || ln -s "$python" "$root/usr/bin/python3"
}

# Byte-compiles once, else each start of an unprivileged server compiles everything again.
odoo_compile() {
  local root=$1 packages=/usr/lib/python3/dist-packages
  local unused='/odoo/addons/(?!base|web|bus|mail|contacts|auth_|iap|snailmail|sms|phone|resource|http_|portal|digest|html_|privacy|uom|rpc|api_)'
  # (no -j: multiprocessing wants more than this root has; the two halves run side by side instead)
  ( cd "$root$packages" && find . -mindepth 1 -maxdepth 1 ! -name odoo -printf '%f\n' ) |
    ( ODOO_ENTER_UID=0; odoo_enter "$root" "" "" /usr/bin/env -C $packages /usr/bin/python3 -W ignore -m compileall -q -i - >/dev/null 2>&1 ) &
  # files that do not compile are other Python versions' own: not a failure
  ( ODOO_ENTER_UID=0; odoo_enter "$root" "" "" /usr/bin/python3 -W ignore -m compileall -q $packages/odoo -x "$unused" >/dev/null 2>&1 ) || :
  wait $! || :
}

# pg_dump, pg_restore and psql of the machine's own PostgreSQL with their loader and libraries: Odoo's database manager
# needs them, and they may not be older than the server.
odoo_pgtools() {
  local root=$1 dir=$1/opt/pgtools tool loader wanted; wanted=$("$PGBIN/postgres" --version)
  [ "$(cat "$dir/version" 2>/dev/null)" != "$wanted" ] || return 0
  rm -rf "$dir"; mkdir -p "$dir/lib" "$dir/bin"
  loader=$(find /lib64 /lib /usr/lib -follow -maxdepth 2 -name 'ld-linux-*.so.*' 2>/dev/null | head -1)
  cp -L "$loader" "$dir/lib/ld.so"
  for tool in pg_dump pg_restore psql; do
    cp -L "$PGBIN/$tool" "$dir/bin/"
    "$loader" --list "$PGBIN/$tool" | awk '$2=="=>" && $3 ~ /^\// {print $3}' | sort -u | xargs -I{} cp -nL {} "$dir/lib/"
    printf '#!/bin/sh\nexec /opt/pgtools/lib/ld.so --library-path /opt/pgtools/lib /opt/pgtools/bin/%s "$@"\n' $tool >"$root/usr/bin/$tool"
    chmod 755 "$root/usr/bin/$tool"
  done
  echo "$wanted" >"$dir/version"
}

# odoo_root_build SERIES : makes the root if it is missing, half built or of another package list
odoo_root_build() {
  local series=$1 root part dir t0=$SECONDS; root=$(odoo_root "$series"); part=$root.part dir=$root.apt
  mkdir -p "${root%/*}"
  exec 8>"$root.lock"; flock 8
  if ! odoo_root_ready "$series"; then
    rm -rf "$part" "$dir" "$root"
    mkdir -p "$dir"
    odoo_download "$series" "$dir"
    echo "downloaded $(find "$dir/archives" -name '*.deb' | wc -l) packages, $(du -sm "$dir/archives" | cut -f1) MB, $((SECONDS - t0)) s"
    odoo_unpack "$dir" "$part"
    odoo_compile "$part"
    rm -rf "$dir"
    mv "$part" "$root" || fail "cannot write $root"
    odoo_root_stamp "$series" >"$root/.wabridge-ready"
    echo "ready: $(du -smx "$root" | cut -f1) MB on disk, $((SECONDS - t0)) s in all"
  fi
  odoo_pgtools "$root"
  odoo_pdf "$root"
  exec 8>&-
}
