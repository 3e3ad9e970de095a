# make venv | demo | test | bench | lint | docs. Each does its own set-up first.
# The same in plain pip stands in README.md.

SHELL := /bin/bash
.DEFAULT_GOAL := help

VENV ?= .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif

# The constraints were tested on 3.11, so that is asked for first.
PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3.13 python3 python,$(shell \
	$(p) -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $(p))))

SOURCES_OF_INSTALL := pyproject.toml constraints.txt hatch_build.py
INSTALL = $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt

.PHONY: help venv demo test bench lint docs system-libraries clean

help:
	@echo "make venv   create $(VENV) with everything that the tests need"
	@echo "make demo   classify the bundled nickel scan into demo-out/"
	@echo "make test   run every test, the window's included, on a virtual display"
	@echo "make bench  print the table of benchmarks"
	@echo "make lint   ruff, mypy and npe2 validate"
	@echo "make docs   build the documentation into site/"

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "needs Python 3.11 or newer with venv and pip; found none." \
		"On Debian: apt-get install python3-venv. Or name one: make PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed-all: $(SOURCES_OF_INSTALL) | $(BIN)/python
	@echo "installing napari-spacegroup with napari and Qt; this takes some minutes"
	$(INSTALL) -e '.[all]'
	@touch $@

$(VENV)/.installed-test: $(SOURCES_OF_INSTALL) | $(BIN)/python
	@echo "installing napari-spacegroup with all that the tests need; this takes some minutes"
	$(INSTALL) -e '.[test]'
	@touch $(VENV)/.installed-all $@

$(VENV)/.installed-docs: $(SOURCES_OF_INSTALL) | $(BIN)/python
	$(INSTALL) -e '.[docs]'
	@touch $@

venv: $(VENV)/.installed-test

demo: $(VENV)/.installed-all
	$(BIN)/napari-spacegroup demo --out demo-out
	@$(BIN)/python .ci/offer_window.py

system-libraries:
	@bash .ci/system_libraries.sh

test: system-libraries $(VENV)/.installed-test
	$(BIN)/python -m pytest

# Rows with a window run under xvfb-run where there is no display.
bench: system-libraries $(VENV)/.installed-test
	$(BIN)/python benchmarks/run.py

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/npe2 validate napari.yaml

docs: $(VENV)/.installed-docs
	$(BIN)/mkdocs build --strict --site-dir site

clean:
	rm -rf $(VENV) build dist site demo-out .mypy_cache .pytest_cache .ruff_cache .hypothesis
