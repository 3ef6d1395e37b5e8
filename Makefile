# Development tasks. `make` alone lists them.

CARGO  ?= cargo
NPM    ?= npm
TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
BINARY := $(TARGET)/release/polychat
NPM_STAMP  := client-tests/node_modules/.package-lock.json
PEER_STAMP := bench/peers/node-socketio/node_modules/.package-lock.json
# The load generator is a separate crate with its own target directory.
LOADGEN    := bench/loadgen
IN_LOADGEN := --manifest-path $(LOADGEN)/Cargo.toml --target-dir $(LOADGEN)/target
# So is the Rust client. The packages of the Python programs are installed for the tests only.
RUST_CLIENT    := client-tests/clients/rust
IN_RUST_CLIENT := --manifest-path $(RUST_CLIENT)/Cargo.toml --target-dir $(RUST_CLIENT)/target
PYTHON_CLIENT  := client-tests/clients/python
AUTOBAHN       := client-tests/autobahn
PYTHON_STAMP   := target/python/.installed
# Runs a command and records its duration under a name, for the table at the end of `make test`.
STEP := @.ci/step

.DEFAULT_GOAL := help
# The steps share cargo's target directory: sequential, whatever -j is.
.NOTPARALLEL:

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: test no-steps
test: no-steps tools lint unit client ## Run lint, unit and client: needs nothing but a bare checkout
	@.ci/steps

no-steps:
	@rm -rf target/steps

.PHONY: build
build: ## Build the server: target/release/polychat
	$(STEP) 'build: the server' $(CARGO) build --release --locked

.PHONY: fmt
fmt: rustfmt ## Format the code
	$(CARGO) fmt

.PHONY: lint
lint: rustfmt clippy openssl node $(NPM_STAMP) $(PEER_STAMP) ## Check the formatting, the Rust code with clippy, and the JavaScript with ESLint and tsc
	$(CARGO) fmt --check
	$(CARGO) fmt --check --manifest-path $(LOADGEN)/Cargo.toml
	$(CARGO) fmt --check --manifest-path $(RUST_CLIENT)/Cargo.toml
	$(STEP) 'lint: the server' $(CARGO) clippy --all-targets --locked -- -D warnings
	$(STEP) 'lint: the load generator' $(CARGO) clippy --all-targets --locked $(IN_LOADGEN) -- -D warnings
	$(STEP) 'lint: the client in Rust' $(CARGO) clippy --all-targets --locked $(IN_RUST_CLIENT) -- -D warnings
	$(STEP) 'lint: JavaScript' $(NPM) --prefix client-tests run lint

.PHONY: unit
unit: mongod redis python ## Run the tests in src/
	$(STEP) 'unit: build' $(CARGO) test --locked --no-run
	$(STEP) 'unit: run' $(CARGO) test --locked

# `make unit` runs all cases except those with messages of megabytes or by the thousand.
.PHONY: autobahn
autobahn: node $(NPM_STAMP) python ## Run all of Autobahn's cases on both kinds of WebSocket, and on Node's servers
	AUTOBAHN=1 $(CARGO) test --locked --lib autobahn -- --nocapture

# MONGOD names an existing mongod to use instead; for `make unit` MONGODB_URI may name a running replica set.
.PHONY: mongod
mongod: ## Fetch a mongod for the tests, unless MONGOD names one
ifeq ($(MONGOD),)
	$(STEP) 'fetch mongod' .ci/fetch-mongod target/mongod
endif

# REDIS_SERVER names an existing redis-server to use instead.
.PHONY: redis
redis: ## Fetch a redis-server for the tests, unless REDIS_SERVER names one
ifeq ($(REDIS_SERVER),)
	$(STEP) 'fetch redis' .ci/fetch-redis target/redis
endif

