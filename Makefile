# Everything on a fresh Linux machine with Python >= 3.11 and make:
#   make demo    the main job: scribbles -> trained U-Net -> prediction
#   make test    all checks that CI makes

VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
DATA ?=

.PHONY: help demo test test-fast test-gui test-long mutants lint format install system coverage bench docs figures layers screenshots sample-data manifest constraints changelog clean

help:
	@echo "make demo | test | test-fast | test-gui | test-long | mutants | coverage | lint | format | install | bench | docs | figures | screenshots | manifest | clean"

install: system $(INSTALLED)

system:
	@.ci/system-libraries

$(INSTALLED): pyproject.toml constraints.txt
	@.ci/environment $(VENV)
	@touch $@

demo: install
	$(BIN)/napari-tessera demo

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: install
	.ci/test $(BIN)

coverage: install
	.ci/test $(BIN) --coverage

test-fast: install
	OMP_NUM_THREADS=1 $(BIN)/pytest -m "not gui and not slow and not long" -n 2 --dist loadfile -q

# What would take the checks too long: operations on all types with values at their limits, the largest networks.
test-long: install
	OMP_NUM_THREADS=1 $(BIN)/pytest -m long -n 2

# Single faults put into a copy of the package: each must be noticed by the tests beside it.
mutants: install
	.ci/with-display $(BIN)/python .ci/mutants.py

test-gui: install
	.ci/with-display $(BIN)/pytest -m "gui and not long"

# DATA=folder adds the comparisons on real images; benchmarks/stroke_sets.py says what lies in it.
bench: install
	.ci/with-display $(BIN)/python benchmarks/run.py $(DATA)

docs: install
	$(BIN)/mkdocs build --strict

# Pictures of classical tools on degraded real images.
figures: install
	$(BIN)/python docs/make_figures.py

# Run after adding a package or an arrow between layers: the picture of them, drawn from the imports.
layers: install
	$(BIN)/python docs/make_layers_picture.py

screenshots: install
	.ci/with-display $(BIN)/python docs/make_screenshots.py

# Run after adding an operation or changing its title: its place in napari's Layers menu.
manifest: install
	$(BIN)/python -m napari_tessera.napari_plugin.manifest

sample-data: install
	$(BIN)/python sample_data/make_sample_data.py

# Run after changing dependencies, in an environment where the tests pass.
constraints:
	$(BIN)/python .ci/pin.py > constraints.new
	mv constraints.new constraints.txt

# The fragments of changes/ become the section of a version:  make changelog VERSION=1.2.3
changelog: install
	$(BIN)/towncrier build --yes --version $(VERSION)

clean:
	rm -rf build dist site htmlcov .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
