# The two commands of the README: `make ablation-table` and `make test`. `make help` lists the others.
PYTHON ?= python3
VENV ?= .venv
DATA ?= digits
SEEDS ?= 0
OVERRIDES ?=

BIN := $(VENV)/bin
READY := $(VENV)/.ready
CORES := $(shell getconf _NPROCESSORS_ONLN)
JOBS ?= $(if $(filter digits,$(DATA)),$(CORES),1)
TRAIN := $(BIN)/python src/train.py --multirun hydra/launcher=processes hydra.launcher.num_jobs=$(JOBS) \
	data=$(DATA) seed=$(SEEDS) $(OVERRIDES)

.DEFAULT_GOAL := help
.PHONY: help environment ablation-table table test lint format lock unpack-imagenet clean-environment

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 20
	@echo
	@echo "Settings: DATA=digits|folder|imagenet, SEEDS=0 (or 0,1,2), OVERRIDES= (any Hydra overrides), JOBS= (runs at a"
	@echo "time; default: the CPU cores for digits, else 1), VENV=.venv, PYTHON=python3, as in"
	@echo "  make ablation-table DATA=imagenet OVERRIDES='data.root=/path/to/ILSVRC2012'"

environment: $(READY)  ## Make the virtual environment VENV from requirements.lock, if it is missing

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("error: Python 3.11 or newer is needed, not " + sys.version.split()[0] \
		+ "; type make PYTHON=<path to one>" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@

ablation-table: $(READY)  ## Train what Table 3 still lacks, in the paper's order, and print the table
	$(TRAIN) experiment=table3/a,table3/a_lrn
	$(TRAIN) experiment=table3/b,table3/c,table3/d,table3/e
	$(TRAIN) experiment=table3/c_384,table3/d_384,table3/e_384
	$(TRAIN) experiment=table3/c_multi,table3/d_multi,table3/e_multi
	$(BIN)/python src/table.py data=$(DATA) "overrides='$(OVERRIDES)'"

table: $(READY)  ## Print Table 3 from the runs that exist
	$(BIN)/python src/table.py data=$(DATA) "overrides='$(OVERRIDES)'"

test: $(READY)  ## Run the test suite, slow tests included
	$(BIN)/python -m pytest

lint: $(READY)  ## Check format, style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(READY)  ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(READY)  ## Resolve pyproject.toml to requirements.lock: exact versions, for every platform
	$(BIN)/uv pip compile --universal --python-version 3.11 --extra dev --quiet --no-header --no-annotate \
		--output-file requirements.lock pyproject.toml

unpack-imagenet: $(READY)  ## Unpack ILSVRC-2012's tar files in ROOT into train/ and val/ class folders there
	$(BIN)/python -m vggsuite.data.unpack_imagenet $(ROOT)
