#!/usr/bin/env bash
# format.sh [--check]: clang-format 14 on every C file that is, or is about to be, under version control.
set -euo pipefail
cd "$CH_ROOT"
. tools/dev/common.sh

need_packages clang-format
mapfile -t files < <(git ls-files --cached --others --exclude-standard '*.c' '*.h')
if [ "${1:-}" = --check ]; then
    clang-format --dry-run -Werror "${files[@]}" || { echo "format: run ./dev format"; exit 1; }
    echo "format: ${#files[@]} files are as they should be"
else
    clang-format -i "${files[@]}"
fi
