# `make demo` and `make test` do everything on a fresh machine; the rest is for people who change the code.
# Choose another interpreter with PYTHON=python3.12, put the environment elsewhere with VENV=DIR.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
RUN := PYTHON=$(PYTHON) VENV=$(VENV) scripts/setup.sh

.PHONY: demo test setup lint peers test-peers bench lock help
.DEFAULT_GOAL := help

help:           ## list the targets
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:.*## */\t/' | expand -t 14

demo: setup     ## set up; proof of life, train Fetch Reach from sparse rewards, verdict, report
	@$(BIN)/wellposed demo

test: setup     ## set up; style, types, tests
	@$(MAKE) --no-print-directory lint
	$(BIN)/pytest -n 2

lint:           ## style and types of an environment that is set up
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

setup:          ## create or refresh the environment; does nothing if it is current
	@$(RUN) dev

peers:          ## a second environment, with Stable-Baselines3, SBX, EnvPool and PyTorch
	@PYTHON=$(PYTHON) VENV=.venv-peers scripts/setup.sh dev,peers

test-peers: peers ## the comparisons with Stable-Baselines3, run live
	.venv-peers/bin/pytest tests/peers -n 0

bench: peers    ## side-by-side measurements with the peers, as ratios of one run
	.venv-peers/bin/python -m benchmarks.stepping
	.venv-peers/bin/python -m benchmarks.sampling
	.venv-peers/bin/python -m benchmarks.time_to_success

lock:           ## pin every dependency anew into constraints.txt (see CONTRIBUTING.md)
	PYTHON=$(PYTHON) scripts/lock.sh
