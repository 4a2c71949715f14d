#!/usr/bin/env bash
# Prints the Ruby that the gem is built for and tested with: TASKER_RUBY, or `ruby`. Ends with 3 where
# there is none, and with 1 where it is too old or has no headers.
set -uo pipefail

ruby=$(command -v "${TASKER_RUBY:-ruby}")
if [[ -z $ruby ]]; then
  [[ -z ${TASKER_RUBY:-} ]] || { echo "TASKER_RUBY is $TASKER_RUBY, which cannot be run" >&2; exit 1; }
  echo 'there is no ruby' >&2
  exit 3
fi
# shellcheck disable=SC2016 # it is Ruby that expands
problem=$("$ruby" -rrbconfig -e '
  abort "Ruby 3.1 or newer is needed, this is #{RUBY_VERSION}" if (RUBY_VERSION.split(".").map(&:to_i) <=> [3, 1]) < 0
  headers = File.join(RbConfig::CONFIG["rubyhdrdir"], "ruby.h")
  abort "its headers are missing (#{headers})" unless File.exist?(headers)' 2>&1) || {
  printf '%s: %s\nInstall what is missing with `make setup`, or name another Ruby in TASKER_RUBY.\n' \
    "$ruby" "$problem" >&2
  exit 1
}
echo "$ruby"
