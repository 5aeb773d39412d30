# Everything a fresh machine needs is Python 3.11 (or newer), make and the package index.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The wheels are unpacked beside the place they go to: /tmp is often small in a container.
PIP := TMPDIR="$(CURDIR)/$(VENV)/tmp" $(BIN)/python -m pip install --quiet --disable-pip-version-check
WORKERS ?= 2

.PHONY: help dev test check bench lock browser clean

help: ## List the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

dev: $(VENV)/.installed-dev ## Set up and run the whole service on this machine
	@$(BIN)/meetbot dev

test: $(VENV)/.installed-test ## Set up and pass the tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

check: $(VENV)/.installed-test ## Format, lint, types, import contracts and house rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -q tests/house

bench: $(VENV)/.installed-test ## Print the figures as JSON
	$(BIN)/python -m bench.links
	$(BIN)/python -m bench.decisions
	$(BIN)/python -m bench.sync

browser: ## Install Debian's Chromium for the browser tests (needs root)
	apt-get update -q && apt-get install -qy --no-install-recommends chromium

lock: $(VENV)/.installed-test ## Lock the dependencies anew, with hashes
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
		--custom-compile-command "make lock" pyproject.toml -o requirements/production.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
		--custom-compile-command "make lock" --extra embedded pyproject.toml requirements/build.in -o requirements/dev.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
		--custom-compile-command "make lock" --extra embedded --extra test pyproject.toml requirements/build.in -o requirements/test.txt

clean: ## Remove the virtual environment and the development stack's data
	@test ! -x $(BIN)/python || $(BIN)/python -m meetbot.dev.account || true
	rm -rf $(VENV) .meetbot

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	@mkdir -p $(VENV)/tmp

$(VENV)/.installed-dev: requirements/dev.txt pyproject.toml | $(BIN)/python
	$(PIP) --require-hashes -r requirements/dev.txt
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.installed-test: requirements/test.txt pyproject.toml | $(BIN)/python
	$(PIP) --require-hashes -r requirements/test.txt
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@ $(VENV)/.installed-dev
