#!/usr/bin/env bash
# Prints the Python that runs the worker in Python: TASKER_PYTHON, or the first that has psycopg 3.
# Ends with 3 where there is no Python at all, and with 1 where there is one without the driver.
set -uo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)

runs() { "$1" -c 'import sys, psycopg; sys.exit(sys.version_info < (3, 9) or psycopg.__version__ < "3.1")' 2>&1; }

found=()
problem=
for python in ${TASKER_PYTHON:-"$root/.venv/bin/python3" python3 /usr/bin/python3}; do
  python=$(command -v "$python") || continue
  found+=("$python")
  if problem=$(runs "$python"); then
    echo "$python"
    exit 0
  fi
done
if ((${#found[@]} == 0)) && [[ -z ${TASKER_PYTHON:-} ]]; then
  echo 'there is no python3' >&2
  exit 3
fi
{
  echo "no Python with psycopg 3.1 or newer: ${found[*]:-$TASKER_PYTHON}"
  echo "$problem" | tail -n 1
  echo 'Install it with `make setup`, or name another Python in TASKER_PYTHON.'
} >&2
exit 1
