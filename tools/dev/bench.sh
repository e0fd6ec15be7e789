#!/usr/bin/env bash
# bench.sh NAME [ARG..]: bench/NAME.sh when there is one, else the release build of bench_NAME.
set -euo pipefail
cd "$CH_ROOT"
. tools/dev/common.sh

names() {
    (ls bench/*.sh bench/bench_*.c 2>/dev/null || true) |
        sed -E 's,^bench/(bench_)?,  ,; s,\.(sh|c)$,,' | sort -u
}
if [ $# = 0 ]; then
    echo "usage: ./dev bench NAME [ARG..], where NAME is one of"
    names
    exit 2
fi
name=$1
shift
need_packages "${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}"
build_preset release >&2
if [ -f "bench/$name.sh" ]; then
    exec bash "bench/$name.sh" "$@"
elif [ -x "build/release/bin/bench_$name" ]; then
    exec "build/release/bin/bench_$name" "$@"
fi
echo "no benchmark '$name'; there are:" >&2
names >&2
exit 2
