#!/usr/bin/env bash
# run.sh: a node on loopback with its data in ~/.cityhall/data, and an agent that feeds it this
# machine's figures; until Ctrl-C. CITYHALL_HOME names another folder than ~/.cityhall.
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
trap 'exit 0' INT TERM

"$bin/cityhall" --data "$home/data" 2>"$home/node.log" &
node=$!
children+=("$node")

# A ping waits for the answer itself, so each round is as long as chq's own timeout.
ready=
for _ in 1 2 3 4 5 6 7 8 9 10; do
    if "$bin/chq" ping; then ready=1 && break; fi
    kill -0 "$node" 2>/dev/null || break
done
[ -n "$ready" ] || {
    echo "run: the node does not answer; its log $home/node.log ends with:" >&2
    tail -20 "$home/node.log" >&2
    exit 1
}

echo "run: node is up; data in $home/data, log in $home/node.log"
if [ -x "$bin/cityhall-agent" ]; then
    "$bin/cityhall-agent" 2>"$home/agent.log" &
    children+=("$!")
    echo "run: agent is up; log in $home/agent.log"
fi
echo "run: try, in another terminal:"
echo "    $bin/chq stats"
echo "    $bin/chq query 'system_cpu_load'"
echo "run: Ctrl-C stops everything"
wait -n "${children[@]}" || true
echo "run: a program has ended; see the logs in $home" >&2
exit 1
