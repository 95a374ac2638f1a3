# `make help` says what there is. Nothing here deletes data: they are in .palabre/.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/stamps
VENDOR := node_modules/.vendored
KAFKA_JARS := .palabre/kafka/jars
BENCH := .palabre/bench
INSTALL := infra/install.sh
PIP := $(BIN)/pip install --quiet --disable-pip-version-check
PYTEST := $(BIN)/pytest
# Real servers and a browser are optional on a developer's machine, never in CI.
OPTIONAL = || { test "$${CI:-}" != true; echo "without it, the tests that need it are skipped"; }

export PYTHONDONTWRITEBYTECODE :=

.PHONY: help run test lint format types imports unit integration contract e2e bench lock kafka-jars \
	setup setup-dev postgres pango pytest clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: setup ## everything on http://127.0.0.1:8000 (EVENTS=kafka, PORT=8000, DEMO=0)
	@if test "$${EVENTS:-embedded}" = kafka && test -z "$${KAFKA_BOOTSTRAP_SERVERS:-}"; \
		then $(MAKE) kafka-jars; fi
	@exec $(BIN)/palabre up

test: setup-dev lint types imports pytest e2e ## all checks and tests, installing what is missing

lint: $(STAMPS)/dev ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(STAMPS)/dev ## rewrite files in the house format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(STAMPS)/dev ## mypy, strict
	$(BIN)/mypy

imports: $(STAMPS)/dev ## who may import whom
	$(BIN)/lint-imports

pytest: setup-dev
	$(PYTEST) -n 2 --dist loadfile tests/unit tests/integration tests/contract

unit: $(STAMPS)/dev ## fast tests, no server
	$(PYTEST) tests/unit

integration: setup-dev ## tests on real PostGIS and Apache Kafka
	$(PYTEST) -n 2 --dist loadfile tests/integration

contract: setup-dev ## the event log on both transports, published contracts, compose
	$(PYTEST) tests/contract

e2e: setup-dev ## the whole application in a real browser
	$(PYTEST) tests/e2e

bench: setup-dev $(BENCH)/.complete ## measurements beside peers, not part of `make test`
	@$(INSTALL) wrk
	$(PYTEST) -s -m bench tests/bench

lock: $(STAMPS)/dev ## pin every Python dependency again, with hashes
	$(BIN)/uv pip compile $(UV) requirements.in -o requirements.lock
	$(BIN)/uv pip compile $(UV) requirements-dev.in -c requirements.lock -o requirements-dev.lock
	$(BIN)/uv pip compile $(UV) requirements-bench.in -o requirements-bench.lock
UV := --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header

# The peers that tests/bench measures ours against, in an environment of their own.
$(BENCH)/.complete: requirements-bench.lock
	@echo "installing the peers of the measurements"
	@rm -rf $(BENCH)
	@python3 -m venv $(BENCH)
	@$(BENCH)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

kafka-jars: $(KAFKA_JARS)/.complete ## fetch Apache Kafka's jars (EVENTS=kafka and tests)
	@:

clean: ## forget what was installed and built; data stay
	rm -rf $(VENV) node_modules gateway/static/vendor build *.egg-info tests/artefacts
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

# What `run` and `test` need -------------------------------------------------------------------

setup: $(STAMPS)/run $(VENDOR) postgres pango

setup-dev: $(STAMPS)/dev $(VENDOR) postgres pango
	@$(INSTALL) chromium $(OPTIONAL)
	@$(INSTALL) gdal $(OPTIONAL)
	@$(MAKE) kafka-jars $(OPTIONAL)

postgres:
	@$(INSTALL) postgres

pango:
	@$(INSTALL) pango

$(BIN)/python:
	@$(INSTALL) python
	@mkdir -p $(STAMPS)

$(STAMPS)/run: $(BIN)/python requirements.lock pyproject.toml
	@echo "installing Python packages"
	@mkdir -p $(STAMPS)
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-build-isolation --no-deps -e .
	@touch $@

$(STAMPS)/dev: $(STAMPS)/run requirements-dev.lock
	@echo "installing Python packages for development"
	@$(PIP) --require-hashes -r requirements-dev.lock
	@touch $@

$(VENDOR): package.json package-lock.json gateway/static/vendor.mjs
	@$(INSTALL) node
	@echo "installing front-end files"
	@npm ci --silent --no-audit --no-fund
	@npm run --silent vendor
	@touch $@

$(KAFKA_JARS)/.complete: infra/kafka/pom.xml
	@$(INSTALL) maven
	@echo "fetching Apache Kafka"
	@rm -rf $(KAFKA_JARS)
	@mvn -q -B -f infra/kafka/pom.xml dependency:copy-dependencies \
		-DoutputDirectory="$(CURDIR)/$(KAFKA_JARS)" -DincludeScope=runtime
	@touch $@
