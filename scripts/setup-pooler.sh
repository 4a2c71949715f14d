#!/usr/bin/env bash
# Installs PgBouncer for the tests that want one, where apt-get can. They are skipped, and say so, where
# it is missing; so nothing here fails. The service of the package is not started.
set -euo pipefail

say() { printf 'setup-pooler: %s\n' "$*" >&2; }

for file in /usr/sbin/pgbouncer /usr/bin/pgbouncer /usr/local/bin/pgbouncer; do
  [[ -x $file ]] && exit 0
done
if ! command -v apt-get >/dev/null || ((EUID != 0)); then
  say 'pgbouncer is missing and cannot be installed here; its tests are skipped'
  exit 0
fi
if RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
  apt-get install --yes --no-install-recommends pgbouncer >/dev/null 2>&1; then
  say 'installed pgbouncer'
else
  say 'could not install pgbouncer; its tests are skipped'
fi
