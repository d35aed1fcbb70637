# shellcheck shell=bash disable=SC2016
# Processes that outlive the script: started in a session of their own, remembered by pid and start time in $RUN, so that
# only what was started here is ever ended. Logs go to $LOGS. Needs say.sh.

process_started_at() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | awk '$1 != "Z" {print $20}'; }

# process_pid NAME : prints the pid while that very process lives
process_pid() {
  local pid at
  read -r pid at 2>/dev/null <"$RUN/$1.pid" || return 1
  [ -n "$at" ] && [ "$(process_started_at "$pid")" = "$at" ] && echo "$pid"
}

# process_start NAME COMMAND... : COMMAND may be a function that execs setsid
process_start() {
  local name=$1 pid; shift
  printf '\n=== %s started %s\n' "$name" "$(date -u +%FT%TZ)" >>"$LOGS/$name.log"
  # a session of its own, and none of our descriptors, so that a caller waiting for our output is not kept waiting
  ( exec 3>&- 8>&- 9>&-; process_exec "$@" ) </dev/null >>"$LOGS/$name.log" 2>&1 &
  pid=$!
  sleep 0.1
  echo "$pid $(process_started_at $pid)" >"$RUN/$name.pid"
}

process_exec() { if [ "$(type -t "$1")" = function ]; then "$@"; else exec setsid "$@"; fi; }

# process_wait NAME SECONDS COMMAND... : until COMMAND succeeds; says the cause when the process ends or the time is over
process_wait() {
  local name=$1 limit=$((SECONDS + $2)) text=$2; shift 2
  until "$@" >/dev/null 2>&1; do
    process_pid "$name" >/dev/null || { tail_of "$LOGS/$name.log"; fail "$name ended at its start: $(process_cause "$name")"; }
    [ $SECONDS -lt $limit ] || { tail_of "$LOGS/$name.log"; fail "$name does not answer within $text s: $(process_cause "$name")"; }
    sleep 0.2
  done
}

# The line of its log that most likely names the cause.
process_cause() {
  local line; line=$(sed -n '/^=== /h;/^=== /!H;${x;p}' "$LOGS/$1.log" | grep -iE 'error|fatal|panic|cannot|refused|in use' | tail -1 | cut -c1-240)
  echo "${line:-see $LOGS/$1.log}"
}

# process_stop NAME SIGNAL SECONDS : asks, waits, then insists
process_stop() {
  local name=$1 pid i
  pid=$(process_pid "$name") || { rm -f "$RUN/$name.pid"; return 0; }
  kill "-$2" "$pid" 2>/dev/null || :
  for ((i = 0; i < $3 * 10; i++)); do process_pid "$name" >/dev/null || break; sleep 0.1; done
  ! process_pid "$name" >/dev/null || { say "    $name did not stop within $3 s: killed"; kill -KILL "$pid" 2>/dev/null || :; sleep 0.3; }
  rm -f "$RUN/$name.pid"
}

port_taken() { (exec 7<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# port_free VARIABLE : fails when something else listens on the port that VARIABLE holds
port_free() { ! port_taken "${!1}" || fail "port ${!1} is taken by another program: stop it, or choose another one with $1=NUMBER"; }
