# What one does with this repository. A fresh machine needs Rust (rustup, stable) and a C compiler.

CARGO ?= cargo

.PHONY: demo test check bench advisories clean

# The main job from start to verified proof; ends by itself.
demo:
	./scripts/demo.sh

# Every test of the workspace, documentation tests included; all of them run even if one fails.
test:
	$(CARGO) test --workspace --locked --no-fail-fast
	@echo "make test: all tests passed"

# What a change must pass besides its tests. Needs no network once the tools and crates are here.
check:
	$(CARGO) fmt --all --check
	$(CARGO) xtask layers
	$(CARGO) xtask tidy
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	./scripts/ensure-cargo-deny
	$(CARGO) deny --locked check --hide-inclusion-graph bans licenses sources
	@echo "make check: clean"

# Steps per second through the whole pipeline, beside the store's ceiling; JSON on the last line.
bench:
	$(CARGO) xtask bench steps --json

# Known vulnerabilities of the dependencies; fetches the advisory database, so it needs the network
# (docs/decisions/0003-advisories-apart.md).
advisories:
	./scripts/ensure-cargo-deny
	$(CARGO) deny --locked check advisories

clean:
	$(CARGO) clean
