#!/usr/bin/env bash
# Installs what building and running Tasker needs and this machine lacks: a C compiler, a linker and
# the PostgreSQL server binaries; pip, for checks, and psycopg 3, for the tests of the worker in Python;
# and, except --without-ruby, Ruby with its headers, libclang and the libraries of the gem's tests. Does
# nothing where all is present. No database cluster is made or started: Tasker runs a private one. Rust is never
# installed for you, only asked for.
set -euo pipefail

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

if ! command -v cargo >/dev/null; then
  fail 'cargo is missing. Install Rust 1.94 or later with rustup (see rustup.rs), then try again.'
fi

# The same places in which the supervisor of the private server looks.
has_postgres() {
  local folder
  for folder in "${TASKER_PG_BIN:-}" /usr/lib/postgresql/*/bin /usr/pgsql-*/bin \
    /usr/libexec/postgresql* /opt/homebrew/opt/postgresql*/bin /usr/local/opt/postgresql*/bin \
    /home/linuxbrew/.linuxbrew/opt/postgresql*/bin \
    /Applications/Postgres.app/Contents/Versions/*/bin /usr/local/pgsql/bin; do
    [[ -n $folder && -x $folder/postgres && -x $folder/initdb ]] && return 0
  done
  command -v postgres >/dev/null && command -v initdb >/dev/null
}

# It never fails: only tests need Python, and say what they miss.
"$(dirname "$0")/setup-python.sh"

# Where bindgen looks for it, besides where it is told to.
has_libclang() {
  [[ -n ${LIBCLANG_PATH:-} ]] || ldconfig -p 2>/dev/null | grep -qE 'libclang(-[0-9.]+)?[.]so' ||
    compgen -G '/usr/lib/llvm-*/lib/libclang[.-][s0-9]*' >/dev/null
}
has_ruby_library() { "${TASKER_RUBY:-ruby}" -e "require '$1'" 2>/dev/null; }

missing=()
command -v cc >/dev/null || missing+=(build-essential)
has_postgres || missing+=(postgresql)
if [[ ${1:-} != --without-ruby ]]; then
  command -v "${TASKER_RUBY:-ruby}" >/dev/null || missing+=(ruby)
  has_libclang || missing+=(libclang-dev)
  # To Debian's Ruby only: another one brings its own.
  if [[ -z ${TASKER_RUBY:-} && $(command -v ruby || echo /usr/bin/ruby) == /usr/bin/ruby ]]; then
    "$(dirname "$0")/ruby.sh" >/dev/null 2>&1 || missing+=(ruby-dev)
    has_ruby_library rspec || missing+=(ruby-rspec)
    has_ruby_library active_record || missing+=(ruby-activerecord)
    has_ruby_library pg || missing+=(ruby-pg)
  fi
fi
if ((${#missing[@]} == 0)); then
  exit 0
fi
say "missing: ${missing[*]}"

if ! command -v apt-get >/dev/null; then
  fail 'this script installs packages on Debian and Ubuntu only. Install a C compiler and
PostgreSQL 14 or later, then try again:
  Fedora, RHEL:     sudo dnf install gcc postgresql-server ruby-devel clang-devel
  Arch:             sudo pacman -S base-devel postgresql ruby clang
  Alpine:           sudo apk add build-base postgresql ruby-dev clang-dev
  macOS, Homebrew:  xcode-select --install; brew install postgresql@17 ruby llvm'
fi

as_root=()
if ((EUID != 0)); then
  command -v sudo >/dev/null ||
    fail "only root can install packages. Run as root: apt-get install ${missing[*]}"
  as_root=(sudo)
fi
root() { ${as_root[@]+"${as_root[@]}"} "$@"; }

if [[ " ${missing[*]} " == *' postgresql '* ]]; then
  # Installed first, so that the server package finds the order to make no cluster of its own.
  missing=(postgresql-common "${missing[@]}")
fi
install() {
  root env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "$1" >"$log" 2>&1
}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
say 'installing with apt-get …'
if ! root apt-get update >"$log" 2>&1; then
  # A list that could not be refreshed may still be good enough.
  say 'apt-get update failed; going on with the package lists that are there'
fi
for package in "${missing[@]}"; do
  if [[ $package == postgresql-common ]]; then
    root mkdir -p /etc/postgresql-common/createcluster.d
    echo 'create_main_cluster = false' |
      root tee /etc/postgresql-common/createcluster.d/tasker.conf >/dev/null
  fi
  if ! install "$package"; then
    tail -n 15 "$log" >&2
    fail "could not install $package; install it by hand, then try again"
  fi
  say "installed $package"
done
has_postgres || fail 'PostgreSQL was installed, but postgres and initdb are not where packages put them'
