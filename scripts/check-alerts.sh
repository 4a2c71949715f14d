#!/usr/bin/env bash
# Checks the alert rules with Prometheus' own tool: that it accepts them, and that they fire when their
# tests say so. Where promtool is missing, the one of the Debian package is put into .promtool; where
# that is not possible either, this says so and does nothing: `cargo test` reads the rules as well.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly target=.promtool

say() { printf 'check-alerts: %s\n' "$*" >&2; }

fetch() {
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
  rm -rf "$target"
  mkdir -p "$target"
  (
    cd "$target"
    apt-get download prometheus >/dev/null 2>&1 || return 1
    # Nothing is installed, so no service is started.
    dpkg-deb --fsys-tarfile prometheus_*.deb | tar --extract ./usr/bin/promtool || return 1
    rm prometheus_*.deb
  )
}

promtool=$(command -v promtool || true)
if [[ -z $promtool ]]; then
  [[ -x $target/usr/bin/promtool ]] || fetch || {
    say 'promtool is missing and cannot be fetched here; the alerts are not checked'
    exit 0
  }
  promtool=$PWD/$target/usr/bin/promtool
fi
"$promtool" check rules deploy/prometheus/*.rules.yml
"$promtool" test rules deploy/prometheus/*.test.yml
