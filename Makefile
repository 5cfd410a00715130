# make demo   the eight scripts on the synthetic data set, ending with data/demo/report.html
# make demo-film   the seven scripts of studies/film_encoding on its synthetic films, ending with data/film-demo/report.html
# make film   what that study needs beside requirements.txt; without it its tests are skipped
# make test   every test
# make test-full   every test, with 10,000 files in each fuzz test and more than 50 kills: half an hour more
# make benchmark   most tables of docs/speed.md, some of them at a smaller size
PYTHON ?= python3
BIN := .venv/bin
unexport NEUROFACE_CONFIG  # the demo and the tests are about config.py as it stands

demo: .venv/demo.stamp
	@set -e; for script in [1-8]-*.py; do $(BIN)/python $$script; done
	@echo "done: open data/demo/report.html"

demo-film: .venv/film.stamp
	@set -e; for script in studies/film_encoding/[1-7]-*.py; do $(BIN)/python $$script; done
	@echo "done: open data/film-demo/report.html"

film: .venv/film.stamp

test: .venv/test.stamp
	$(BIN)/ruff check .
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-full: .venv/test.stamp
	NEUROFACE_FULL=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

benchmark: .venv/demo.stamp
	$(BIN)/python benchmarks/extraction.py
	$(BIN)/python benchmarks/stages.py
	$(BIN)/python benchmarks/training.py --voxels 4000 --windows 80 --steps 2
	$(BIN)/python benchmarks/attribution.py --voxels 1000 --repeats 1

.venv/%.stamp: requirements.txt requirements-test.txt requirements-film.txt pyproject.toml
	$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 10) <= v < (3, 14) else f"Python 3.10 to 3.13 is needed, this is {v.major}.{v.minor}. Try: make PYTHON=python3.12 $*")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -r $(if $(filter demo,$*),requirements.txt,requirements-$*.txt)
	touch $@

.PHONY: demo demo-film film test test-full benchmark
.PRECIOUS: .venv/%.stamp
