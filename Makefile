# One word per intent. Everything below sets up what it needs; `make run` and `make test` work from a bare clone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Neither Kedro nor MLflow reports usage.
export DO_NOT_TRACK := 1
export MLFLOW_DISABLE_TELEMETRY := true

# Two processes of one thread each; the tests of a file share their fixtures.
SIDE_BY_SIDE := -n 2 --dist loadfile

# Every version, for every system and Python version; what is pinned stays, unless UPGRADE=--upgrade.
RESOLVE := $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --no-annotate \
	--custom-compile-command "make lock" $(UPGRADE)
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: run test test-fast gpu lint format samples tables benchmark viz ui serve docs bench lock clean help

help:  ## What there is
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 12

# What running needs.
$(VENV)/.ready: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Python 3.11 or newer is needed"'
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --requirement requirements.lock
	$(INSTALL) --no-deps --no-build-isolation --editable .
	touch $@

# And all extras, with the tools of tests and documentation.
$(VENV)/.ready-dev: $(VENV)/.ready requirements-dev.lock
	$(INSTALL) --requirement requirements-dev.lock
	touch $@

run: $(VENV)/.ready  ## The built-in benchmark, from rendering to report
	$(BIN)/kedro run

test: $(VENV)/.ready-dev  ## All tests
	OMP_NUM_THREADS=1 $(BIN)/pytest -q $(SIDE_BY_SIDE)

test-fast: $(VENV)/.ready-dev  ## Without the end-to-end runs
	OMP_NUM_THREADS=1 $(BIN)/pytest -q $(SIDE_BY_SIDE) -m "not slow"

gpu: $(VENV)/.ready-dev  ## Tests and benchmark that need a graphics processor
	$(BIN)/pytest -q -m gpu
	$(BIN)/python benchmarks/gpu.py

lint: $(VENV)/.ready-dev  ## Style, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.ready-dev  ## Put the style right
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

samples: $(VENV)/.ready  ## Fetch the small sets of real photographs
	$(BIN)/python -m scaling_ood.downloads samples

tables: $(VENV)/.ready  ## The paper's tables, our numbers beside the published ones
	$(BIN)/kedro run --pipelines comparison
	@echo "Tables: data/08_reporting/tables/tables.html"

benchmark: $(VENV)/.ready  ## A benchmark of your own photographs: NAME=… SETTING=… FROM=DIR [IN_DIST=FOLDER] [OOD="CLASS …"] [ANOMALY=ID]
	$(BIN)/python -m scaling_ood.new_benchmark "$(NAME)" "$(SETTING)" "$(FROM)" \
		$(if $(IN_DIST),--in-dist "$(IN_DIST)") $(foreach id,$(ANOMALY),--anomaly $(id)) \
		$(foreach class,$(OOD),--ood $(class))

viz: $(VENV)/.ready  ## The lineage graph (ENV=<benchmark> for another one)
	PYTHONWARNINGS=ignore KEDRO_ENV=$(or $(ENV),miniature) $(BIN)/kedro viz run --include-hooks

ui: $(VENV)/.ready  ## MLflow, to compare runs
	$(BIN)/python -m scaling_ood.tracking.ui

docs: $(VENV)/.ready-dev  ## The documentation as a site, in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

serve: $(VENV)/.ready  ## A packaged model (MODEL=<folder or models:/name/version> [PORT=5001])
	$(BIN)/python -m scaling_ood.serving $(MODEL) $(if $(PORT),--port $(PORT))

# The commit before the work on speed; a shallow clone has not got it.
AGAINST = $(shell git cat-file -e f82eb67 2>/dev/null && echo --against f82eb67)

bench: run $(VENV)/.ready-dev  ## Speed, side by side with the alternatives (IMAGES=200: fewer photographs, an hour)
	$(BIN)/python benchmarks/pixel_metrics.py
	$(BIN)/python benchmarks/intervals.py
	$(BIN)/python benchmarks/feeding.py
	$(BIN)/python benchmarks/score_extraction.py
	$(BIN)/python benchmarks/detectors.py $(AGAINST)
	$(BIN)/python benchmarks/precision.py
	$(BIN)/python benchmarks/scene_storage.py
	$(BIN)/python benchmarks/scene_memory.py
	$(BIN)/python benchmarks/start.py
	$(BIN)/python benchmarks/frames.py $(AGAINST)
	$(BIN)/python benchmarks/engines.py
	$(BIN)/python benchmarks/whole_job.py $(if $(IMAGES),--images $(IMAGES))

lock: $(VENV)/.ready-dev  ## Resolve the versions of all packages
	$(RESOLVE) --output-file requirements.lock
	$(RESOLVE) --output-file requirements-dev.lock --all-extras --constraint requirements.lock

clean:  ## Remove what runs have made; photographs and MLflow runs stay
	rm -rf data/0[2-8]_*/*/ data/01_raw/miniature* data/01_raw/test*
