# The two commands are `make run` and `make test`. What they do is in tests/tools/.

TOOLS := tests/tools

.PHONY: help run test chaos lint fmt conformance audit fuzz rolling figures dashboard setup

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/\1 \2/p' Makefile | \
		while read -r name what; do printf '  make %-13s%s\n' "$$name" "$$what"; done

run: ## build everything, prepare .env and the database, serve on 127.0.0.1
	@$(TOOLS)/run.sh

test: ## install what is missing, then every check and test there is
	@$(TOOLS)/python.sh $(TOOLS)/check.py test

chaos: ## break servers, the ways between them, Redis and MariaDB for as long as they break in life (minutes); figures
	@$(TOOLS)/python.sh $(TOOLS)/check.py chaos

lint: ## format, clippy, house rules, dependencies
	@$(TOOLS)/python.sh $(TOOLS)/check.py lint

fmt: ## format the Rust code
	@cargo fmt --all

conformance: ## hold gema against the protocol and write docs/conformance.md
	@$(TOOLS)/python.sh $(TOOLS)/check.py build npm && node tests/conformance/gema.mjs --write

audit: ## known vulnerabilities among the dependencies (asks the network)
	@$(TOOLS)/python.sh $(TOOLS)/check.py audit

fuzz: ## look for inputs that break a parser or a signature; SECONDS=60 for each target
	@$(TOOLS)/python.sh $(TOOLS)/fuzz.py

rolling: ## restart one of two servers behind nginx with 15,000 clients on them
	@cargo build --locked --release -p gema && GEMA_ROLLING_CLIENTS=15000 GEMA_ROLLING_SECONDS=20 \
		GEMA_BIN="$$(realpath "$${CARGO_TARGET_DIR:-target}/release/gema")" \
		cargo test --locked --release -p gema-tests --test rolling restart -- --nocapture

figures: ## from a check-in to the event, and check-ins per second: in one process, and as three nodes
	@cargo build --locked --release -p gema && \
		GEMA_BIN="$$(realpath "$${CARGO_TARGET_DIR:-target}/release/gema")" \
		cargo test --locked --release -p gema-tests --test stack figures -- --ignored --nocapture --test-threads=1

dashboard: ## build the web pages, if their sources are newer
	@$(TOOLS)/dashboard.sh

setup: ## install what the tests need and this machine lacks
	@$(TOOLS)/setup.sh