# Tests the release binary, so `cargo run --release` shares its build.
.PHONY: client
client: export POLYCHAT_BIN = $(BINARY)
client: node mongod redis build $(NPM_STAMP) $(PEER_STAMP) python rust-client ## Run the tests in client-tests/ against the built server, on both stores and both sides of Socket.IO
	$(STEP) 'client: SQLite' $(NPM) --prefix client-tests test
	$(STEP) 'client: SQLite, native Socket.IO' $(NPM) --prefix client-tests run test:native
	$(STEP) 'client: MongoDB' $(NPM) --prefix client-tests run test:mongodb
	$(STEP) 'client: attacks, the short form' node client-tests/attack/attack.mjs --short
	$(STEP) 'client: Node as the oracle' $(NPM) --prefix client-tests run test:oracle

.PHONY: options
options: node build ## Generate the table of options in docs/CONFIGURATION.md from polychat --help
	POLYCHAT_BIN='$(BINARY)' node client-tests/tests/documents.options.mjs

.PHONY: rights
rights: ## Write docs/RIGHTS.md anew, from the test of the rights
	WRITE_RIGHTS=1 $(CARGO) test --locked --lib the_document_has_the_tested_rights

.PHONY: python
python: $(PYTHON_STAMP) ## Fetch the packages of the Python programs, for the tests only

.PHONY: rust-client
rust-client: openssl ## Build the Rust client
	$(STEP) 'build: the client in Rust' $(CARGO) build --locked $(IN_RUST_CLIENT)

# `make test` runs the short form: all cases on polychat's default side, elsewhere without the long ones.
.PHONY: conformance
conformance: conformance-cases autobahn ## Check both sides of Socket.IO, and Node's server, against the published protocols (docs/CONFORMANCE.md)

.PHONY: conformance-cases
conformance-cases: node build $(NPM_STAMP) $(PEER_STAMP)
	cd client-tests && POLYCHAT_BIN='$(BINARY)' $(NPM) run conformance

# Not in `make test`: the proxies are system packages.
.PHONY: proxies
proxies: node build $(NPM_STAMP) ## Test the server behind nginx, HAProxy and Caddy as configured in docs/proxies
	cd client-tests && POLYCHAT_BIN='$(BINARY)' $(NPM) run test:proxies

.PHONY: soak
soak: node mongod build $(NPM_STAMP) ## Run the fault tests for SOAK_MINUTES (10), each round with another seed
	cd client-tests && POLYCHAT_BIN='$(BINARY)' $(NPM) run soak

# Every attack with a bounded time, ten minutes in all (docs/SECURITY-LEDGER.md). ATTACK='--only races --seed 7' and the like.
.PHONY: attack attack-builds ledger
attack: attack-builds ## Run all attacks on the built server; ATTACK='--only KINDS --seed N' or ATTACK=--short
	CARGO='$(CARGO)' POLYCHAT_BIN='$(BINARY)' node client-tests/attack/attack.mjs $(ATTACK)

ledger: attack-builds ## The same, and write the table of docs/SECURITY-LEDGER.md
	CARGO='$(CARGO)' POLYCHAT_BIN='$(BINARY)' node client-tests/attack/attack.mjs --write $(ATTACK)

attack-builds: node mongod build $(NPM_STAMP)
	$(CARGO) test --lib --locked --no-run

BENCH_RUNS ?= 3
BENCH_SECS ?= 10

# Not in `make test`: half an hour, on an otherwise idle machine. BENCH_SCENARIOS=chat,rate runs only these.
.PHONY: bench
bench: loadgen mongod build $(PEER_STAMP) ## Compare the server with a Node peer, BENCH_RUNS (3) times BENCH_SECS (10)
	cd bench && POLYCHAT_BIN='$(BINARY)' node bench.mjs --runs '$(BENCH_RUNS)' --secs '$(BENCH_SECS)'

.PHONY: bench-check
bench-check: loadgen ## Test that the load generator detects each kind of fault
	$(CARGO) test --locked $(IN_LOADGEN)
	bench/selftest.sh

.PHONY: loadgen
loadgen: node
	$(CARGO) build --release --locked $(IN_LOADGEN)

FUZZ_SECONDS ?= 30
.PHONY: fuzz
fuzz: ## Run each decoder on mutated inputs, for FUZZ_SECONDS each
	FUZZ_SECONDS='$(FUZZ_SECONDS)' $(CARGO) test --locked --lib fuzz -- --nocapture

