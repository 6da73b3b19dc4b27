# The two commands of the README: `make ablation-table` and `make test`. `make help` lists the others.
PYTHON ?= python3
VENV ?= .venv
DATA ?= digits
SEEDS ?= 0
OVERRIDES ?=
TABLES ?= 3
DEVICE ?= cpu

BIN := $(VENV)/bin
RESULTS := benchmarks/results
READY := $(VENV)/.ready
CORES := $(shell getconf _NPROCESSORS_ONLN)
JOBS ?= $(if $(filter digits,$(DATA)),$(CORES),1)
MANY := --multirun hydra/launcher=local hydra.launcher.cpu_slots=$(JOBS) data=$(DATA)
TRAIN := $(BIN)/python src/train.py $(MANY) seed=$(SEEDS) $(OVERRIDES)
# What was trained with OVERRIDES is found by them; where runs lie, and the devices, hold for the other commands too.
PATHS := $(filter paths.%,$(OVERRIDES))
DEVICES := $(filter trainer=% trainer.accelerator=% trainer.devices=%,$(OVERRIDES))
EVALUATE := $(BIN)/python src/evaluate.py $(MANY) seed=$(SEEDS) $(PATHS) $(DEVICES) "overrides='$(OVERRIDES)'"
FUSE := $(BIN)/python src/fuse.py $(MANY) seed=$(SEEDS) $(PATHS) "overrides='$(OVERRIDES)'"
PRINT := $(BIN)/python src/table.py data=$(DATA) $(PATHS) "overrides='$(OVERRIDES)'" "table=[$(TABLES)]"

# What the tables in TABLES need: of_tables gives its second argument if one of those in its first is wanted.
comma := ,
space := $() $()
WANTED := $(subst $(comma), ,$(TABLES))
$(if $(filter-out 3 4 5 6 7,$(WANTED)),$(error TABLES=$(TABLES) names a table that cannot be made; allowed: 3,4,5,6,7))
of_tables = $(if $(filter $(1),$(WANTED)),$(2))
list = $(subst $(space),$(comma),$(strip $(1)))
B := $(call of_tables,3 4,b)
C := $(call of_tables,3 4 6 7,c)

.DEFAULT_GOAL := help
.PHONY: help environment ablation-table table test lint format lock unpack-imagenet bench

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 20
	@echo
	@echo "Settings: TABLES=3 (or 3,4,5,6,7), DATA=digits|folder|imagenet, SEEDS=0 (or 0,1,2), OVERRIDES= (any Hydra"
	@echo "overrides of train.py), JOBS= (runs at a time; default: the CPU cores for digits, else 1), VENV=.venv,"
	@echo "PYTHON=python3, DEVICE=cpu|cuda (of bench), as in"
	@echo "  make ablation-table TABLES=3,4,5,6,7"
	@echo "  make ablation-table DATA=imagenet OVERRIDES='data.root=/path/to/ILSVRC2012'"

environment: $(READY)  ## Make the virtual environment VENV from requirements.lock, if it is missing

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("error: Python 3.11 or newer is needed, not " + sys.version.split()[0] \
		+ "; type make PYTHON=<path to one>" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@

ablation-table: $(READY)  ## Train and evaluate what TABLES still lack, in the paper's order, and print them
	$(TRAIN) experiment=$(call list,table3/a $(call of_tables,3,table3/a_lrn))
	$(TRAIN) experiment=$(call list,$(addprefix table3/,$(B) $(C) d e))
	$(TRAIN) experiment=$(call list,$(patsubst %,table3/%_384,$(C) d e))
	$(TRAIN) experiment=$(call list,$(patsubst %,table3/%_multi,$(B:b=c) d e))
ifneq ($(filter 4 6 7,$(WANTED)),)
	$(EVALUATE) experiment=$(call list,$(addprefix table4/,$(B) c d e c_384 d_384 e_384 $(B:b=c_multi) d_multi e_multi))
endif
ifneq ($(filter 5 6 7,$(WANTED)),)
	$(EVALUATE) experiment=table5/d_dense,table5/e_dense,table5/d_multi_crop,table5/e_multi_crop
	$(EVALUATE) experiment=table5/d_both,table5/e_both
endif
ifneq ($(filter 6 7,$(WANTED)),)
	$(FUSE) experiment=table6/submission,table6/dense,table6/multi_crop,table6/both
endif
	$(PRINT)

table: $(READY)  ## Print TABLES from the results that exist
	$(PRINT)

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

bench: $(VENV)/.bench  ## Measure speed, memory and what decoders do to learning, beside the peers, into benchmarks/results (an hour)
	$(BIN)/python benchmarks/input_pipeline.py --save $(RESULTS)/input_pipeline_cpu.md
	$(BIN)/python benchmarks/training_step.py --device $(DEVICE) --save $(RESULTS)/training_step_$(DEVICE).md
	$(BIN)/python benchmarks/lightning_overhead.py --device $(DEVICE) --save $(RESULTS)/lightning_overhead_$(DEVICE).md
	$(BIN)/python benchmarks/memory.py --save $(RESULTS)/memory_cpu.md
	$(BIN)/python benchmarks/storage.py --save $(RESULTS)/storage_cpu.md
	$(BIN)/python benchmarks/evaluation.py --device $(DEVICE) --save $(RESULTS)/evaluation_$(DEVICE).md
	$(BIN)/python benchmarks/decoders.py --save $(RESULTS)/decoders_cpu.md

$(VENV)/.bench: $(READY)
	$(BIN)/python -m pip install --quiet --constraint requirements.lock --editable '.[bench]'
	@touch $@

unpack-imagenet: $(READY)  ## Unpack ILSVRC-2012's tar files in ROOT into train/ and val/ class folders there
	$(BIN)/python -m vggsuite.data.unpack_imagenet $(ROOT)
