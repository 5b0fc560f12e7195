# Two commands matter: `make run` starts everything, `make test` checks everything.
SHELL := /bin/sh
VENV := .venv
PY := $(VENV)/bin/python
RUN_STAMP := $(VENV)/.runs
TEST_STAMP := $(VENV)/.tests

.PHONY: run test lint format lock bench screenshots clean

run: $(RUN_STAMP)
	@exec $(PY) manage.py up

test: $(TEST_STAMP)
	@$(PY) tests/check.py

lint: $(TEST_STAMP)
	@$(PY) tests/check.py --static

format: $(TEST_STAMP)
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

lock: $(TEST_STAMP)
	$(VENV)/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" -q pyproject.toml -o requirements.lock
	$(VENV)/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" -q pyproject.toml --group dev -c requirements.lock -o requirements-dev.lock

screenshots: $(TEST_STAMP)
	$(PY) tests/screenshots.py $(VAR_DIR)

bench: $(TEST_STAMP)
	$(PY) -m tests.bench.predict

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .import_linter_cache

$(VENV)/.made:
	@for name in python3.11 python3.12 python3.13 python3; do \
	  if command -v $$name >/dev/null && $$name -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then \
	    echo "Making $(VENV) with $$($$name --version)"; $$name -m venv $(VENV) && touch $@ && exit 0; \
	  fi; \
	done; \
	echo "Deeploy needs Python 3.11, 3.12 or 3.13 with the venv module (Debian: apt install python3-venv)" >&2; exit 1

$(RUN_STAMP): requirements.lock | $(VENV)/.made
	@echo "Installing the packages of requirements.lock"
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

$(TEST_STAMP): requirements-dev.lock $(RUN_STAMP)
	@echo "Installing what testing needs"
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@
