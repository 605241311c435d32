# Two commands for a fresh clone with git, make and Python 3.11 or newer:
#   make demo    the pipelines, end to end, against vendors that run on this machine
#   make test    lint, types, every test, coverage
# Everything is installed in .venv; nothing outside this folder is written. Safe to run again.

PYTHON ?= python3
PORT   ?= 8321
BIN    := .venv/bin
READY  := .venv/.ready
LOADED := .venv-plugins/.ready
ENGINE := .venv-airflow/.ready
# Twice as many as processors: many a test waits, for a vendor or a process.
WORKERS = $(shell $(BIN)/python -c 'import os; print(os.cpu_count() * 2)')
# Of every folder with a pyproject.toml; asked for when a rule needs it.
MODULES = $(shell $(BIN)/python scripts/packages.py modules)

# A virtual environment of the caller is not this one; no interpreter is downloaded.
unexport VIRTUAL_ENV
export UV_PYTHON_DOWNLOADS = never
# Each test and each run of a pipeline starts several programs, which would compile themselves.
export UV_COMPILE_BYTECODE := 1
unexport PYTHONDONTWRITEBYTECODE
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help install demo pictures pipeline test test-long test-neighbours bench bench-long check lint types workflows generate clean

help: ## this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

install: $(READY) $(LOADED) ## make .venv with everything in it, and .venv-plugins: the tests need no network

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "'$(PYTHON)' is missing or older than 3.11: install Python 3.11 or newer, or name it: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) scripts/aloud.py "making .venv" $(PYTHON) -m venv .venv
	@$(PYTHON) scripts/aloud.py "installing uv in it" \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9,<1'

$(READY): $(BIN)/uv pyproject.toml uv.lock $(wildcard */pyproject.toml docs/examples/*/pyproject.toml)
	@$(PYTHON) scripts/aloud.py "installing what uv.lock names in .venv" \
	  $(BIN)/uv sync --quiet --frozen --all-packages --all-extras
	@touch $@

# As Meltano installs them, each in an environment of its own, for the tests of pipelines.
$(LOADED): $(READY) meltano.yml
	@$(PYTHON) scripts/aloud.py "installing the plugins in .venv-plugins" $(BIN)/python scripts/install_plugins.py
	@-$(PYTHON) scripts/aloud.py "compiling the tests" \
	  $(BIN)/pytest -p no:terminal -o addopts=--import-mode=importlib --collect-only
	@touch $@

demo: $(READY) ## run the pipelines against the vendors of the sandbox (PORT=8321)
	@$(BIN)/python scripts/demo.py --port $(PORT)

pictures: $(READY) ## the README's pictures, from the pages that the demo ends with (needs Chromium)
	@$(BIN)/python scripts/pictures.py

pipeline: $(READY) ## a pipeline of your own: make pipeline FROM=invox TO=impact NAME=brand-c
	@$(BIN)/python scripts/new_pipeline.py '$(FROM)' '$(TO)' '$(NAME)'

test: check $(LOADED) ## lint, types, all tests but the long ones, coverage
	@echo "tests: pytest, $(WORKERS) at once; a dot is a test, the ten slowest and what was skipped stand at the end"
	@$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m 'not long and not scale' --durations=10 $(MODULES:%=--cov=%) --cov-report=term

test-long: $(LOADED) ## the long fault set: random kills, a million records (seeds are printed)
	$(BIN)/pytest -m hypothesis --hypothesis-profile new -n $(WORKERS) --timeout 3600
	$(BIN)/pytest -m long --ignore tests/neighbours --timeout 3600

test-neighbours: $(READY) ## other people's taps and targets at both ends of ours (needs a package index)
	$(BIN)/pytest -m long --timeout 1200 tests/neighbours tests/contract/test_wheels.py

bench: $(READY) ## speed beside other programs, a quarter of an hour: benchmarks/RESULTS.md
	$(BIN)/python benchmarks/bench.py

bench-long: $(READY) ## the same with more calls, a million of them delivered, and ten million rows
	$(BIN)/python benchmarks/bench.py --long

check: lint types workflows ## lint and types, no tests

lint: $(READY)
	@echo "lint: ruff"
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .

types: $(READY)
	@echo "types: mypy"
	@$(BIN)/mypy $(MODULES:%=-p %)
	@$(BIN)/mypy scripts orchestrate/airflow/dags/pipeline.py orchestrate/airflow/dags/verdict.py
	@cd benchmarks && MYPYPATH=../scripts ../$(BIN)/mypy bench.py

workflows: $(READY)
	@echo "workflows: actionlint, zizmor"
	@$(BIN)/actionlint -color
	@$(BIN)/zizmor --offline --quiet .github

generate: $(READY) ## settings of meltano.yml, hub/ and the READMEs, from each plugin's --about
	$(BIN)/python scripts/generate.py

# Many machines: Airflow, in an environment of its own (orchestrate/airflow/README.md)

$(ENGINE): orchestrate/airflow/requirements.txt $(READY)
	$(BIN)/uv venv --quiet --clear .venv-airflow
	$(BIN)/uv pip sync --quiet --python .venv-airflow $<
	@touch $@

airflow: $(ENGINE) ## Airflow in .venv-airflow, and the schedules of meltano.yml for its DAGs
	@cd orchestrate/airflow && meltano --environment=prod schedule list --format=json > schedules.new
	@mv orchestrate/airflow/schedules.new orchestrate/airflow/schedules.json

airflow-lock: $(READY) ## lock the newest versions of Airflow that will do
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --no-annotate \
	  --custom-compile-command 'make airflow-lock' \
	  -o orchestrate/airflow/requirements.txt orchestrate/airflow/requirements.in

scale-demo: $(ENGINE) ## a past of two sources over 1, 2 and 3 workers, one of which is killed (YEAR=1)
	@$(BIN)/python scripts/scale_demo.py $(if $(YEAR),--year)

test-scale: $(ENGINE) ## the tests of many machines (not part of make test)
	$(BIN)/pytest -m scale --timeout 1200 tests/orchestrate

clean: ## everything that make, meltano and the demo made
	rm -rf .venv .venv-airflow .venv-plugins .meltano .demo .scale orchestrate/airflow/schedules.json .mypy_cache .ruff_cache .pytest_cache htmlcov .coverage*
