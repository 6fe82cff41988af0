# What a newcomer needs: Python 3.11 and make. Every target installs what it needs into .venv, on demand.
#
#   make quickstart   the whole chain on text that every Python ships: vocabulary, store, pre-training, fine-tuning, report
#   make test         the tests that take seconds each, with coverage
#   make test-all     those and the ones that take minutes each
#   make lint         ruff (lint and format) and mypy
#   make bench        every speed against the tools that people use, side by side, onto docs/benchmarks.md
#   make clean        remove the environment and every build product

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
MEASURED := docs/results/benchmarks
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist worksteal

.PHONY: quickstart test test-all lint bench clean

quickstart: .venv/runtime
	$(BIN)/bertsmith quickstart

test: .venv/dev
	$(PYTEST) -m "not slow" --cov --cov-report=term

test-all: .venv/dev
	$(PYTEST) --hypothesis-profile=new-examples --cov --cov-report=term

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/bench
	mkdir -p $(MEASURED)
	for size in tiny mini small; do $(BIN)/python benchmarks/pretraining_step.py --size $$size --json $(MEASURED)/step-$$size.json || exit 1; done
	$(BIN)/python benchmarks/pretraining_step.py --size base --rounds 5 --warm-up 2 --json $(MEASURED)/step-base.json
	for size in mini small; do $(BIN)/python benchmarks/step_profile.py --size $$size --json $(MEASURED)/profile-$$size.json || exit 1; done
	$(BIN)/python benchmarks/step_profile.py --size base --steps 7 --warm-up 8 --json $(MEASURED)/profile-base.json
	$(BIN)/python benchmarks/encoding.py --json $(MEASURED)/encoding.json
	$(BIN)/python benchmarks/preparation.py $(TEXTS) --json $(MEASURED)/preparation.json
	$(BIN)/python docs/benchmark_tables.py
	$(BIN)/python docs/generate.py

clean:
	rm -rf .venv build dist src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage .coverage.*
	find src tests benchmarks docs -name __pycache__ -type d -prune -exec rm -rf {} +

# torch comes first and alone: with it in place nothing else asks for another build of it. A stamp is younger than what
# it was made from, so a changed pin or dependency installs again.
.venv/torch: constraints.txt
	$(PYTHON) -m venv .venv
	$(INSTALL) torch
	touch $@

.venv/runtime: .venv/torch pyproject.toml
	$(INSTALL) --editable .
	touch $@

.venv/dev: .venv/runtime
	$(INSTALL) --editable '.[dev]'
	touch $@

.venv/bench: .venv/dev
	$(INSTALL) --editable '.[bench]'
	touch $@
