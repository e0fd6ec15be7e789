#!/usr/bin/env bash
# coverage.sh: build with counters, run the suite, print the share of lines that ran in engine/.
set -euo pipefail
cd "$CH_ROOT"
. tools/dev/common.sh

need_packages "${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}"
build_preset coverage
find build/coverage -name '*.gcda' -delete
status=0
/usr/bin/python3 tests/run_tests.py build/coverage -j 2 "$@" || status=1
/usr/bin/python3 tools/dev/coverage.py build/coverage engine auth wire node tools
exit $status
