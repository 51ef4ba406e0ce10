# `make help` lists what there is. Everything runs in .venv, which the first command creates.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ENV := $(VENV)/.complete
# The built site goes to $(BUILD)/_build/html.
BUILD := .
SITE = $(abspath $(BUILD))/_build/html
PYTEST := $(BIN)/python -m pytest
UNIT := -m "not site and not replay" tests

.PHONY: help book serve test check lint unit notebooks bench requirements clean

help:  ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

book: $(ENV)  ## build the site from the committed outputs
	@# A failed build must not leave its cache: pages that are read already would not warn again.
	@$(BIN)/jupyter-book build book/ --config _config.yml --toc $(CURDIR)/_toc.yml --path-output $(BUILD) -W -n --keep-going -q \
	  || { rm -rf $(BUILD)/_build; exit 1; }
	@echo "The site is built: open $(SITE)/index.html, or run make serve."

serve: book  ## build the site and serve it on http://localhost:8000
	@$(BIN)/python -m http.server 8000 --bind 127.0.0.1 --directory $(SITE)

test: lint unit  ## check everything: lint, unit tests on two backends, notebooks, site
	$(PYTEST) -m "site" tests
	$(PYTEST) --nbval-lax --nbval-current-env --nbval-cell-timeout=600 -n 2 --dist loadfile book/
	$(PYTEST) -m "replay" tests

check: lint unit  ## check everything but notebooks and browser

lint: $(ENV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

unit: $(ENV)
	$(PYTEST) $(UNIT)
	KERAS_BACKEND=jax $(PYTEST) $(UNIT)

notebooks: $(ENV)  ## re-execute the chapters and write them back (NB=book/01-transfer-learning.ipynb for one)
	@$(BIN)/python tools/notebooks.py $(NB)

bench: $(ENV)  ## measure what must stay fast
	@$(BIN)/python tools/bench.py

requirements: $(ENV)  ## pin the newest packages that fit pyproject.toml
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --no-header pyproject.toml \
	  --group backends --group book --group notebooks --group test --output-file requirements.txt

$(ENV): requirements.txt pyproject.toml
	@$(PYTHON) tools/environment.py $(VENV)

clean:  ## remove the environment and everything built
	rm -rf $(VENV) _build
