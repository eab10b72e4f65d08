# What one does with this repository. A fresh machine needs Rust (rustup, stable), a C compiler and Node;
# `make interop` needs Go, Node and Python as well.

CARGO ?= cargo

.PHONY: demo explore console test e2e conformance interop check bench advisories clean

# The main job from start to verified proof; ends by itself.
demo:
	./scripts/demo.sh

# Starts the development house with the console and opens the page; ends with Ctrl-C.
explore: console
	./scripts/explore.sh

# The web console: checked, tested and built. The binary embeds what is built.
console:
	./scripts/console

# Every test of the workspace, documentation tests included; all of them run even if one fails. Those over
# PostgreSQL start a server of their own. Then the console in a real browser.
test: console
	./scripts/ensure-postgresql
	$(CARGO) test --workspace --locked --no-fail-fast
	./scripts/e2e
	@echo "make test: all tests passed"

# The console in a real browser, against the real binary.
e2e: console
	./scripts/e2e

# The workflow specification's conformance kit (OWS_DIR, else ../shared/ows) and our own scenarios, each by its name.
# `make test` runs it too.
conformance:
	$(CARGO) test --locked -p mandate --test conformance

# Evidence checked by verifiers nobody here wrote (Go, Python).
interop:
	./scripts/interop
	./scripts/interop-protocols

# What a change must pass besides its tests. Needs no network once the tools and crates are here.
check:
	$(CARGO) fmt --all --check
	$(CARGO) xtask layers
	$(CARGO) xtask tidy
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	./scripts/ensure-cargo-deny
	$(CARGO) deny --locked check --hide-inclusion-graph bans licenses sources
	@echo "make check: clean"

# Steps per second through the whole pipeline on both stores, each beside its own ceiling, then what a step costs late in
# a long run and in a full store; JSON on the last line of each (docs/performance.md).
bench:
	$(CARGO) xtask bench steps --store postgres
	$(CARGO) xtask bench growth

# Known vulnerabilities of the dependencies; fetches the advisory database, so it needs the network
# (docs/decisions/0003-advisories-apart.md).
advisories:
	./scripts/ensure-cargo-deny
	$(CARGO) deny --locked check advisories

clean:
	$(CARGO) clean
