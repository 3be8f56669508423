# make train [PROFILE=profiles/cartpole.toml] [ARGS="--set seed=1"]
# make test     all tests, with the set-up        make check    what every commit must pass

PYTHON  ?= python3
PROFILE ?= profiles/cartpole.toml
ARGS    ?=
VENV    := .venv
BIN     := $(VENV)/bin
PURE    := tests/search tests/targets
# Tests that measure time or the use of processors run after the others, alone (marker `alone`).
WORKERS ?= 2
SHARED  := -n $(WORKERS) --dist loadscope --no-loadscope-reorder

.PHONY: train test check lint install install-dev clean

train: $(VENV)/installed
	$(BIN)/mzpipe train $(PROFILE) $(ARGS)

install: $(VENV)/installed

install-dev: $(VENV)/installed-dev

test: $(VENV)/installed-dev
	$(BIN)/python -m pytest -rs $(SHARED) -m "not alone"
	$(BIN)/python -m pytest -rs -m alone
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest $(SHARED) $(PURE) -m "not jit"

lint: $(VENV)/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint
	$(BIN)/python -m pytest $(SHARED) -m "not slow and not alone"

$(VENV)/installed: setup.cfg constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[all]" --constraint constraints.txt
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --editable ".[dev]" --constraint constraints.txt
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
