# shellcheck shell=bash disable=SC2154
# The Rust tests, under cargo-nextest where it is there and under plain cargo where it is not.

rust_sections() {
  export WABRIDGE_TEST_PGBIN=$PGBIN
  section rust-build "build of the Rust tests" 3600 rust_cargo test --locked --workspace --no-run
  if as_builder "$CARGO" nextest --version >/dev/null 2>&1; then
    section rust "Rust tests (nextest)" 2400 rust_cargo nextest run --locked --workspace --no-fail-fast
    section rust-docs "examples in the Rust documentation" 900 rust_cargo test --locked --workspace --doc
  else
    section rust "Rust tests" 2400 rust_plain
  fi
  section bench "the bench, once round for correctness" 600 rust_cargo run --quiet --locked -p wabridge-bench -- ingest --smoke
  section bench-send "the bench of sends, once round for correctness" 600 rust_cargo run --quiet --locked -p wabridge-bench -- send --smoke
  section bench-sync "the bench of synchronisation, once round for correctness" 600 rust_cargo run --quiet --locked -p wabridge-bench -- sync --smoke
  section bench-dashboard "the bench of dashboards, once round for correctness" 600 rust_cargo run --quiet --locked -p wabridge-bench -- dashboard --smoke
  section soak "the long run, shortened" 300 rust_cargo run --quiet --locked -p wabridge-bench -- soak --smoke
}

rust_cargo() { cd "$CHECKOUT" && as_builder env WABRIDGE_TEST_PGBIN="$PGBIN" "$CARGO" "$@"; }

# cargo counts by binary: the sum is what the table shows, and no test at all is a failure
rust_plain() {
  local out rc=0; out=$(mktemp)
  rust_cargo test --locked --workspace --no-fail-fast 2>&1 | tee "$out" || rc=1
  awk '/^test result:/ {run += $4 + $6; passed += $4; failed += $6} END {printf "%d tests run: %d passed, %d failed\n", run, passed, failed; exit run == 0}' "$out" || rc=1
  rm -f "$out"
  return $rc
}
