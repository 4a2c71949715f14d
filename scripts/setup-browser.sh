#!/usr/bin/env bash
# Installs what the tests of the web interface in a real browser need and this machine lacks: Debian's
# Chromium, and axe-core, which judges accessibility, in .browser-tools. Does nothing where both are there.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly tools=.browser-tools
readonly axe_version=4.14.1
readonly axe_sha256=29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c

say() { printf 'setup-browser: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

has_axe() { echo "$axe_sha256  $tools/axe.min.js" | sha256sum --check --status 2>/dev/null; }

missing=()
command -v chromium >/dev/null || missing+=(chromium)
has_axe || command -v npm >/dev/null || missing+=(npm)
if ((${#missing[@]} > 0)); then
  say "missing: ${missing[*]}"
  command -v apt-get >/dev/null ||
    fail "this script installs packages on Debian and Ubuntu only. Install ${missing[*]}, then try again"
  as_root=()
  ((EUID == 0)) || as_root=(sudo)
  root() { ${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive "$@"; }
  log=$(mktemp)
  trap 'rm -f "$log"' EXIT
  root apt-get update >"$log" 2>&1 ||
    say 'apt-get update failed; going on with the package lists that are there'
  for package in "${missing[@]}"; do
    root apt-get install --yes --no-install-recommends "$package" >"$log" 2>&1 ||
      { tail -n 15 "$log" >&2; fail "could not install $package; install it by hand, then try again"; }
    say "installed $package"
  done
fi

if ! has_axe; then
  mkdir -p "$tools"
  (
    cd "$tools"
    npm pack --silent "axe-core@$axe_version" >/dev/null
    tar --extract --gzip --strip-components=1 --file "axe-core-$axe_version.tgz" package/axe.min.js
    rm "axe-core-$axe_version.tgz"
  ) || fail "could not fetch axe-core $axe_version with npm; put its axe.min.js into $tools"
  has_axe || fail "$tools/axe.min.js is not the file of axe-core $axe_version that was expected"
  say "fetched axe-core $axe_version"
fi
