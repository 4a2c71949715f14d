#!/usr/bin/env bash
# Writes migrations/schema.sql: a dump of the schema `tasker` after all migrations, for people to
# read and for the CI to compare. With --check nothing is written; the exit status is 1 if the
# committed file differs. Dumps of different major versions differ in form, so the check is made
# only on the version that wrote the file.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly file=migrations/schema.sql

if [[ -z ${PG_MAJOR:-} ]]; then
  cargo build --quiet --locked --package tasker-cli --bin tasker
  exec cargo run --quiet --locked --package private-postgres --example with_postgres -- \
    scripts/schema.sh "$@"
fi

target=$(cargo metadata --locked --no-deps --format-version 1 |
  sed 's/.*"target_directory":"\([^"]*\)".*/\1/')

# Session settings, versions and the random tokens of \restrict differ from server to server.
dump() {
  printf -- '-- The schema after all migrations, dumped from PostgreSQL %s by scripts/schema.sh.\n' \
    "$PG_MAJOR"
  printf -- '-- Nothing reads this file; it shows what the migrations add up to.\n'
  pg_dump --schema-only --no-owner --no-privileges --schema=tasker "$DATABASE_URL" |
    sed -e '/^SET /d' -e '/^SELECT pg_catalog.set_config/d' -e '/^\\/d' -e '/^-- Dumped /d' \
      -e '/^-- PostgreSQL database dump/d' -e '/^--$/d' -e 's/^\(-- Name: .*\); Owner: -$/\1/' |
    cat -s
}

if [[ ${1:-} == --check ]]; then
  written_by=$(sed -n '1s/.* PostgreSQL \([0-9]*\) .*/\1/p' "$file")
  if [[ $written_by != "$PG_MAJOR" ]]; then
    echo "schema: $file is from PostgreSQL $written_by, this is $PG_MAJOR: not compared"
    exit 0
  fi
fi
env -u TASKER_CONFIG_DIR "$target/debug/tasker" migrate >/dev/null
new=$(mktemp)
trap 'rm -f "$new"' EXIT
dump >"$new"
if [[ ${1:-} != --check ]]; then
  cp "$new" "$file"
  echo "schema: wrote $file"
elif diff -u "$file" "$new"; then
  echo "schema: $file is what the migrations make"
else
  echo "schema: $file is not what the migrations make; run \`make schema\` and commit it" >&2
  exit 1
fi
