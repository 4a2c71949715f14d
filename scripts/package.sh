#!/usr/bin/env bash
# Makes what a release consists of, in target/release-artifacts: an archive with the binary and its
# systemd units, a Debian package, the bill of materials, and checksums. The same sources and the same
# compiler give the same files.
#
#   TASKER_BINARY   the release binary, where it is elsewhere than in target/release
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { printf 'package: %s\n' "$*" >&2; exit 1; }

binary=${TASKER_BINARY:-target/release/tasker}
[[ -x $binary ]] || fail "$binary is missing: make release-artifacts builds it"
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
[[ $("$binary" --version) == "tasker $version"* ]] || fail "$binary is not of version $version"
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH
machine=$(uname -m)
readonly out=target/release-artifacts name=tasker-$version-$machine-linux-gnu
rm -rf "$out"
mkdir -p "$out"

scripts/sbom.py >"$out/$name.cdx.json"

# Puts files where they belong, below a folder: place SOURCE MODE TARGET.
place() { install -D --mode="$2" "$1" "$3"; }
documents() {
  local folder=$1 file
  for file in LICENSE-MIT LICENSE-APACHE README.md CHANGELOG.md; do place "$file" 644 "$folder/$file"; done
  place "$out/$name.cdx.json" 644 "$folder/sbom.cdx.json"
}
units() {
  local folder=$1 file
  for file in deploy/systemd/*.service deploy/systemd/tasker-.service.d/*.conf; do
    place "$file" 644 "$folder/${file#deploy/systemd/}"
  done
}

# --- the archive ---------------------------------------------------------------------------------
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
archive=$tree/$name
mkdir -p "$archive"
strip -o "$archive/tasker" "$binary"
documents "$archive"
units "$archive/systemd"
place deploy/systemd/tasker.env 644 "$archive/systemd/tasker.env"
tar --create --directory "$tree" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 \
  --numeric-owner --mode=go=rX,u+rw,a-s "$name" | gzip -9 --no-name >"$out/$name.tar.gz"

# --- the Debian package --------------------------------------------------------------------------
if command -v dpkg-deb >/dev/null; then
  deb=$tree/deb
  architecture=$(dpkg --print-architecture)
  # The oldest C library that has all symbols which the binary uses.
  libc=$(objdump -T "$archive/tasker" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1)
  place "$archive/tasker" 755 "$deb/usr/bin/tasker"
  documents "$deb/usr/share/doc/tasker"
  units "$deb/lib/systemd/system"
  # systemd reads it as root; it will hold a password.
  place deploy/systemd/tasker.env 600 "$deb/etc/tasker/tasker.env"
  mkdir -p "$deb/DEBIAN"
  echo /etc/tasker/tasker.env >"$deb/DEBIAN/conffiles"
  cat >"$deb/usr/share/doc/tasker/copyright" <<EOF
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: tasker
Source: https://github.com/tasker-systems/tasker

Files: *
Copyright: the authors of Tasker
License: Expat or Apache-2.0
 Their texts are in LICENSE-MIT and LICENSE-APACHE beside this file; the licences of the libraries
 in the binary are in sbom.cdx.json.
EOF
  cat >"$deb/DEBIAN/control" <<EOF
Package: tasker
Version: $version
Architecture: $architecture
Maintainer: the authors of Tasker <tasker@example.invalid>
Installed-Size: $(du --summarize --apparent-size --block-size=1024 "$deb" | cut -f 1)
Depends: libc6 (>= ${libc#GLIBC_}), libgcc-s1
Suggests: postgresql
Section: utils
Priority: optional
Homepage: https://github.com/tasker-systems/tasker
Description: workflows that must not be lost, on PostgreSQL alone
 Orchestrator, worker, API and command line in one binary, with units for systemd. None is enabled:
 set DATABASE_URL in /etc/tasker/tasker.env, then
 systemctl enable --now tasker-orchestrator tasker-worker@NAMESPACE
EOF
  for script in postinst postrm; do
    cat >"$deb/DEBIAN/$script" <<'EOF'
#!/bin/sh
set -e
# Running processes go on with the old binary until they are restarted, in any order.
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload
fi
EOF
    chmod 755 "$deb/DEBIAN/$script"
  done
  cat >"$deb/DEBIAN/prerm" <<'EOF'
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
  systemctl stop 'tasker-*.service'
fi
EOF
  chmod 755 "$deb/DEBIAN/prerm"
  find "$deb" -type d -exec chmod 755 {} +
  find "$deb" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
  dpkg-deb --root-owner-group -Zxz --build "$deb" "$out/tasker_${version}_$architecture.deb" >/dev/null
fi

(
  cd "$out"
  shopt -s nullglob
  sha256sum -- *.tar.gz *.deb *.cdx.json >SHA256SUMS
)
ls -l "$out"
