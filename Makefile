# What one does with polychat besides using it. `make` alone lists it.

CARGO  ?= cargo
NPM    ?= npm
TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
BINARY := $(TARGET)/release/polychat
NPM_STAMP  := client-tests/node_modules/.package-lock.json
PEER_STAMP := bench/peers/node-socketio/node_modules/.package-lock.json
# The load generator is a crate of its own, with a target directory of its own.
LOADGEN    := bench/loadgen
IN_LOADGEN := --manifest-path $(LOADGEN)/Cargo.toml --target-dir $(LOADGEN)/target
# So is the client in Rust; the packages of programs in Python are installed for these alone.
RUST_CLIENT    := client-tests/clients/rust
IN_RUST_CLIENT := --manifest-path $(RUST_CLIENT)/Cargo.toml --target-dir $(RUST_CLIENT)/target
PYTHON_CLIENT  := client-tests/clients/python
AUTOBAHN       := client-tests/autobahn
PYTHON_STAMP   := target/python/.installed

.DEFAULT_GOAL := help
# The steps share cargo's target directory: one after the other, whatever -j says.
.NOTPARALLEL:

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: test
test: tools lint unit client ## Everything below that checks: needs nothing but a bare checkout

.PHONY: build
build: ## Build the server: target/release/polychat
	$(CARGO) build --release --locked

.PHONY: fmt
fmt: rustfmt ## Format the code
	$(CARGO) fmt

.PHONY: lint
lint: rustfmt clippy openssl node $(NPM_STAMP) $(PEER_STAMP) ## Check the formatting, the code with clippy, and the JavaScript with ESLint and tsc
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --locked -- -D warnings
	$(CARGO) fmt --check --manifest-path $(LOADGEN)/Cargo.toml
	$(CARGO) clippy --all-targets --locked $(IN_LOADGEN) -- -D warnings
	$(CARGO) fmt --check --manifest-path $(RUST_CLIENT)/Cargo.toml
	$(CARGO) clippy --all-targets --locked $(IN_RUST_CLIENT) -- -D warnings
	cd client-tests && $(NPM) run lint

.PHONY: unit
unit: mongod python ## Run the tests in src/
	$(CARGO) test --locked

# `make unit` runs all but messages of megabytes and by the thousand.
.PHONY: autobahn
autobahn: node $(NPM_STAMP) python ## Run all of Autobahn's cases on both kinds of WebSocket, and on Node's servers
	AUTOBAHN=1 $(CARGO) test --locked --lib autobahn -- --nocapture

# A mongod of one's own is used when MONGOD names it; `make unit` takes a replica set that runs, too,
# when MONGODB_URI names one.
.PHONY: mongod
mongod: ## Fetch a mongod for the tests, unless MONGOD names one
ifeq ($(MONGOD),)
	@.ci/fetch-mongod target/mongod
endif

# The binary under test is the one that people run, so `cargo run --release` shares its build.
.PHONY: client
client: node mongod build $(NPM_STAMP) python rust-client ## Run the tests in client-tests/ against the built server, on both stores
	cd client-tests && POLYCHAT_BIN='$(BINARY)' $(NPM) test
	cd client-tests && POLYCHAT_BIN='$(BINARY)' $(NPM) run test:mongodb

.PHONY: python
python: $(PYTHON_STAMP) ## Fetch the packages of the programs in Python, for the tests alone

.PHONY: rust-client
rust-client: openssl ## Build the client in Rust
	$(CARGO) build --locked $(IN_RUST_CLIENT)

# Not in `make test`: the proxies are packages of the system.
.PHONY: proxies
proxies: node build $(NPM_STAMP) ## Run the server behind nginx, HAProxy and Caddy as docs/proxies has them
	cd client-tests && POLYCHAT_BIN='$(BINARY)' $(NPM) run test:proxies

.PHONY: soak
soak: node mongod build $(NPM_STAMP) ## Run the tests of faults for SOAK_MINUTES (10), each round with another seed
	cd client-tests && POLYCHAT_BIN='$(BINARY)' $(NPM) run soak

