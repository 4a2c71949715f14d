#!/usr/bin/env bash
# Load tests, in release builds on a private PostgreSQL: bursts of notifications into a listener whose
# consumer stands still, each in a process of its own; and ten times the sustainable rate for a minute.
# Ends by itself, after some minutes, and with an error where something was lost, refused without
# telling when to come back, or took memory that it should not.
set -euo pipefail
cd "$(dirname "$0")/.."

output=$(mktemp)
trap 'rm -f "$output"' EXIT

# Runs one test that is ignored otherwise; that there is such a test is checked too.
load() {
  local package=$1 target=$2 test=$3
  # shellcheck disable=SC2086 # The target may be two words.
  ${CARGO:-cargo} test --release --locked --package "$package" $target -- \
    --ignored --exact --nocapture "$test" | tee "$output"
  grep -q '^test result: ok. 1 passed' "$output"
}

listener=task_readiness::listener::tests
load tasker-orchestration --lib $listener::ten_thousand_notifications_wait_in_flat_memory
load tasker-orchestration --lib $listener::a_hundred_thousand_notifications_wait_in_flat_memory
load tasker-cli '--test system' load::ten_times_the_sustainable_rate_for_a_minute
