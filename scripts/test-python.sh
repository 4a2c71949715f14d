#!/usr/bin/env bash
# Runs the tests of the Python package that need no database, and its type check where mypy is there.
set -euo pipefail
scripts=$(cd "$(dirname "$0")" && pwd)
status=0
python=$("$scripts/python.sh") || status=$?
if ((status == 3)); then
  echo 'NOT TESTED: the package in Python' >&2
  exit 0
fi
((status == 0)) || exit 1
cd "$scripts/../workers/python"
export PYTHONDONTWRITEBYTECODE=1
"$python" -W error::ResourceWarning -m unittest discover -s tests
if "$python" -c 'import mypy' 2>/dev/null; then
  "$python" -m mypy
fi
