#!/usr/bin/env bash
# tidy.sh [FILE..]: clang-tidy on all C files of the product (or those named). CH_TIDY_SECONDS bounds
# it: files not reached by then are counted and named as not checked.
set -euo pipefail
cd "$CH_ROOT"
. tools/dev/common.sh

need_packages "${BUILD_PACKAGES[@]}" clang clang-tidy
quietly cmake --preset clang # for compile_commands.json
export CH_TIDY_END=$(($(date +%s) + ${CH_TIDY_SECONDS:-86400}))
if [ $# -gt 0 ]; then
    files=("$@")
else
    mapfile -t files < <(git ls-files 'engine/*.c' 'auth/*.c' 'wire/*.c' 'node/*.c' 'tools/*.c' |
        while read -r file; do # those that are built
            if grep -qF "/$file\"" build/clang/compile_commands.json; then echo "$file"; fi
        done)
fi

one() {
    [ "$(date +%s)" -lt "$CH_TIDY_END" ] || { echo "not checked, out of time: $1"; return; }
    local output
    if output=$(clang-tidy --quiet -p build/clang --warnings-as-errors='*' "$1" 2>/dev/null); then
        echo "ok $1"
    else
        printf 'FAILED %s\n%s\n' "$1" "$output"
    fi
}
export -f one

report=$(mktemp)
trap 'rm -f "$report"' EXIT
printf '%s\n' "${files[@]}" | xargs -P "$jobs_wanted" -I{} bash -c 'one "{}"' >"$report"
grep -v '^ok ' "$report" || true
failed=$(grep -c '^FAILED ' "$report" || true)
echo "tidy: $(grep -c '^ok ' "$report" || true) files clean, $failed not," \
    "$(grep -c '^not checked' "$report" || true) not checked"
[ "$failed" = 0 ]
