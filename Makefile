# The commands that people and CI use. `make` alone lists them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
INSTALL := $(PIP) install --require-hashes --no-deps --no-build-isolation
# Compiled files are kept, whatever the machine says: the tests start many processes.
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest
PACKAGES := schema templates renewal scheduler producers consumers token_station web centre back_office xuqi
CHECKS := "ruff check ." "ruff format --check ." mypy $(if $(wildcard bench/*.py),"mypy bench") "lint-imports --no-logo" "bandit --quiet --configfile pyproject.toml --recursive $(PACKAGES)"
LOCKS := build run station production test bench lock

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup production demo try demo-kafka test test-again test-quick check lint format bench bench-long bench-faults checklist lock sbom station clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.ready-to-run ## make .venv with the command .venv/bin/xuqi (quick the second time)

demo: setup ## run the main job on a sample bank: make demo [SEED=7] [CUSTOMERS=200]
	$(BIN)/xuqi demo $(if $(SEED),--seed $(SEED)) $(if $(CUSTOMERS),--customers $(CUSTOMERS))

try: setup ## open the sample bank for a person, on this computer alone: make try [PORT=8480]
	$(BIN)/xuqi try $(if $(PORT),--port $(PORT))

demo-kafka: $(VENV)/.ready-for-production $(VENV)/.servers ## the same story on Kafka and PostgreSQL, in processes that are killed: make demo-kafka [SEED=7] [CUSTOMERS=100]
	$(BIN)/xuqi demo --kafka --customers $(or $(CUSTOMERS),100) $(if $(SEED),--seed $(SEED))

test: $(VENV)/.ready-to-test $(VENV)/.servers ## run every test; installs what they need (apt-get, as root or by sudo)
	$(PYTEST) -n auto --dist worksteal $(ARGS)

test-again: $(VENV)/.ready-to-test $(VENV)/.servers ## run those that failed once more, one by one
	$(PYTEST) --last-failed --last-failed-no-failures none $(ARGS)

test-quick: $(VENV)/.ready-to-test ## run the tests that take less than ten seconds each, without broker and database server, up to the first that fails
	$(PYTEST) -q -x -m "not slow and not kafka and not postgresql" $(ARGS)

check: lint test ## everything a commit must pass: lint, then test

lint: $(VENV)/.ready-to-test ## ruff, formatting, mypy, who may import whom, and bandit
	@failed=0; for check in $(CHECKS); do echo "$(BIN)/$$check"; $(BIN)/$$check || failed=1; done; exit $$failed

format: $(VENV)/.ready-to-test ## let ruff lay out the code and mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.ready-to-bench ## measure, side by side in one run
	$(BIN)/python -m bench $(ARGS)

bench-long: $(VENV)/.ready-to-bench ## measure with ten million events behind it: make bench-long [ARGS='--past 1000000']
	$(BIN)/python -m bench aged $(ARGS)

bench-faults: $(VENV)/.ready-to-bench ## measure before and after each fault, and put the table into docs/performance.md
	$(BIN)/python -m bench faults --rounds 5 --into docs/performance.md $(ARGS)

checklist: $(VENV)/.ready-to-test ## print each item of the checklist with the tests that show it
	@$(BIN)/python -m tests.house.checklist

station: setup ## add what a branch with real readers needs (a C compiler and libpcsclite-dev)
	sh requirements/debian.sh pyscard pango
	$(INSTALL) -r requirements/station.txt

production: $(VENV)/.ready-for-production ## add the clients of PostgreSQL and Kafka

lock: $(VENV)/.ready-to-lock ## choose versions anew: make lock [ARGS=--upgrade]
	for name in $(LOCKS); do \
	  $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --no-emit-find-links --no-header --no-annotate $(ARGS) \
	    requirements/$$name.in --output-file requirements/$$name.txt || exit 1; \
	done

sbom: $(VENV)/.ready-to-test ## list what is installed, as CycloneDX, from the lock files: build/sbom/*.cdx.json
	mkdir -p build/sbom
	for name in run production station; do \
	  $(BIN)/cyclonedx-py requirements requirements/$$name.txt --pyproject pyproject.toml \
	    --output-reproducible --output-file build/sbom/$$name.cdx.json || exit 1; \
	done

clean: ## remove .venv, var and every cache
	rm -rf $(VENV) var build *.egg-info .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# What stands in .venv, step by step. A stamp is written last, so that an interrupted step is
# done again. The first stamp holds the checkout's path: scripts in .venv name it, so a checkout
# that was moved, or whose Python is gone, gets a new .venv.

STALE := $(shell test ! -e $(VENV)/.made || \
  { test "$$(cat $(VENV)/.made)" = "$(CURDIR)" && $(BIN)/python -c ''; } 2>/dev/null || echo stale)

$(VENV)/.made: $(if $(STALE),.always)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Xuqi needs Python 3.11 or newer; say which: make PYTHON=python3.11 ..." >&2; exit 1; }
	@echo "making $(VENV)"
	@$(PYTHON) -m venv $(if $(STALE),--clear) $(VENV)
	@echo "$(CURDIR)" > $@

.PHONY: .always
.always:

$(VENV)/.ready-to-run: $(VENV)/.made requirements/build.txt requirements/run.txt pyproject.toml
	@echo "installing what Xuqi needs to run"
	@$(INSTALL) -r requirements/build.txt
	@$(INSTALL) -r requirements/run.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.ready-for-production: $(VENV)/.ready-to-run requirements/production.txt
	@echo "installing what Kafka and PostgreSQL need"
	@$(INSTALL) -r requirements/production.txt
	@touch $@

$(VENV)/.ready-to-test: $(VENV)/.ready-to-run requirements/test.txt requirements/debian.sh
	@sh requirements/debian.sh pyscard openssl gnutls cards browser pango keystores pooler
	@echo "installing what the tests need"
	@$(INSTALL) -r requirements/test.txt
	@touch $@

$(VENV)/.servers: requirements/debian.sh $(VENV)/.made
	@sh requirements/debian.sh kafka postgresql
	@touch $@

$(VENV)/.ready-to-bench: $(VENV)/.ready-to-run requirements/bench.txt requirements/debian.sh
	@sh requirements/debian.sh kafka postgresql redis
	@$(INSTALL) -r requirements/bench.txt
	@touch $@

$(VENV)/.ready-to-lock: $(VENV)/.ready-to-run requirements/lock.txt
	@$(INSTALL) -r requirements/lock.txt
	@touch $@
