# make train [PROFILE=profiles/cartpole.toml] [ARGS="--set seed=1"]
# make test     all tests, with the set-up        make check    what every commit must pass
# make docs     the docs site, in build/site
# make wheel    wheel and sdist, in build/dist    make try-wheel  trains CartPole from the wheel alone

PYTHON  ?= python3
PROFILE ?= profiles/cartpole.toml
ARGS    ?=
VENV    := .venv
BIN     := $(VENV)/bin
PURE    := tests/search tests/targets
# Tests that measure time or the use of processors run after the others, alone (marker `alone`).
WORKERS ?= 2
SHARED  := -n $(WORKERS) --dist loadscope --no-loadscope-reorder

# The wheel is tried in an environment with nothing but the core, from an empty folder.
TRIAL   := build/trial

.PHONY: train test check lint install install-dev docs wheel try-wheel clean

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

docs: $(VENV)/installed-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

wheel: $(VENV)/installed-dev
	rm -rf build/dist
	$(BIN)/python -m build --outdir build/dist .

try-wheel: wheel
	rm -rf $(TRIAL)
	$(PYTHON) -m venv $(TRIAL)/venv
	$(TRIAL)/venv/bin/python -m pip install --quiet build/dist/*.whl --constraint constraints.txt
	mkdir $(TRIAL)/empty
	cd $(TRIAL)/empty && ../venv/bin/mzpipe profiles && ../venv/bin/mzpipe eval cartpole --episodes 5
	cd $(TRIAL)/empty && ../venv/bin/mzpipe train cartpole --set stop.learner_steps=500

$(VENV)/installed: setup.cfg constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[all]" --constraint constraints.txt
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --editable ".[dev]" --constraint constraints.txt
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
