# shellcheck shell=bash disable=SC2154,SC2034
# Sections of a test run: each is bounded in time, shown as it runs, kept in a log, and listed at the end.

SECTION_ROWS=() SECTION_FAILED=0 SECTION_RUNS=()

# section NAME TEXT LIMIT_S COMMAND... : runs COMMAND (or a function) to its end or to LIMIT_S; goes on after a failure
section() {
  local name=$1 text=$2 limit=$3 t0=$EPOCHSECONDS rc=0 log=$REPORTS/$1.log watchdog pid; shift 3
  say "── $text"
  ( set +e; "$@" ) > >(exec 9>&-; tee "$log" >&3) 2>&1 9>&- & pid=$!
  ( exec 3>&- 9>&-; pause "$limit"; section_kill "$pid"; pause 10; section_kill "$pid" KILL ) </dev/null >/dev/null 2>&1 & watchdog=$!
  SECTION_RUNS=("$pid" "$watchdog")
  wait "$pid" || rc=$?
  section_kill "$watchdog"; wait "$watchdog" 2>/dev/null || :
  SECTION_RUNS=()
  [ $((EPOCHSECONDS - t0)) -lt "$limit" ] || { echo "not done within $limit s: ended" | tee -a "$log" >&3; rc=124; }
  section_row "$name" "$rc" $((EPOCHSECONDS - t0)) "$(section_detail "$log")"
}

section_row() { # NAME STATUS SECONDS DETAIL
  local word=passed
  [ "$2" = 0 ] || { word=FAILED; SECTION_FAILED=$((SECTION_FAILED + 1)); }
  SECTION_ROWS+=("$(printf '%-18s %-7s %5d s  %s' "$1" "$word" "$3" "${4:-}")")
  say "── $1 $word in $3 s"
}

# What a section says about its tests in its own words, for the table.
section_detail() {
  { grep -aoE '[0-9]+ tests? run: .*|[0-9]+ failed, [0-9]+ error\(s\) of [0-9]+ tests|[0-9]+ checks in [0-9]+ files, [0-9]+ failed' "$1" || :; } | sed 's/\x1b\[[0-9;]*m//g' | tail -1 | cut -c1-70
}

# The process and everything below it.
section_kill() {
  local pid=$1 children child
  read -r children 2>/dev/null <"/proc/$pid/task/$pid/children" || :
  for child in $children; do section_kill "$child" "${2:-TERM}"; done
  kill "-${2:-TERM}" "$pid" 2>/dev/null || :
}

sections_table() {
  [ ${#SECTION_ROWS[@]} -gt 0 ] || return 1
  { printf '\n%-18s %-7s %7s  %s\n' section result time ''; printf '%s\n' "${SECTION_ROWS[@]}"
    [ "$SECTION_FAILED" = 0 ] && echo "all passed" || echo "$SECTION_FAILED failed; logs are in ${REPORTS#"$CHECKOUT"/}"; } >&3
  say "the end"
  [ "$SECTION_FAILED" = 0 ]
}
