#!/usr/bin/env bash
# fuzz.sh [SECONDS [TARGET..]]: run every fuzz target (or those named) on a copy of its corpus, two at
# a time. The tree is never written to; a finding is left in build/fuzz/findings. CH_TEST_SEED=N makes a
# run that can be had again (CI's), else each run searches elsewhere.
set -euo pipefail
cd "$CH_ROOT"
. tools/dev/common.sh

seconds=${1:-20}
[ $# -gt 0 ] && shift
need_packages "${BUILD_PACKAGES[@]}" "${CLANG_PACKAGES[@]}"
build_preset fuzz fuzzers

one() { # target seconds: prints one line, and on a finding the whole log
    local target=$1 seconds=$2 name=${1#fuzz_} work
    work=$(mktemp -d)
    mkdir -p "$work/corpus" build/fuzz/findings
    [ -d "tests/fuzz/corpus/$name" ] && cp -r "tests/fuzz/corpus/$name/." "$work/corpus"
    if "build/fuzz/bin/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 \
        -seed="${CH_TEST_SEED:-0}" -max_len=65536 -print_final_stats=1 -artifact_prefix="build/fuzz/findings/$name-" \
        "$work/corpus" >"$work/log" 2>&1 </dev/null; then
        echo "ok $target: $(sed -n 's/^stat::number_of_executed_units: *//p' "$work/log") runs," \
            "$(find "$work/corpus" -type f | wc -l) inputs worth keeping"
    else
        echo "FAILED $target, input in build/fuzz/findings:"
        tail -60 "$work/log"
    fi
    rm -rf "$work"
}
export -f one

if [ $# -gt 0 ]; then
    targets=("$@")
else
    mapfile -t targets < <(cd build/fuzz/bin 2>/dev/null && ls | grep '^fuzz_' || true)
fi
[ ${#targets[@]} -gt 0 ] || { echo "no fuzz targets"; echo "0 passed, 0 failed"; exit 0; }
report=$(mktemp)
trap 'rm -f "$report"' EXIT
printf '%s\n' "${targets[@]}" | xargs -P 2 -I{} bash -c 'one {} '"$seconds" | tee "$report"
passed=$(grep -c '^ok ' "$report" || true)
failed=$((${#targets[@]} - passed))
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
