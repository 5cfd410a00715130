# make demo   the eight scripts on the synthetic data set, ending with data/demo/report.html
# make test   every test
# make test-full   every test, with 10,000 files in each fuzz test and more than 50 kills: half an hour more
# make demo-film   the study "film and brain" on its synthetic films, ending with data/film-demo/report.html
# make film-encoding   what that study needs beside requirements.txt; make test skips its tests without it
# make film   what 0-annotate_film.py needs beside the rest
# make demo-volumes   the study of labelled volumes on its synthetic data set, ending with data/volumes-demo/report.html
# make benchmark   most tables of docs/speed.md, some of them at a smaller size
# make demo-images   the study "seen images" on its synthetic data set, ending with data/images-demo/report.html
# make images-test   what the tests of that study need; make test skips them without it
PYTHON ?= python3
BIN := .venv/bin
unexport NEUROFACE_CONFIG  # the demo and the tests use config.py without an experiment file
# The PyTorch to install, as pip would be told: a release, or the file of a build without CUDA.
TORCH ?= torch

demo: .venv/demo.stamp
	@set -e; for script in [1-8]-*.py; do $(BIN)/python $$script; done
	@echo "done: open data/demo/report.html"

demo-film: .venv/film-encoding.stamp
	@set -e; for script in studies/film_encoding/[1-7]-*.py; do $(BIN)/python $$script; done
	@echo "done: open data/film-demo/report.html"

film-encoding: .venv/film-encoding.stamp

demo-volumes: .venv/volumes.stamp
	@set -e; for script in studies/volumes/[1-7]-*.py; do $(BIN)/python $$script; done
	@echo "done: open data/volumes-demo/report.html"

test: .venv/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy neuroface [0-8]-*.py config.py
	@for study in film_encoding seen_images volumes; do \
	  MYPYPATH=studies/$$study $(BIN)/mypy studies/$$study || exit 1; done
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-full: .venv/test.stamp
	NEUROFACE_FULL=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

film: .venv/film.stamp

demo-images: .venv/images.stamp
	@set -e; for script in studies/seen_images/[1-7]-*.py; do $(BIN)/python $$script; done
	@echo "done: open data/images-demo/report.html"

images-test: .venv/images-test.stamp

benchmark: .venv/demo.stamp
	$(BIN)/python benchmarks/extraction.py
	$(BIN)/python benchmarks/stages.py
	$(BIN)/python benchmarks/training.py --voxels 4000 --windows 80 --steps 2
	$(BIN)/python benchmarks/attribution.py --voxels 1000 --repeats 1

.venv/%.stamp: $(wildcard requirements*.txt) pyproject.toml
	$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 10) <= v < (3, 14) else f"Python 3.10 to 3.13 is needed, this is {v.major}.{v.minor}. Try: make PYTHON=python3.12 $*")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -r $(or $(wildcard requirements-$*.txt),requirements.txt)
	touch $@

.venv/film.stamp: .venv/demo.stamp requirements-film.txt
	$(BIN)/python -m pip install --quiet -r requirements-film.txt
	touch $@

.venv/images.stamp: | .venv/demo.stamp
.venv/images-test.stamp: | .venv/test.stamp
.venv/images.stamp .venv/images-test.stamp: .venv/%.stamp: requirements-%.txt requirements-images.txt
	$(BIN)/python -m pip install --quiet "$(TORCH)"
	$(BIN)/python -m pip install --quiet -r $<
	touch $@

.PHONY: demo demo-film demo-images demo-volumes film film-encoding images-test test test-full benchmark
.PRECIOUS: .venv/%.stamp
