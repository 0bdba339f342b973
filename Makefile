# Hyperliquid Nova. `make help` lists the commands.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup dev demo test fuzz soak lint types check bench lock clean

# Arguments for the program behind a target: make demo ARGS="--duration 90s --headless"
ARGS ?=
# Worlds that `make soak` plays.
SEEDS ?= 1-50
# Test processes; 0 runs all in one.
WORKERS ?= 2
# Interpreter for .venv; empty looks for a suitable python3.
PYTHON ?=
export PYTHON

BIN := .venv/bin
RUN_STAMP := .venv/.stamp-run
DEV_STAMP := .venv/.stamp-dev
KERNEL_STAMP := .venv/.stamp-kernels
KERNELS := $(wildcard core/*/kernels.py core/*/indicators.py)
SOURCES := core benchmarks scripts tests

help: ## list the commands
	@echo 'usage: make COMMAND [ARGS="..."]'
	@echo
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo 'examples: make demo ARGS="--duration 90s --headless"    make test ARGS="tests/engines -x"'

setup: $(KERNEL_STAMP) ## build .venv, install nova, compile the kernels
dev: setup $(DEV_STAMP) ## setup, and what the tests and checks need

$(RUN_STAMP): requirements-build.txt requirements.txt pyproject.toml scripts/setup.sh
	@scripts/setup.sh run
	@touch $@

$(DEV_STAMP): $(RUN_STAMP) requirements-dev.txt
	@scripts/setup.sh dev
	@touch $@

$(KERNEL_STAMP): $(RUN_STAMP) $(KERNELS)
	@printf '  '; $(BIN)/python -m core.runtime.warm_up
	@touch $@

# In the foreground of a terminal (its process group is the terminal's) the demo gets a process group
# of its own by `set -m`: Ctrl-C then reaches it alone, and make ends with the demo's exit code.
demo: setup ## trade on the local exchange with recorded data
	@if [ -t 0 ] && set -- $$(cut -d ' ' -f 5,8 /proc/self/stat 2>/dev/null) && [ "$$1" = "$$2" ]; \
	then set -m; fi; $(BIN)/nova demo $(ARGS)

test: dev ## run the tests
	@$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

# Inputs for `make fuzz`; each run takes another seed and prints how to repeat what it found.
FUZZ_INPUTS ?= 200000

fuzz: dev ## send the local exchange whatever comes to mind, for minutes
	@NOVA_FUZZ_INPUTS=$(FUZZ_INPUTS) $(BIN)/python -m pytest tests/simulation_server/test_fuzz.py $(ARGS)

soak: dev ## many simulated lives of the bot with crashes and outages (SEEDS=1-200)
	@$(BIN)/python -m tests.soak.runner $(SEEDS) $(ARGS)

lint: dev ## format, style and security rules
	@$(BIN)/ruff format --check $(SOURCES)
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/flake8 $(SOURCES)
	@$(BIN)/bandit --quiet --recursive --severity-level medium --confidence-level medium \
		core benchmarks scripts

types: dev ## strict types
	@$(BIN)/mypy

check: lint types test ## everything a change must pass: lint, types, tests

bench: dev ## measure; ratios come from one run
	@$(BIN)/python -m benchmarks $(ARGS)

# The three files hold names, versions and hashes; where to fetch from is the installer's business.
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url --no-config

lock: $(RUN_STAMP) ## pin the newest allowed versions of all packages, with hashes
	@$(COMPILE) --upgrade --group build --output-file requirements-build.txt
	@$(COMPILE) --upgrade pyproject.toml --output-file requirements.txt
	@$(COMPILE) --upgrade pyproject.toml --extra dev --constraint requirements.txt \
		--output-file requirements-dev.txt

clean: ## remove .venv and all that the tools wrote; sessions in logs/ stay
	@rm -rf .venv build dist ./*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
