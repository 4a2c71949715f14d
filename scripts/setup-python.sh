#!/usr/bin/env bash
# Installs psycopg 3 where no Python has it: Debian's package, else from the Python package index into
# .venv. Where neither is possible it says so and succeeds, because only tests need it.
set -uo pipefail
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*" >&2; }
is_ready() { scripts/python.sh >/dev/null 2>&1; }

is_ready && exit 0
[[ -z ${TASKER_PYTHON:-} ]] || { scripts/python.sh; exit 0; }
say 'missing: psycopg 3'

as_root=()
((EUID == 0)) || as_root=(sudo -n)
if command -v apt-get >/dev/null; then
  install=(env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends)
  { ${as_root[@]+"${as_root[@]}"} apt-get update
    ${as_root[@]+"${as_root[@]}"} "${install[@]}" python3-psycopg; } >/dev/null 2>&1
  if is_ready; then
    say 'installed python3-psycopg'
    exit 0
  fi
fi
{ python3 -m venv .venv && .venv/bin/pip install 'psycopg[binary]>=3.1'; } >/dev/null 2>&1
if is_ready; then
  say 'installed psycopg 3 in .venv'
else
  say 'psycopg 3 cannot be installed here; the tests of workers in Python will say what they miss'
fi
