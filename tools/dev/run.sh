#!/usr/bin/env bash
# run.sh: a node on loopback with its data in ~/.cityhall/data, and an agent that feeds it this
# machine's figures; shows what arrived; until Ctrl-C. CITYHALL_HOME names another folder than
# ~/.cityhall.
set -euo pipefail
cd "$CH_ROOT"
. tools/dev/common.sh

need_packages "${BUILD_PACKAGES[@]}"
build_preset release | tail -1

bin=$CH_ROOT/build/release/bin
home=${CITYHALL_HOME:-$HOME/.cityhall}
mkdir -p "$home"
children=()
trap 'trap - INT TERM EXIT; kill "${children[@]}" 2>/dev/null || true; wait || true' EXIT
trap 'echo; echo "run: stopping; the data stays in $home/data"; exit 0' INT TERM

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

"$bin/cityhall" --data "$home/data" 2>"$home/node.log" &
node=$!
children+=("$node")

# A ping waits for the answer itself, so each round is as long as chq's own timeout. Another node on
# the ports would answer too: ours must live.
ready=
for _ in 1 2 3 4 5 6 7 8 9 10; do
    if "$bin/chq" ping >/dev/null 2>&1; then ready=1 && break; fi
    kill -0 "$node" 2>/dev/null || break
done
if [ -z "$ready" ] || ! kill -0 "$node" 2>/dev/null; then
    echo "run: the node did not start; the end of its log, $home/node.log:" >&2
    tail -5 "$home/node.log" >&2
    exit 1
fi
echo "run: the node is up; data in $home/data, log in $home/node.log"
echo "run: feeding it this machine's metrics ..."
"$bin/cityhall-agent" --interval 0.25 --durable-count 12
"$bin/cityhall-agent" 2>"$home/agent.log" &
children+=("$!")

say "chq ls '{__name__=~\"system.*\"}'                       what arrived"
"$bin/chq" ls '{__name__=~"system.*"}' -o table
say "chq query 'max_over_time(system.cpu.usage[1m])'         a query"
"$bin/chq" query 'max_over_time(system.cpu.usage[1m])' -o table
say "chq plot 'system.cpu.usage{core=\"\"}' --last 5s           a plot"
"$bin/chq" plot 'system.cpu.usage{core=""}' --last 5s --height 8
cat <<TEXT

It goes on collecting, a batch a second. Now type, in another terminal:

    export PATH="$bin:\$PATH"
    chq put greenhouse.temperature 21.5      # answers when it is on disk
    chq get greenhouse.temperature
    chq plot system.cpu.usage --last 5m
    chq help

Ctrl-C here stops the node; the data stays in $home/data.
TEXT
wait -n "${children[@]}" || true
echo "run: a program has ended; see the logs in $home" >&2
exit 1
