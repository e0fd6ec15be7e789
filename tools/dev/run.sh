#!/usr/bin/env bash
# run.sh: a node on loopback with its data in ~/.cityhall/data, and an agent that feeds it this
# machine's figures; shows what arrived; until Ctrl-C. CITYHALL_HOME names another folder than
# ~/.cityhall; CH_BIN_DIR takes the programs from there and builds nothing.
set -euo pipefail
cd "$CH_ROOT"
. tools/dev/common.sh

bin=${CH_BIN_DIR:-$CH_ROOT/build/release/bin}
home=${CITYHALL_HOME:-$HOME/.cityhall}
if [ -z "${CH_BIN_DIR:-}" ]; then
    need_packages "${BUILD_PACKAGES[@]}"
    echo "run: building the programs ..."
    if [ -t 1 ]; then # there ninja keeps to one line
        build_preset release cityhall chq cityhall-agent
    else
        build_preset release cityhall chq cityhall-agent | tail -1
    fi
fi
mkdir -p "$home"

children=()
stop() {
    trap - INT TERM HUP EXIT
    [ ${#children[@]} -eq 0 ] && return
    kill "${children[@]}" 2>/dev/null || true
    wait "${children[@]}" 2>/dev/null || true
}
trap stop EXIT
trap 'echo; echo "run: stopping; the data stays in $home/data"; stop; exit 0' INT TERM HUP

# In a session of its own: a terminal's Ctrl-C goes to all programs of a group at once, and the node
# would take our kill for a second signal, which means "at once" to it.
start() {
    setsid "$@" </dev/null &
    children+=("$!")
}

# The end of a log, and out. A log line says itself what to do.
give_up() {
    echo "run: $1; the end of its log:" >&2
    tail -5 "$2" >&2
    rm -f "$home/node.log.$$"
    exit 1
}

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

# Not yet under its name: another node, which holds the data directory, may be writing there.
log=$home/node.log.$$
start "$bin/cityhall" --data "$home/data" 2>"$log"
node=${children[0]}
until grep -q ' event=ready ' "$log"; do
    kill -0 "$node" 2>/dev/null || give_up "the node did not start" "$log"
    sleep 0.05
done
mv "$log" "$home/node.log"
CHQ_INGEST=$(sed -n 's/^ingest //p' "$home/data/endpoints")
CHQ_NODE=$(sed -n 's/^query //p' "$home/data/endpoints")
export CHQ_INGEST CHQ_NODE
agent=("$bin/cityhall-agent" --ingest "$CHQ_INGEST" --query "$CHQ_NODE")

echo "run: the node is up; data in $home/data, log in $home/node.log"
echo "run: feeding it this machine's metrics ..."
"${agent[@]}" --interval 0.25 --durable-count 12
start "${agent[@]}" 2>"$home/agent.log"

say "chq ls '{__name__=~\"system.*\"}'                       what arrived"
"$bin/chq" ls '{__name__=~"system.*"}' -o table
say "chq query 'max by (core) (max_over_time(system.cpu.usage[1m]))'    a query"
"$bin/chq" query 'max by (core) (max_over_time(system.cpu.usage[1m]))' -o table
say "chq plot 'system.cpu.usage{core=\"\"}' --last 5s           a plot"
"$bin/chq" plot 'system.cpu.usage{core=""}' --last 5s --height 8

elsewhere=
[ "$CHQ_NODE" = tcp://127.0.0.1:7879 ] || elsewhere="    export CHQ_NODE=$CHQ_NODE CHQ_INGEST=$CHQ_INGEST
"
cat <<TEXT

It goes on collecting, a batch a second. Now type, in another terminal:

    export PATH="$bin:\$PATH"
$elsewhere    chq put greenhouse.temperature 21.5      # answers when it is on disk
    chq get greenhouse.temperature
    chq plot system.cpu.usage --last 5m
    chq help

Ctrl-C here stops the node; the data stays in $home/data.
TEXT
wait -n "${children[@]}" || true
if kill -0 "$node" 2>/dev/null; then
    give_up "the agent has ended" "$home/agent.log"
fi
give_up "the node has ended" "$home/node.log"
