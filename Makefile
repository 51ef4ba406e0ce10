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
# Tests or notebooks at a time, one more than two processors since some of them wait, and the seconds a cell may take.
JOBS := 3
CELL_TIMEOUT := 600
STAGES = $(BIN)/python tools/stages.py --jobs $(JOBS) --cell-timeout $(CELL_TIMEOUT)

.PHONY: help book serve slides pdf needs test check lint unit replay colab portable gpu notebooks exercises bench repository requirements clean

help:  ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

book: $(ENV)  ## build the site from the committed outputs
	@$(BIN)/python tools/book.py $(BUILD)

serve: book  ## build the site and serve it on http://localhost:8000
	@$(BIN)/python -m http.server 8000 --bind 127.0.0.1 --directory $(BUILD)/_build/html

slides: book  ## build the site, and list its slides, a deck for each chapter
	@ls $(BUILD)/_build/html/slides/*.html

pdf: book  ## print the course as one PDF, with Chromium
	@$(BIN)/python tools/pdf.py $(BUILD)/_build/html $(BUILD)/_build/course.pdf

# What is missing beside Python is said before the environment is made.
needs:
	@$(PYTHON) tools/needs.py

test: needs $(ENV)  ## check everything: lint, unit tests on two backends, site, notebooks
	@$(STAGES) lint all+jax

check: $(ENV)  ## lint and unit tests: everything but the browser and what runs notebooks
	@$(STAGES) lint unit+jax

lint: $(ENV)
	@$(STAGES) lint

unit: $(ENV)  ## unit tests on TensorFlow and JAX (BACKEND=torch: on PyTorch, which it installs)
	@$(STAGES) $(or $(BACKEND),unit+jax)

replay: $(ENV)  ## run every notebook again and compare its claims with the record
	@$(STAGES) replay

colab: $(ENV)  ## run every chapter as on Colab: its Python, its packages, the course installed by the first cell
	@$(BIN)/python tools/colab.py $(PYTHON)

portable: $(ENV)  ## run unit tests and notebooks as on other processors
	@$(BIN)/python tools/portable.py

# Without the environment, which a machine that is lent for some minutes cannot make.
gpu:  ## make the runs that the full profile lacks, on a GPU (MINUTES=9 OUT=records.tar.gz)
	@$(PYTHON) tools/gpu.py $(if $(MINUTES),--minutes $(MINUTES)) $(if $(OUT),--out $(OUT))

notebooks: $(ENV)  ## re-execute the chapters and write them back (NB=book/01-transfer-learning.ipynb for one)
	@$(BIN)/python tools/notebooks.py $(NB)

exercises: $(ENV)  ## make the students' exercises from the masters (EX=exercises/02-normalization.ipynb for one)
	@$(BIN)/python tools/make_exercises.py $(EX)

bench: $(ENV)  ## measure what must stay fast
	@$(BIN)/python tools/bench.py

repository: $(ENV)  ## write title, authors, color and address of pyproject.toml wherever a fork shows them
	@$(BIN)/python tools/repository.py

requirements: $(ENV)  ## pin the newest packages that fit pyproject.toml
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --no-header pyproject.toml \
	  --group backends --group book --group notebooks --group test --output-file requirements.txt \
	  $(if $(CONSTRAINTS),--constraints $(CONSTRAINTS))

$(ENV): requirements.txt pyproject.toml
	@$(PYTHON) tools/environment.py $(VENV)

clean:  ## remove the environment and everything built
	rm -rf $(VENV) _build
