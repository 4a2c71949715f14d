#!/usr/bin/env bash
# Installs pip where it is missing, with which checks fetch what they need; and psycopg 3 where no Python
# has it: Debian's package, else from the Python package index into .venv. Where that is not possible it
# says so and succeeds, because only tests and checks need it.
set -uo pipefail
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*" >&2; }
is_ready() { scripts/python.sh >/dev/null 2>&1; }
has_pip() { python3 -m pip --version >/dev/null 2>&1; }

as_root=()
((EUID == 0)) || as_root=(sudo -n)
root() { ${as_root[@]+"${as_root[@]}"} "$@"; }
with_apt() {
  { root apt-get update
    root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "$1"; } >/dev/null 2>&1
}

if ! has_pip; then
  say 'missing: pip'
  ! command -v apt-get >/dev/null || with_apt python3-pip
  if has_pip; then
    say 'installed python3-pip'
  else
    say 'pip cannot be installed here; without it `make manifests` may check nothing'
  fi
fi

is_ready && exit 0
[[ -z ${TASKER_PYTHON:-} ]] || { scripts/python.sh; exit 0; }
say 'missing: psycopg 3'
if command -v apt-get >/dev/null; then
  with_apt python3-psycopg
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
