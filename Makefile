# `make test` and `make figures` work on a fresh machine with python3, make and a network.
# Machines without a network name an existing environment: make test PYTHON=/path/to/python VENV=
VENV ?= .venv
ifeq ($(VENV),)
PYTHON ?= python3
READY :=
else
PYTHON = $(VENV)/bin/python
READY := $(VENV)/.ready
endif

# Python compiles what is imported, once: pip would compile the whole of every package.
unexport PYTHONDONTWRITEBYTECODE
# Many small matrices: BLAS threads only collide with each other.
export OPENBLAS_NUM_THREADS ?= 1
export OMP_NUM_THREADS ?= 1
# XLA's thread pool: on two threads LAPACK calls inside one program can starve each other.
export NPROC ?= 8
# An application may cache compiled programs; the library itself never does.
export JAX_COMPILATION_CACHE_DIR ?= $(HOME)/.cache/theory-simulator
export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS ?= 0
export JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES ?= -1

.PHONY: help setup lint test test-all mutation figures docs bench clean

help:
	@echo "make figures   set up, draw the figures of the README into figures/"
	@echo "make test      set up, lint, check types, run the tests"
	@echo "make test-all  the same with the slow tests"
	@echo "make mutation STUDY=NAME  which mistakes in a study's theory its tests would miss (minutes)"
	@echo "make docs      the documentation, in docs/_build/html"
	@echo "make bench     side-by-side speed ratios"
	@echo "make lint      ruff and mypy only"

setup: $(READY)

$(VENV)/.ready: pyproject.toml constraints.txt
	test -x $(VENV)/bin/python || python3 -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile \
		--constraint constraints.txt --editable ".[all,docs,test]"
	touch $@

lint: $(READY)
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

test: lint
	$(PYTHON) -m pytest -n 2 --dist loadgroup

test-all: lint
	$(PYTHON) -m pytest -n 2 --dist loadgroup -m ''

# One mutant after the other; a second call goes on where this one stopped. STUDY may be a module
# that studies share: STUDY=maths.zipf.
mutation: $(READY)
	@test -n "$(STUDY)" || { echo "name a study: make mutation STUDY=ridge-collapse"; exit 2; }
	@$(PYTHON) -c "import cosmic_ray" 2>/dev/null || $(PYTHON) -m pip install --quiet \
		--disable-pip-version-check --constraint constraints.txt --editable ".[all,mutation]"
	$(PYTHON) -m tests.mutation $(STUDY)

# One script per core, the long ones first: most of their time is compilation and small matrices.
figures: $(READY)
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target \
		plot_real_data plot_scaling plot_associative_memory plot_tail_collapse plot_alignment \
		plot_gaussian_mixtures plot_data_accumulation plot_robust_regression \
		plot_concave_bandits plot_fair_ranking plot_planner plot_own_robustness

plot_%: $(READY)
	$(PYTHON) scripts/$@.py

# The pages of the studies come from the studies themselves.
docs: $(READY)
	$(PYTHON) -m sphinx -q -W --keep-going -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

bench: $(READY)
	$(PYTHON) -m benchmarks

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache
