#!/usr/bin/env bash
# Checks the dependencies: the lock file is complete and without second copies of what
# is expensive; every licence is one that deny.toml allows; nothing comes from elsewhere than the
# package registry.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly most_packages=400
# A second version of one of these costs minutes of build time, or splits what must be shared.
readonly only_once=(axum chrono hyper jsonschema opentelemetry opentelemetry_sdk pgmq reqwest rustls
  serde serde_json sqlx sqlx-core sqlx-postgres tokio tracing uuid)

faults=0
fault() {
  printf 'dependencies: %s\n' "$*" >&2
  faults=$((faults + 1))
}

if ! cargo metadata --locked --format-version 1 >/dev/null; then
  fault 'Cargo.lock does not fit the manifests: run `cargo update --workspace` and commit it'
fi

# Of what ships: the binary, and the native part of the Ruby gem.
for shipped in tasker-cli tasker_core; do
  packages=$(cargo tree --locked --package "$shipped" --edges normal,build --prefix none --format '{p}' |
    sed 's/ (\*)$//' | sort -u | wc -l)
  if ((packages > most_packages)); then
    fault "$shipped depends on $packages packages, the limit is $most_packages"
  fi
done

for name in "${only_once[@]}"; do
  if (($(grep -cx "name = \"$name\"" Cargo.lock) > 1)); then
    fault "there is more than one version of $name"
  fi
done

if grep '^source = ' Cargo.lock | grep -qv '^source = "registry+'; then
  fault 'a package in Cargo.lock does not come from the package registry'
fi

# SPDX expressions, of which at least one alternative in each part must be allowed. An unusual
# nesting is refused rather than misread.
refused=$(
  cargo tree --locked --workspace --edges normal,build,dev --prefix none --format '{l}|{p}' |
    sed 's/ (\*)$//; s/ (proc-macro)//' | grep '|' | sort -u |
    awk -F '|' '
      NR == FNR { if (match($0, /^  "[^"]*"/)) allowed[substr($0, 4, RLENGTH - 4)] = 1; next }
      {
        expression = $1
        gsub(/ *\/ */, " OR ", expression)
        gsub(/[()]/, "", expression)
        count = split(expression, parts, " AND ")
        for (i = 1; i <= count; i++) {
          fine = 0
          alternatives = split(parts[i], licences, " OR ")
          for (j = 1; j <= alternatives; j++) if (licences[j] in allowed) fine = 1
          if (!fine) { print "  " $2 ": " ($1 == "" ? "no licence" : $1); next }
        }
        if (count == 0) print "  " $2 ": no licence"
      }' deny.toml -
)
if [[ -n $refused ]]; then
  fault $'licences that deny.toml does not allow:\n'"$refused"
fi

if command -v cargo-deny >/dev/null && ! cargo deny --log-level error check licenses bans sources; then
  fault 'cargo deny found faults'
fi

if ((faults > 0)); then
  exit 1
fi
echo "dependencies: $(grep -c '^name = ' Cargo.lock) packages, all checks passed"