BENCH_RUNS ?= 3
BENCH_SECS ?= 10

# Not in `make test`: half an hour, and it wants the machine to itself. BENCH_SCENARIOS=chat,rate takes only these.
.PHONY: bench
bench: loadgen mongod build $(PEER_STAMP) ## Measure the server beside a Node peer, BENCH_RUNS (3) times BENCH_SECS (10)
	cd bench && POLYCHAT_BIN='$(BINARY)' node bench.mjs --runs '$(BENCH_RUNS)' --secs '$(BENCH_SECS)'

.PHONY: bench-check
bench-check: loadgen ## Show that the load generator finds each kind of fault
	$(CARGO) test --locked $(IN_LOADGEN)
	bench/selftest.sh

.PHONY: loadgen
loadgen: node
	$(CARGO) build --release --locked $(IN_LOADGEN)

FUZZ_SECONDS ?= 30
.PHONY: fuzz
fuzz: ## Give each decoder mutated inputs, for FUZZ_SECONDS each
	FUZZ_SECONDS='$(FUZZ_SECONDS)' $(CARGO) test --locked --lib fuzz -- --nocapture

# Each target is a folder there; FUZZ_TARGETS='websocket polling' takes only these. Not in `make test`: it builds the server anew.
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
deny: ## Check the dependencies' licences, sources and advisories with cargo-deny
	@$(CARGO) deny --version >/dev/null 2>&1 || { \
		echo 'cargo-deny is missing. Install it: cargo install --locked cargo-deny' >&2; exit 1; }
	$(CARGO) deny --locked check

.PHONY: clean
clean: ## Remove everything that was built or fetched
	$(CARGO) clean
	rm -rf client-tests/node_modules target/mongod target/python $(RUST_CLIENT)/target $(LOADGEN)/target $(dir $(PEER_STAMP)) bench/.data

# npm writes this file last; it is older than the lock file once that has changed.
$(NPM_STAMP): client-tests/package-lock.json
	cd client-tests && $(NPM) ci --no-audit --no-fund
	@touch $@

$(PEER_STAMP): bench/peers/node-socketio/package-lock.json
	cd $(dir $<) && $(NPM) ci --no-audit --no-fund
	@touch $@

# Beside Python's own packages, and not among them: neither venv nor the permission to install is needed.
$(PYTHON_STAMP): $(PYTHON_CLIENT)/requirements.txt $(AUTOBAHN)/requirements.txt
	rm -rf $(@D)
	PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore \
		python3 -m pip install --quiet --target $(@D) $(addprefix --requirement ,$^)
	@touch $@

# What the other targets need; said at once rather than after minutes of compiling.
.PHONY: tools rustfmt clippy openssl node
tools: rustfmt clippy openssl node

rustfmt:
	@$(CARGO) fmt --version >/dev/null 2>&1 || { \
		echo 'rustfmt is missing. Install it: rustup component add rustfmt' >&2; exit 1; }

clippy:
	@$(CARGO) clippy --version >/dev/null 2>&1 || { \
		echo 'clippy is missing. Install it: rustup component add clippy' >&2; exit 1; }

# The client in Rust has its TLS from there, and no choice.
openssl:
	@pkg-config --exists openssl 2>/dev/null || { \
		echo 'The client tests need the headers of OpenSSL, and pkg-config (Debian: libssl-dev, pkg-config).' >&2; exit 1; }

node:
	@node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 19) ? 0 : 1)' 2>/dev/null || { \
		echo 'The client tests need Node.js 20.19 or later, with npm.' >&2; exit 1; }
	@$(NPM) --version >/dev/null 2>&1 || { \
		echo 'The client tests need npm, which comes with Node.js.' >&2; exit 1; }
	@python3 -c 'import sqlite3, sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || { \
		echo 'The client tests need Python 3.10 or later, with its sqlite3 module.' >&2; exit 1; }
	@python3 -m pip --version >/dev/null 2>&1 || { \
		echo 'The client tests need pip for python3.' >&2; exit 1; }
