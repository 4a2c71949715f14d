# Every target does its own set-up. `make` alone lists them.

CARGO ?= cargo
# One profile for demo and tests: what one has built, the other finds.
TASKER = $(CARGO) run --quiet --locked --package tasker-cli --bin tasker --
# The benchmark measures the binary beside it: both are built at once, and what they share once.
BUILD_BENCH = $(CARGO) build --locked --package tasker-cli --package tasker-bench
TARGET = $(or $(CARGO_TARGET_DIR),target)

.DEFAULT_GOAL := help
.PHONY: help setup build demo dev test test-python test-ruby test-ruby-gem test-without-continuation release-dump test-pg test-browser screenshots bench bench-readiness bench-channels bench-notify bench-workers bench-ui bench-bulk load fmt lint docs alerts manifests test-deploy release-artifacts ci clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-25s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install the system packages that are missing
	@scripts/setup.sh

build: ## Build the tasker binary (debug)
	@scripts/setup.sh --without-ruby
	$(CARGO) build --locked --package tasker-cli

demo: build ## Run an order workflow on a private PostgreSQL and draw it
	@$(TASKER) demo

dev: build ## Keep the whole stack running on a private PostgreSQL
	@$(TASKER) dev

# The test files of the crates whose tests run workflows, but for those that have no use for it.
WORKFLOW_TESTS = $(filter-out without_database refused_handlers testing, \
  $(basename $(notdir $(patsubst %/main.rs,%.rs,$(foreach crate,tasker-worker tasker-cli, \
    $(wildcard $(crate)/tests/*.rs $(crate)/tests/*/main.rs))))))

test: setup ## Run all tests on the PostgreSQL of this machine
	@$(MAKE) --no-print-directory test-python
	@$(MAKE) --no-print-directory test-ruby
	$(CARGO) test --workspace --locked
	@$(MAKE) --no-print-directory test-without-continuation

test-python: setup ## Run the tests of the Python package that need no database
	@scripts/test-python.sh

test-ruby: setup ## Run the specs of the Ruby gem that need no database
	@CARGO="$(CARGO)" scripts/test-ruby.sh

test-ruby-gem: setup ## Build both gems, install each and run a handler (release build)
	@CARGO="$(CARGO)" scripts/test-ruby-gem.sh

test-without-continuation: setup ## Run workflow tests with every step going through an orchestrator
	TASKER__WORKER__CONTINUATION_LIMIT=0 TASKER__WORKER__ENQUEUE_DEPENDENTS=false \
	  $(CARGO) test --workspace --locked $(addprefix --test ,$(sort $(WORKFLOW_TESTS))) -- --skip idle:: --skip python:: --skip ruby::

release-dump: setup ## Write the dump of this release, which later builds have to upgrade
	$(CARGO) test --locked --package tasker-shared --test upgrades -- --ignored the_dump_of_this_release

# The other major versions of PostgreSQL that are supported: 14, 16, 17 and 18.
VERSION ?= 18

test-pg: setup ## Run the database tests on another PostgreSQL: VERSION=14, 16, 17 or 18
	@scripts/pg.sh $(VERSION)
	TASKER_PG_BIN="$(CURDIR)/.pg/$(VERSION)/bin" $(CARGO) test --workspace --exclude tasker-cli --exclude tasker-bench --locked

test-browser: setup ## Use the web interface in a real browser (installs Chromium)
	@scripts/setup-browser.sh
	$(CARGO) test --locked --package tasker-cli --test browser -- --ignored

# The folder that the pictures go to.
PICTURES = $(TARGET)/screenshots

screenshots: setup ## Take pictures of all pages of the web interface: PICTURES=folder
	@CARGO="$(CARGO)" scripts/screenshots.sh "$(PICTURES)"

bench: setup ## Measure latency and throughput (release build)
	$(BUILD_BENCH) --release
	@$(TARGET)/release/tasker-bench

bench-readiness: setup ## Check that ready steps are enqueued within 10 ms (debug build, under a minute)
	$(BUILD_BENCH)
	@$(TARGET)/debug/tasker-bench --quick --only readiness --runs 5 --at-most readiness.p50=10

bench-notify: setup ## Measure what each way to notify costs (release build)
	$(CARGO) bench --locked --package tasker-shared --bench notify

bench-workers: setup ## Measure workers of each language, and a fleet of all (release build)
	$(CARGO) build --release --locked --package tasker-cli --bin tasker --example conformance_worker
	@CARGO="$(CARGO)" scripts/build-ruby.sh --release >/dev/null
	@"$$(scripts/python.sh)" scripts/bench-workers.py $(TARGET)/release

bench-ui: setup ## Measure what open pages of the web interface cost a burst (release build)
	$(CARGO) build --release --locked --package tasker-cli --bin tasker
	@"$$(scripts/python.sh)" scripts/bench-ui.py $(TARGET)/release --at-most 5

bench-bulk: setup ## Measure what a bulk act costs a burst beside it (release build)
	$(CARGO) build --release --locked --package tasker-cli --bin tasker
	@"$$(scripts/python.sh)" scripts/bench-bulk.py $(TARGET)/release

bench-channels: ## Measure what monitored channels cost against plain tokio (release build)
	$(CARGO) bench --locked --package tasker-shared --bench channels

load: setup ## Flood a listener and the API with more than they can take (release build)
	@CARGO="$(CARGO)" scripts/load.sh

fmt: ## Format the code
	$(CARGO) fmt --all

lint: setup ## Check format and lints
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

docs: setup ## Build the API documentation and check the Markdown files
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --all-features --no-deps --locked
	@scripts/check-docs.sh

alerts: ## Check the alert rules, and that they fire when they should
	@scripts/check-alerts.sh

manifests: build ## Check the files of deploy/: Kubernetes, compose, systemd
	@TASKER_BINARY="$(TARGET)/debug/tasker" scripts/check-deploy.py

test-deploy: build ## Run the production fleet as containers, kill some, and lose nothing (needs podman)
	@CARGO="$(CARGO)" TASKER_BINARY="$${TASKER_BINARY:-$(TARGET)/debug/tasker}" scripts/test-deploy.sh

release-artifacts: setup ## Make archive, Debian package, bill of materials and checksums (release build)
	$(CARGO) build --locked --release --package tasker-cli
	@CARGO="$(CARGO)" TASKER_BINARY="$(TARGET)/release/tasker" scripts/package.sh

ci: ## Everything the CI runs
	@.ci/run

clean: ## Remove what was built and downloaded
	$(CARGO) clean
	rm -rf .pg .promtool .deploy-tools .browser-tools