# Each target is a folder there; FUZZ_TARGETS='websocket polling' runs only these. Not in `make test`: it rebuilds the server.
FUZZ_TARGETS ?= $(notdir $(wildcard fuzz/corpus/*))
.PHONY: fuzz-coverage
fuzz-coverage: ## The same guided by coverage, with cargo-fuzz, for FUZZ_TARGETS (all of them)
	@$(CARGO) fuzz --version >/dev/null 2>&1 || { \
		echo 'cargo-fuzz is missing. Install it: cargo install --locked cargo-fuzz' >&2; exit 1; }
	@set -e; for target in $(FUZZ_TARGETS); do \
		echo "$$target:"; mkdir -p "fuzz/work/$$target"; \
		TARGET="$$target" $(CARGO) fuzz run --sanitizer none check "fuzz/work/$$target" "fuzz/corpus/$$target" -- \
			-max_total_time='$(FUZZ_SECONDS)' -max_len=4096 -timeout=10 -print_final_stats=1; \
	done

.PHONY: deny
deny: ## Check licences, sources and advisories of the dependencies with cargo-deny
	@$(CARGO) deny --version >/dev/null 2>&1 || { \
		echo 'cargo-deny is missing. Install it: cargo install --locked cargo-deny' >&2; exit 1; }
	$(CARGO) deny --locked check

.PHONY: clean
clean: ## Remove everything built or fetched
	$(CARGO) clean
	rm -rf client-tests/node_modules target/mongod target/redis target/python $(RUST_CLIENT)/target $(LOADGEN)/target $(dir $(PEER_STAMP)) bench/.data

# npm writes this file last; a later change of the lock file makes it outdated.
$(NPM_STAMP): client-tests/package-lock.json
	$(STEP) 'fetch npm packages' $(NPM) --prefix client-tests ci --no-audit --no-fund
	@touch $@

$(PEER_STAMP): bench/peers/node-socketio/package-lock.json
	$(STEP) 'fetch npm packages of the Node peer' $(NPM) --prefix $(dir $<) ci --no-audit --no-fund
	@touch $@

# In a separate folder: needs neither venv nor the permission to install.
$(PYTHON_STAMP): $(PYTHON_CLIENT)/requirements.txt $(AUTOBAHN)/requirements.txt
	rm -rf $(@D)
	$(STEP) 'fetch Python packages' env PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore \
		python3 -m pip install --quiet --target $(@D) $(addprefix --requirement ,$^)
	@touch $@

# The tools of the other targets, checked first rather than after minutes of compiling.
.PHONY: tools rustfmt clippy openssl node
tools: rustfmt clippy openssl node

rustfmt:
	@$(CARGO) fmt --version >/dev/null 2>&1 || { \
		echo 'rustfmt is missing. Install it: rustup component add rustfmt' >&2; exit 1; }

clippy:
	@$(CARGO) clippy --version >/dev/null 2>&1 || { \
		echo 'clippy is missing. Install it: rustup component add clippy' >&2; exit 1; }

# rust_socketio links OpenSSL unconditionally.
openssl:
	@pkg-config --exists openssl 2>/dev/null || { \
		echo 'The client tests need the OpenSSL headers and pkg-config (Debian: libssl-dev, pkg-config).' >&2; exit 1; }

node:
	@node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' 2>/dev/null || { \
		echo 'The client tests need Node.js 20.19 or later, with npm.' >&2; exit 1; }
	@$(NPM) --version >/dev/null 2>&1 || { \
		echo 'The client tests need npm, which comes with Node.js.' >&2; exit 1; }
	@python3 -c 'import sqlite3, sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || { \
		echo 'The client tests need Python 3.10 or later, with its sqlite3 module.' >&2; exit 1; }
	@python3 -m pip --version >/dev/null 2>&1 || { \
		echo 'The client tests need pip for python3.' >&2; exit 1; }
	@bash --version >/dev/null 2>&1 && curl --version >/dev/null 2>&1 && openssl version >/dev/null 2>&1 || { \
		echo 'The client tests need bash, curl and openssl: they run the programs in the documents.' >&2; exit 1; }
