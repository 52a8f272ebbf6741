# Every target makes .venv by itself, with the pinned versions of constraints.txt.
#   make demo    the digits example, start to finish        make setup   the environment for working on Muniment
#   make check   everything that CI checks                  make bench   the measurements, next to their floors

PYTHON ?= python3
BIN := .venv/bin
INSTALL := PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore $(BIN)/python -m pip install -qq -c constraints.txt

.PHONY: help demo check setup bench clean
.NOTPARALLEL:
.DELETE_ON_ERROR:

help:
	@sed -n '1,/^$$/s/^# \{0,1\}//p' Makefile

.venv/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Muniment needs Python 3.11 or newer: make PYTHON=python3.x")'
	@echo "making .venv"
	@$(PYTHON) -m venv .venv

# One environment, one stamp per set of extras: what the other set installed stays.
.venv/demo.stamp: pyproject.toml constraints.txt | .venv/pyvenv.cfg
	@echo "installing Muniment and what its examples need"
	@$(INSTALL) -e '.[examples]'
	@touch $@

.venv/dev.stamp: pyproject.toml constraints.txt | .venv/pyvenv.cfg
	@echo "installing Muniment and what its checks need"
	@$(INSTALL) -e '.[dev,examples]'
	@touch $@

setup: .venv/dev.stamp

demo: .venv/demo.stamp
	@rm -rf demo
	@mkdir demo
	@MUNIMENT_HOME='$(CURDIR)/demo/home' $(BIN)/python examples/digits/run.py demo

check: .venv/dev.stamp
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/python -m pytest --quiet --cov --cov-report=term:skip-covered
	$(BIN)/python tests/wheel.py

bench: .venv/dev.stamp
	$(BIN)/python benchmarks/files.py
	$(BIN)/python benchmarks/scale.py

clean:
	rm -rf .venv demo build dist .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis src/*.egg-info
