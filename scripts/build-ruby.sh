#!/usr/bin/env bash
# Builds the native part of the gem tasker_core (debug, or --release) for the Ruby of ruby.sh, and prints
# the folder in which that finds it as tasker_core/tasker_core. Ends with 3 where there is no Ruby at all.
set -euo pipefail
cd "$(dirname "$0")/.."

ruby=$(scripts/ruby.sh)
# Which one the bindings are made for; cargo makes them again when the variable changes.
[[ -z ${TASKER_RUBY:-} ]] || export RUBY=$ruby
target=$(
  ${CARGO:-cargo} build --quiet --locked --package tasker_core --message-format json "$@" |
    sed -n 's/.*"filenames":\["\([^"]*libtasker_core\.[a-z]*\)"\].*/\1/p' | tail -n 1
)
[[ -n $target ]] || { echo 'cargo did not say where the library is' >&2; exit 1; }
folder=$(dirname "$target")/ruby
mkdir -p "$folder/tasker_core"
extension=$("$ruby" -rrbconfig -e 'print RbConfig::CONFIG["DLEXT"]')
ln -sfn "$target" "$folder/tasker_core/tasker_core.$extension"
echo "$folder"
