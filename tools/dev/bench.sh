#!/usr/bin/env bash
# bench.sh NAME [ARG..]: bench/NAME.py when there is one (whole nodes), else the release build of
# bench_NAME (one module).
set -euo pipefail
cd "$CH_ROOT"
. tools/dev/common.sh
RIVAL_PACKAGES=(librocksdb-dev libleveldb-dev)

names() {
    (ls bench/*.py bench/bench_*.c 2>/dev/null || true) |
        sed -E 's,^bench/(bench_)?,  ,; s,\.(py|c)$,,' | sort -u
}
if [ $# = 0 ]; then
    echo "usage: ./dev bench NAME [ARG..], where NAME is one of"
    names
    exit 2
fi
name=$1
shift
need_packages "${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}"
if [ "$name" = engine ]; then # its rivals, built into its program where they are
    (need_packages "${RIVAL_PACKAGES[@]}" >&2) || true
fi
build_preset release >&2
if [ "$name" = ingest ]; then # its rival; where that cannot be installed the benchmark says so
    (need_packages victoria-metrics >&2) || true
fi
if [ -f "bench/$name.py" ]; then
    exec /usr/bin/python3 -B "bench/$name.py" "$@"
elif [ -x "build/release/bin/bench_$name" ]; then
    exec "build/release/bin/bench_$name" "$@"
fi
echo "no benchmark '$name'; there are:" >&2
names >&2
exit 2
