# shellcheck shell=bash
# Debian packages on the machine itself: installs only what is missing, and calls apt only then.
# The machine's own PostgreSQL clusters and its apt sources are never touched.

# packages_install LOG PACKAGE... : waits for other users of apt
packages_install() {
  local log=$1 try; shift
  [ -n "$(ls /var/lib/apt/lists/*Packages* 2>/dev/null)" ] || packages_apt "$log" update -qq || { tail_of "$log"; fail "apt-get update failed: $(packages_cause "$log")"; }
  for try in 1 2; do
    packages_apt "$log" install -y -qq --no-install-recommends "$@" && return 0
    # old lists name versions that the mirror has replaced since
    [ "$try" = 2 ] || packages_apt "$log" update -qq || break
  done
  tail_of "$log"; fail "cannot install $*: $(packages_cause "$log")"
}

packages_cause() { grep -E '^(E|W):' "$1" | tail -1 || :; }

packages_apt() {
  local log=$1 limit=$((SECONDS + 600)) said=; shift
  while :; do
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=60 -o Acquire::Retries=3 -o Dpkg::Options::=--force-confold "$@" </dev/null >"$log" 2>&1 3>&- && return 0
    grep -qE 'Could not get lock|Unable to acquire|Unable to lock' "$log" && [ $SECONDS -lt $limit ] || return 1
    [ -n "$said" ] || say "    another program is using apt: waiting (at most 10 min)"; said=1
    sleep 3
  done
}

# Packages a build and the scripts need and this machine lacks, one a line.
packages_missing_build() {
  command -v cc >/dev/null || echo gcc
  [ -e /usr/include/stdlib.h ] || echo libc6-dev
  command -v curl >/dev/null || echo curl
  [ -s /etc/ssl/certs/ca-certificates.crt ] || echo ca-certificates
  command -v mount >/dev/null || echo mount
}

# The newest PostgreSQL whose server programs are here. Sets PGBIN, empty when there is none.
packages_find_postgres() {
  local dir; PGBIN=${WABRIDGE_PGBIN:-}
  [ -z "$PGBIN" ] || return 0
  for dir in $(printf '%s\n' /usr/lib/postgresql/*/bin | sort -Vr); do
    if [ -x "$dir/initdb" ] && [ -x "$dir/postgres" ] && [ -x "$dir/psql" ] && [ -x "$dir/pg_dump" ]; then PGBIN=$dir; break; fi
  done
}

# Server programs without a cluster: the drop-in stands only while the package is configured.
packages_postgres() {
  local log=$1 major drop=/etc/postgresql-common/createcluster.d/wabridge-no-cluster.conf made=() rc=0 d
  # shellcheck source=/dev/null
  major=$(. /etc/os-release; [ "$VERSION_ID" = 12 ] && echo 15 || echo 17)
  for d in /etc/postgresql-common /etc/postgresql-common/createcluster.d; do [ -d $d ] || { mkdir $d; made=("$d" "${made[@]}"); }; done
  echo 'create_main_cluster = false' >$drop
  ( packages_install "$log" "postgresql-$major" "postgresql-client-$major" ) || rc=$?
  rm -f $drop
  for d in "${made[@]}"; do rmdir "$d" 2>/dev/null || :; done
  [ $rc = 0 ] || exit $rc
}

# Everything the demo needs on the machine. LOG is apt's output.
packages_demo() {
  local log=$1 missing
  mapfile -t missing < <(packages_missing_build)
  [ ${#missing[@]} = 0 ] || { say "installing ${missing[*]}"; packages_install "$log" "${missing[@]}"; }
  packages_find_postgres
  [ -n "$PGBIN" ] || { say "installing PostgreSQL's programs, without a cluster"; packages_postgres "$log"; packages_find_postgres; }
  [ -n "$PGBIN" ] || fail "PostgreSQL's server programs are not under /usr/lib/postgresql although installed: name their folder with WABRIDGE_PGBIN"
}

# The browser journeys: Chromium, node and npm, whichever are missing.
packages_browser() {
  local log=$1 missing=()
  command -v chromium >/dev/null || missing+=(chromium)
  command -v node >/dev/null || missing+=(nodejs)
  command -v npm >/dev/null || missing+=(npm)
  [ ${#missing[@]} = 0 ] || { say "installing ${missing[*]}"; packages_install "$log" "${missing[@]}"; }
}
