#!/usr/bin/env bash
# Takes pictures of all pages of the web interface, into the folder that is named: light and dark, wide and
# narrow, with little and much data.
set -euo pipefail
cd "$(dirname "$0")/.."

if (($# != 1)); then
  echo 'usage: scripts/screenshots.sh FOLDER' >&2
  exit 2
fi
mkdir -p "$1"
TASKER_PICTURES=$(realpath "$1")
export TASKER_PICTURES
scripts/setup-browser.sh
${CARGO:-cargo} test --locked --package tasker-cli --test browser -- --ignored --exact pictures::of_all_pages
echo "the pictures are in $TASKER_PICTURES"
