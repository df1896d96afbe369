# `make demo` and `make test` do everything on a fresh machine; the rest is for people who change the code.
# Choose another interpreter with PYTHON=python3.12, put the environment elsewhere with VENV=DIR,
# use an NVIDIA GPU with EXTRAS=dev,cuda. `make lock RAISE=numpy` raises one package, RAISE=all every one.

PYTHON ?= python3
VENV ?= .venv
PEERS ?= .venv-peers
EXTRAS ?= dev
RAISE ?=
SHARE ?= 1/1
BIN := $(VENV)/bin
TRACES := tests/chapters/test_traces.py
RUN := PYTHON=$(PYTHON) VENV=$(VENV) scripts/setup.sh

.PHONY: demo test test-slow book setup suites lint peers test-peers torture bench faults lock offline help
.DEFAULT_GOAL := help

help:           ## list the targets
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:.*## */\t/' | expand -t 14

demo: setup     ## set up; proof of life, train Fetch Reach from sparse rewards, verdict, report
	@$(BIN)/wellposed demo

test: setup     ## set up; run the tests but the slow ones
	$(BIN)/pytest -n 2 --dist worksteal -m "not slow"

test-slow: setup ## the slow tests: faults on the disk, studies, pages on a phone, traces; SHARE=2/5 is a fifth of them
	$(BIN)/pytest -n 3 --dist worksteal -m slow --share $(SHARE) --ignore $(TRACES)
	XLA_FLAGS= $(BIN)/pytest -n 2 --dist worksteal -m slow --share $(SHARE) $(TRACES)

book: setup     ## set up; build the course as a site that needs no network, in site/; fetches 5 MB from npm once
	@$(BIN)/python -m course.book.engine
	@$(BIN)/wellposed book

lint: setup     ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

setup:          ## create or refresh the environment; does nothing if it is current
	@$(RUN) $(EXTRAS)

suites:         ## set up with every suite: panda-gym and OGBench besides Gymnasium-Robotics, which is always there
	@$(RUN) dev,panda,ogbench

peers:          ## a second environment, with Stable-Baselines3, SBX, EnvPool and PyTorch
	@PYTHON=$(PYTHON) VENV=$(PEERS) scripts/setup.sh dev,peers

test-peers: peers ## the comparisons with Stable-Baselines3, run live
	$(PEERS)/bin/pytest tests/peers -n 0

torture: setup  ## what takes too long for the tests: kills, a run's life, mutated files, two hours of training watched
	$(BIN)/python -m tests.torture --kills 200
	$(BIN)/python -m tests.torture_launch
	$(BIN)/python -m tests.runs.life --steps 20000
	$(BIN)/python -m tests.fuzz --inputs 200000
	$(BIN)/python -m benchmarks.endurance --minutes 120

bench: peers    ## side-by-side measurements with the peers, as ratios of one run
	$(PEERS)/bin/python -m benchmarks.stepping
	$(PEERS)/bin/python -m benchmarks.sampling
	$(PEERS)/bin/python -m benchmarks.throughput
	$(PEERS)/bin/python -m benchmarks.time_to_success FetchReach-v4 --peers sb3 sbx
	$(PEERS)/bin/python -m benchmarks.time_to_success FetchPush-v4 --seeds 0 --peers sb3 --give-up 1100
	$(PEERS)/bin/python -m benchmarks.side_by_side
	$(PEERS)/bin/python -m benchmarks.cost
	$(PEERS)/bin/python -m benchmarks.plan
	$(PEERS)/bin/python -m benchmarks.checkpointing
	$(PEERS)/bin/python -m benchmarks.listing
	$(PEERS)/bin/python -m benchmarks.launching
	$(PEERS)/bin/python -m benchmarks.pixels
	$(PEERS)/bin/python -m benchmarks.wrappers

faults:         ## hours: train every fault of docs/diagnose.md and as many sound runs; who names them
	$(BIN)/python -m benchmarks.faults train runs/faults
	$(BIN)/python -m benchmarks.faults table runs/faults --seeds report

lock:           ## pin every package anew, with checksums, into lock/ (see CONTRIBUTING.md)
	@PYTHON=$(PYTHON) scripts/lock.sh $(RAISE)

offline: setup  ## the demo and the tests with the network cut off
	@scripts/offline.sh $(MAKE) demo
	@scripts/offline.sh $(MAKE) test
