# shellcheck shell=bash disable=SC2154
# Formatting and lints.

lint_sections() {
  section fmt "formatting" 300 lint_cargo fmt --all --check
  section clippy "clippy, warnings are errors" 2400 lint_cargo clippy --locked --workspace --all-targets -- -D warnings
  if as_builder "$CARGO" deny --version >/dev/null 2>&1; then section deny "licences and advisories of the dependencies" 600 lint_cargo deny --offline check bans licenses sources
  else say "cargo-deny is not here: licences and bans of the dependencies are not checked"; fi
  section scripts "shell scripts parse" 60 lint_scripts
}

lint_cargo() { cd "$CHECKOUT" && as_builder "$CARGO" "$@"; }

# The linter where it is there, bash's own parser everywhere.
lint_scripts() {
  local file rc=0 files
  mapfile -t files < <(find "$CHECKOUT"/{deploy,tests} -name '*.sh' -not -path '*/node_modules/*'; echo "$CHECKOUT/.ci/run")
  for file in "${files[@]}"; do bash -n "$file" || rc=1; done
  if command -v shellcheck >/dev/null; then shellcheck --severity=warning "${files[@]}" || rc=1; else echo "shellcheck is not here: only parsed"; fi
  return $rc
}
