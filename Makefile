# Every target makes .venv by itself, with the pinned versions of constraints.txt.
#   make demo        the digits example, start to finish
#   make demo-files  the installed site-packages folder, logged twice
#   make check       everything that CI checks
#   make setup       the environment for working on Muniment
#   make bench       the measurements, next to their floors
#   make bench-slow  those that take ten minutes and more
#   make torture     500 processes killed, and what they left behind; then bench-slow

PYTHON ?= python3
BIN := .venv/bin
INSTALL := PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore $(BIN)/python -m pip install -qq -c constraints.txt

.PHONY: help demo demo-files check setup bench bench-slow torture clean
.NOTPARALLEL:
.DELETE_ON_ERROR:

help:
	@sed -n 's/^# \{0,1\}//p;/^$$/q' Makefile

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
	@env -u MUNIMENT_HOME $(BIN)/python examples/digits/run.py demo

# wants 10,000 files, so everything is installed first
demo-files: .venv/dev.stamp
	@rm -rf demo-files
	@env -u MUNIMENT_HOME $(BIN)/python examples/site_packages/run.py demo-files

check: .venv/dev.stamp
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/python -m pytest --quiet --numprocesses=auto --maxprocesses=4 --dist=worksteal --cov --cov-report=term:skip-covered
	$(BIN)/python tests/wheel.py

bench: .venv/dev.stamp
	$(BIN)/python benchmarks/files.py
	$(BIN)/python benchmarks/scale.py
	$(BIN)/python benchmarks/proofs.py
	$(BIN)/python benchmarks/writers.py
	$(BIN)/python benchmarks/files.py --tmpfs

bench-slow: .venv/dev.stamp
	$(BIN)/python benchmarks/reports.py
	$(BIN)/python benchmarks/erasing.py
	$(BIN)/python benchmarks/peers.py

torture: .venv/dev.stamp
	$(BIN)/python -m tests.torture --write
	$(MAKE) bench-slow

clean:
	rm -rf .venv .venv-peers demo demo-files build dist .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis src/*.egg-info
