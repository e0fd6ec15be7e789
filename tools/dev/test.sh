#!/usr/bin/env bash
# test.sh release|asan|tsan [--long] [options of tests/run_tests.py]: build a preset, run its suite.
set -euo pipefail
cd "$CH_ROOT"
. tools/dev/common.sh

preset=$1
shift
long=
options=()
for argument in "$@"; do
    if [ "$argument" = --long ]; then long=1; else options+=("$argument"); fi
done

need_packages "${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}"
build_preset "$preset"
prepare_npm

launcher=()
case $preset in
asan) export ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1:allocator_may_return_null=1 ;;
tsan)
    options+=(-L concurrent)
    # The sanitizer's memory layout cannot live with much address randomisation.
    setarch -R true 2>/dev/null && launcher=(setarch -R)
    ;;
esac

[ -n "$long" ] || exec "${launcher[@]}" /usr/bin/python3 tests/run_tests.py "build/$preset" -j 2 "${options[@]}"

export CH_TEST_LONG=1
summary=$(mktemp)
trap 'rm -f "$summary"' EXIT
status=0
"${launcher[@]}" /usr/bin/python3 tests/run_tests.py "build/$preset" -j 2 "${options[@]}" | tee "$summary" || status=1
/usr/bin/python3 tests/negative_controls.py | tee -a "$summary" || status=1
grep -E '^[0-9]+ passed, [0-9]+ failed' "$summary" | awk '
    { passed += $1; failed += $3; skipped += $5 }
    END { printf "%d passed, %d failed%s\n", passed, failed, skipped ? ", " skipped " skipped" : "" }'
exit $status
