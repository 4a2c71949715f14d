#!/usr/bin/env bash
# Builds the two gems and installs each in a folder of its own: one compiles there, the other has been.
# Then a handler runs in each, and the command.
set -euo pipefail
cd "$(dirname "$0")/../workers/ruby"

ruby=$(../../scripts/ruby.sh)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

run() {
  # Nothing of the checkout: only what the gem has.
  env --chdir="$folder" -u RUBYLIB -u RUBYOPT GEM_HOME="$1" GEM_PATH="$1" "${@:2}"
}

for kind in source native; do
  "$ruby" -S rake --silent "gem:$kind" >"$folder/$kind.log" 2>&1 || { tail -n 30 "$folder/$kind.log" >&2; exit 1; }
  gem=$(tail -n 1 "$folder/$kind.log")
  home=$folder/home-$kind
  "$ruby" -S gem install --local --no-document --install-dir "$home" "$gem" >"$folder/$kind.log" 2>&1 ||
    { tail -n 30 "$folder/$kind.log" >&2; exit 1; }
  # shellcheck disable=SC2016 # it is Ruby's
  told=$(run "$home" "$ruby" -e '
    require "tasker_core/testing"
    print TaskerCore::Testing.run(->(step) { step.context["n"] + 1 }, context: { n: 41 }).result')
  [[ $told == 42 ]] || { echo "the $kind gem: a handler came to '$told'" >&2; exit 1; }
  run "$home" "$home/bin/tasker-worker" --version
  echo "the $kind gem: $(basename "$gem"), $(du -h "$gem" | cut -f1), installed $(du -sh "$home" | cut -f1)"
done
