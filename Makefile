# The targets of the checkout; each sets up what it needs. Bare `make` lists them.
PYTHON ?= python3
PORT ?= 8000
BIN := .venv/bin
SETUP := $(PYTHON) scripts/setup.py

.DEFAULT_GOAL := list
.PHONY: list setup fix check test test-all run demo bench docs lock migration clean

list:  ## list the targets
	@$(PYTHON) -c 'import re; [print(f"make {n:<10} {t}") for n, t in re.findall(r"^([a-z-]+):.*?## (.*)$$", open("Makefile").read(), re.M)]'

setup:  ## make .venv, install the pinned packages and the project
	@$(SETUP)

fix: setup  ## format, and mend what the linter can mend
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

check: setup  ## format check, lint, import contracts, types
	@$(BIN)/python scripts/check.py --no-tests

test:  ## check, then the tests on SQLite, PostgreSQL and Chromium
	@$(SETUP) --tests && $(BIN)/python scripts/check.py

test-all:  ## test, the slow ones as well
	@$(SETUP) --tests && $(BIN)/python scripts/check.py --slow

run: setup  ## load the demo town, bill it and serve it (PORT=8000); Ctrl-C stops it
	@PORT=$(PORT) $(BIN)/kilokassa demo --serve

demo: setup  ## load the demo town, bill it and write its documents under var/documents
	@$(BIN)/kilokassa demo --documents

bench: setup  ## run every benchmark, or one (NAME=rating)
	@$(BIN)/python -m bench $(NAME)

docs:  ## list the pages of the documentation
	@find docs -name '*.md' | sort

lock: setup  ## pin the newest packages with their hashes in requirements.lock
	@$(BIN)/uv pip compile --quiet --upgrade --generate-hashes --no-emit-index-url --no-header --no-annotate --python-version 3.11 -o requirements.lock requirements.in

migration: setup  ## generate a step of the schema from the models (NAME=what_it_does)
	@$(BIN)/python scripts/migration.py $(NAME)

clean:  ## remove what was built and cached; var/ and .venv stay
	@rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
