#!/usr/bin/env bash
# Scales processes of a function service by what jetfn's /metrics says, and by
# nothing else. It is the formula of docs/autoscaling.md, for trying it out
# without Kubernetes.
#
#   autoscale.sh METRICS_URL FUNCTION COMMAND...
#
# COMMAND is one process of the service. From the environment: MIN and MAX
# processes (1 and 4), EVERY seconds (1), DRAIN seconds in which a backlog is to
# be worked off (10), PER calls at once that a process does well (1), HOLD looks
# that have to ask for fewer before one process ends (5).
set -euo pipefail

metrics=$1 function=$2
shift 2
namespace=${function%%/*} type=${function#*/}
min=${MIN:-1} max=${MAX:-4} every=${EVERY:-1} drain=${DRAIN:-10} per=${PER:-1} hold=${HOLD:-5}
pids=() calm=0
trap 'for p in "${pids[@]}"; do kill "$p" 2>/dev/null || true; done; wait' EXIT

# value NAME sums a metric of the function over all else.
value() {
  awk -v name="$1" -v ns="namespace=\"$namespace\"" -v t="type=\"$type\"" '
    index($1, name "{") == 1 && index($1, ns) && index($1, t) { sum += $2 } END { printf "%.3f\n", sum }' <<<"$scrape"
}

look() {
  scrape=$(curl -sf --max-time 5 "$metrics") || return 1
  in=$(value jetfn_functions_in)
  done=$(value jetfn_functions_endToEndLatency_count)
  busy=$(value jetfn_functions_remoteInvocationLatency_sum)
  backlog=$(value jetfn_functions_numBacklog)
  inflight=$(value jetfn_functions_inflightAsyncOps)
}

start() { "${@}" & pids+=($!); }

for ((i = 0; i < min; i++)); do start "$@"; done
until look; do sleep "$every"; done
while :; do
  before=$in before_done=$done before_busy=$busy
  sleep "$every"
  look || continue
  # Calls at once that are needed: messages a second, and the share of the
  # backlog, times the seconds that each message takes of a call.
  want=$(awk -v in_="$in" -v b="$before" -v d="$done" -v bd="$before_done" -v s="$busy" -v bs="$before_busy" \
    -v backlog="$backlog" -v inflight="$inflight" -v every="$every" -v drain="$drain" -v per="$per" -v now="${#pids[@]}" -v min="$min" -v max="$max" '
    BEGIN {
      handled = d - bd
      # Of calls that wait for each other no more than one a process counts.
      seconds = handled > 0 ? (s - bs) / 1000 / handled : 0
      limit = handled > 0 ? now * per * every / handled : 0
      if (limit > 0 && seconds > limit) seconds = limit
      need = ((in_ - b) / every + backlog / drain) * seconds / per
      if (handled <= 0 && backlog + inflight > 0) need = now + 1   # nothing comes out: more may help
      n = int(need); if (n < need) n++
      if (n < min) n = min
      if (n > max) n = max
      print n
    }')
  echo "backlog ${backlog%.*} in flight ${inflight%.*} processes ${#pids[@]} wanted $want"
  if ((want > ${#pids[@]})); then
    calm=0
    while ((want > ${#pids[@]})); do start "$@"; done
  elif ((want < ${#pids[@]})); then
    calm=$((calm + 1))
    if ((calm >= hold)); then
      kill "${pids[-1]}" && unset 'pids[-1]'
      calm=0
    fi
  else
    calm=0
  fi
done
