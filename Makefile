# The same verbs at the desk and in CI. Everything is installed into virtual environments below this folder.
PYTHON ?= python3
VENV := .venv
FULL := .venv-full
OPENVINO := .venv-openvino
ANOMALIB := .venv-anomalib
PIP := pip install --quiet --disable-pip-version-check --constraint constraints.txt
PROJECT := pyproject.toml constraints.txt inspector/__init__.py

# Most tests wait for processes: three run at a time, each with a core at most, and the long ones begin first.
TESTS := -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

# Whatever an image says: each of the processes that the tests start would compile all anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test test-all test-openvino check fuzz bench bench-detectors bench-frames bench-view soak faults image docs clean

help:  ## say what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.run  ## run the daemon on a simulated line of four cameras, and show what it publishes
	@sh deploy/demo.sh $(VENV)/bin

test: $(VENV)/.dev  ## pass the tests that need nothing but Python (some minutes)
	OMP_NUM_THREADS=1 $(VENV)/bin/python $(TESTS) -m "not full"

test-all: test $(FULL)/.full  ## pass all tests: training, real cameras, Prometheus and systemd tools (root installs Debian packages)
	sh tests/debian-packages.sh
	sh tests/guest/build.sh $(FULL)/guest
	OMP_NUM_THREADS=1 $(FULL)/bin/python $(TESTS) -m "full and not alone"
	$(FULL)/bin/python -m pytest -m "full and alone"
	@$(MAKE) --no-print-directory test-openvino

test-openvino: $(OPENVINO)/.dev  ## pass the runtimes' tests on OpenVINO, whose build needs an environment of its own
	$(OPENVINO)/bin/python -m pytest tests/contract/test_runtimes.py

check: $(FULL)/.full  ## lint, check the types and that the generated documents are up to date
	$(FULL)/bin/ruff check .
	$(FULL)/bin/ruff format --check .
	$(FULL)/bin/mypy
	$(FULL)/bin/python -m inspector.docs --check

fuzz: $(VENV)/.dev  ## throw 100,000 hostile inputs at the daemon's ports (some minutes); FUZZ_SEED=N for others
	FUZZ_INPUTS=$${FUZZ_INPUTS:-50000} $(VENV)/bin/python -m pytest --timeout 0 tests/faults/test_hostile.py

bench: $(VENV)/.dev  ## measure the daemon beside the limit of this machine and a plain script (about a quarter of an hour)
	$(VENV)/bin/python -m benchmarks

soak: $(VENV)/.dev  ## run the daemon for MINUTES (20) with cameras and subscribers that break off, and look for what grows
	$(VENV)/bin/python -m benchmarks.soak --minutes $(or $(MINUTES),20)

faults: $(FULL)/.full  ## kill, stop, fill and cut off at length: minutes, not seconds as in the tests
	INSPECTOR_FAULTS=20 $(FULL)/bin/python -m pytest --timeout 0 tests/faults

image: $(FULL)/.full build/base.tar  ## build the container's image with buildah, and run it read-only (root; some minutes)
	INSPECTOR_BASE=build/base.tar $(FULL)/bin/python -m pytest tests/system/test_image.py

bench-detectors: $(VENV)/.dev $(OPENVINO)/.dev $(ANOMALIB)/.done  ## time the detectors in every precision beside anomalib's PatchCore (7 GB of packages)
	$(VENV)/bin/python -m benchmarks.detectors --openvino $(OPENVINO)/bin/python --anomalib $(ANOMALIB)/bin/python

bench-frames: $(VENV)/.dev  ## measure large frames: small defects found, what tiling costs, memory
	$(VENV)/bin/python -m benchmarks.frames

bench-view: $(FULL)/.full  ## measure the page for browsers: what it costs, what it holds, how fast it is there
	$(FULL)/bin/python -m benchmarks.view

docs: $(VENV)/.dev  ## write the documents that are generated from the code
	$(VENV)/bin/python -m inspector.docs

clean:  ## remove what was installed and written here
	rm -rf $(VENV) $(FULL) $(OPENVINO) $(ANOMALIB) run build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/.run: $(PROJECT)
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/$(PIP) --editable '.[cpu,view]'
	@touch $@

$(VENV)/.dev: $(PROJECT)
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/$(PIP) --editable '.[cpu,dev]'
	@touch $@ $(VENV)/.run

$(OPENVINO)/.dev: $(PROJECT)
	$(PYTHON) -m venv $(OPENVINO)
	$(OPENVINO)/bin/$(PIP) --editable '.[openvino,dev]'
	@touch $@

$(ANOMALIB)/.done: benchmarks/requirements-anomalib.txt
	$(PYTHON) -m venv $(ANOMALIB)
	$(ANOMALIB)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

# Stands in for the image that deploy/Containerfile is built on, so that no registry of images is needed.
build/base.tar:
	apt-get install -y -qq --no-install-recommends buildah mmdebstrap >/dev/null
	mkdir -p build
	mmdebstrap --quiet --variant=apt --include=ca-certificates,python-is-python3,python3-pip,python3-venv bookworm $@

# PyGObject is built here, by what only root can install; without it the tests that need it are skipped.
$(FULL)/.full: $(PROJECT) tests/requirements-full.txt tests/debian-packages.sh
	sh tests/debian-packages.sh
	$(PYTHON) -m venv $(FULL)
	$(FULL)/bin/$(PIP) --editable '.[cpu,dev,train]' --requirement tests/requirements-full.txt
	! pkg-config --exists gobject-introspection-1.0 cairo || $(FULL)/bin/$(PIP) --editable '.[gige]'
	@touch $@
