# shellcheck shell=bash
# What the scripts say. Lines carry the seconds since the start; they go to descriptor 3, which is the terminal also
# where a step's own output goes to a log. Every process that outlives the script is started without it (process.sh).

SAY_T0=${SAY_T0:-$EPOCHSECONDS}
export SAY_T0
{ : >&3; } 2>/dev/null || exec 3>&1

say() { printf '[%4d s] %s\n' $((EPOCHSECONDS - SAY_T0)) "$*" >&3; }

# The only way out with an error: one line, the cause and the cure. 99 tells a waiting shell that it was said.
fail() { printf 'error: %s\n' "$*" >&3; [ "$BASHPID" = $$ ] || exit 99; exit 1; }

# tail_of LOG [LINES] : the end of a log, indented, so that the cause is on the screen
tail_of() { [ ! -s "$1" ] || { printf '  --- %s\n' "$1"; tail -n "${2:-15}" "$1" | cut -c1-300 | sed 's/^/  | /'; } >&3; }

# pause SECONDS : a sleep without a process of its own, so that killing the shell leaves nothing behind
pause() {
  local fifo silence
  fifo=$(mktemp -u) && mkfifo -m 600 "$fifo" && exec {silence}<>"$fifo" && rm -f "$fifo"
  read -rt "$1" -u "$silence" || :                # nothing ever comes
  exec {silence}>&-
}

# beat_start TEXT [LOG] : says each 20 s that TEXT is still going on, and LOG's last line, until beat_stop
BEAT=
beat_start() {
  local text=$1 log=${2:-/dev/null} t0=$EPOCHSECONDS
  (
    while :; do
      pause 20
      say "    … $text: $((EPOCHSECONDS - t0)) s so far  $(tail -n 1 "$log" | tr -d '\r' | cut -c1-60)"
    done
  ) </dev/null >/dev/null 2>&1 &
  BEAT=$!
}
beat_stop() { [ -z "$BEAT" ] || { kill -KILL "$BEAT" 2>/dev/null; wait "$BEAT" 2>/dev/null; BEAT=; } || :; }

# step LOG TEXT COMMAND... : says TEXT, runs COMMAND with its output in LOG; a failure shows the end of the log
step() {
  local log=$1 text=$2 t0=$EPOCHSECONDS rc=0; shift 2
  say "$text"
  : >"$log"
  beat_start "$text" "$log"
  "$@" >"$log" 2>&1 || rc=$?
  beat_stop
  [ "$rc" = 0 ] || { tail_of "$log"; fail "${STEP_HINT:-$text: failed after $((EPOCHSECONDS - t0)) s, exit status $rc; all of it is in $log}"; }
}

# Work that goes on beside other work: begin NAME LOG TEXT COMMAND..., later finish NAME.
declare -A JOB_PID=() JOB_LOG=() JOB_TEXT=()
begin() {
  local name=$1 log=$2 text=$3; shift 3
  say "$text (beside the next steps)"
  ( "$@" ) >"$log" 2>&1 &
  JOB_PID[$name]=$! JOB_LOG[$name]=$log JOB_TEXT[$name]=$text
}

finish() {
  local name=$1 rc=0
  [ -n "${JOB_PID[$name]:-}" ] || return 0
  beat_start "${JOB_TEXT[$name]}" "${JOB_LOG[$name]}"
  wait "${JOB_PID[$name]}" || rc=$?
  beat_stop
  unset "JOB_PID[$name]"
  [ "$rc" != 99 ] || exit 1
  [ "$rc" = 0 ] || { tail_of "${JOB_LOG[$name]}"; fail "${JOB_TEXT[$name]}: failed, exit status $rc; all of it is in ${JOB_LOG[$name]}"; }
}

# Ends what begin started and nobody finished (an error or Ctrl-C elsewhere), children included.
drop_jobs() {
  beat_stop
  local name child=()
  for name in "${!JOB_PID[@]}"; do
    read -ra child 2>/dev/null <"/proc/${JOB_PID[$name]}/task/${JOB_PID[$name]}/children" || :
    [ ${#child[@]} = 0 ] || kill "${child[@]}" 2>/dev/null || :
    kill "${JOB_PID[$name]}" 2>/dev/null || :
    unset "JOB_PID[$name]"
  done
}
