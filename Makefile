# The two commands of the README: `make ablation-table` and `make test`. `make help` lists the others.
PYTHON ?= python3
VENV ?= .venv
DATA ?= digits
TABLES ?= 3
SEEDS ?= 1
OVERRIDES ?=
LAUNCHER ?= local
GPUS ?=
JOBS ?=
SETTINGS ?=
DEVICE ?= cpu

BIN := $(VENV)/bin
RESULTS := benchmarks/results
READY := $(VENV)/.ready
comma := ,
# Where runs lie is said to every command; SEEDS with a comma is a list.
PATHS := $(filter paths.%,$(OVERRIDES))
OF_RUNS := $(strip $(filter-out paths.%,$(OVERRIDES)))
LISTED := $(if $(findstring $(comma),$(SEEDS)),[$(SEEDS)],$(SEEDS))
PARALLEL := $(if $(filter slurm,$(LAUNCHER)),array_parallelism,gpus)
ABLATION = $(BIN)/python src/ablation.py tables=[$(TABLES)] data=$(DATA) seeds=$(LISTED) hydra/launcher=$(LAUNCHER) \
	$(if $(GPUS),hydra.launcher.$(PARALLEL)=$(GPUS)) $(if $(filter local,$(LAUNCHER)),$(if $(JOBS),hydra.launcher.cpu_slots=$(JOBS))) \
	$(PATHS) $(SETTINGS) "overrides='$(OF_RUNS)'"
PRINT = $(BIN)/python src/table.py data=$(DATA) $(PATHS) "overrides='$(OF_RUNS)'" "table=[$(TABLES)]"

DEMO := demo/runs/digits/small
OF_DEMO := model.batch_norm=true model.dropout=0.2 recipe.epochs=5

.DEFAULT_GOAL := help
.PHONY: help environment ablation-table transfer-table localisation-table degradation-table ablation-plan demo report table test test-slurm check-sweeps audit chaos lint format lock \
	unpack-imagenet bench fuzz

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 20
	@echo
	@echo "Settings: TABLES=3 (or 3,4,5,6,7,8,9,10,11,12,degradation), DATA=digits|folder|imagenet, SEEDS=1 (how many, or 0,4), OVERRIDES= (any"
	@echo "Hydra overrides of train.py), LAUNCHER=local|slurm, GPUS= (to use; of SLURM: jobs at a time), JOBS= (at a time on"
	@echo "this CPU; default: one for each core), SETTINGS= (of ablation.py, as hydra.launcher.partition=gpu), VENV=.venv,"
	@echo "PYTHON=python3, DEVICE=cpu|cuda (of bench), as in"
	@echo "  make ablation-table TABLES=3,4,5,6,7"
	@echo "  make ablation-table LAUNCHER=slurm GPUS=8 DATA=imagenet SEEDS=3 OVERRIDES='data.root=/path/to/ILSVRC2012'"

environment: $(READY)  ## Make the virtual environment VENV from requirements.lock, if it is missing

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("error: Python 3.11 or newer is needed, not " + sys.version.split()[0] \
		+ "; type make PYTHON=<path to one>" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@

ablation-table: $(READY)  ## Train and evaluate what TABLES still lack, in the paper's order, and print them
	$(ABLATION)

transfer-table: TABLES = 11,12
transfer-table: ablation-table  ## Transfer features to other data sets as Tables 11 and 12 still lack, and print them

localisation-table: TABLES = 8,9,10
localisation-table: ablation-table  ## Train and test box regressors as Tables 8, 9 and 10 still lack, and print them

degradation-table: TABLES = degradation
degradation-table: ablation-table  ## Train nets of depth 11 to 56, plain and with shortcuts, that are not yet trained, and print their errors

ablation-plan: $(READY)  ## Print what ablation-table would run, and how long that might take
	$(ABLATION) dry_run=true

demo: $(READY)  ## Train a small net on the digits, draw its heat map and mistakes, and write its report page, into demo/
	$(BIN)/python src/train.py experiment=table3/a $(OF_DEMO) paths.runs=demo/runs hydra.run.dir=$(DEMO)
	$(BIN)/python src/draw.py run=$(DEMO) figure=heatmap image=3 output=demo/heatmap
	$(BIN)/python src/draw.py run=$(DEMO) figure=mistakes output=demo/mistakes
	$(BIN)/python src/report.py paths.runs=demo/runs output=demo "overrides='$(OF_DEMO)'"
	@echo "Look at demo/report.html, demo/heatmap.png and demo/mistakes.png."

report: $(READY)  ## Write one HTML page of all tables, charts and runs, and where each figure comes from
	$(BIN)/python src/report.py data=$(DATA) $(PATHS) "overrides='$(OF_RUNS)'"

table: $(READY)  ## Print TABLES from the results that exist
	$(PRINT)

test: $(READY)  ## Run the test suite, slow tests included
	$(BIN)/python -m pytest --numprocesses auto

test-slurm: $(READY)  ## Run the tests against a SLURM cluster that they start here (as root; apt-get install slurm-wlm munge)
	$(BIN)/python -m pytest -m slurm tests/slurm

check-sweeps: $(READY)  ## Check W&B's sweep files, and print the commands of their agents
	$(BIN)/python -m vggsuite.sweep_file sweeps/*.yaml

lint: $(READY)  ## Check format, style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy benchmarks

audit: $(READY)  ## Look up known vulnerabilities of the locked versions, where PyPI can be reached
	$(BIN)/python .ci/audit.py

chaos: $(READY)  ## Kill commands 100 times at random moments, repeat them, and compare (an hour)
	$(BIN)/python tests/chaos.py --rounds 100 --save $(RESULTS)/chaos_cpu.md

format: $(READY)  ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(READY)  ## Resolve pyproject.toml to requirements.lock: exact versions, for every platform
	$(BIN)/uv pip compile --universal --python-version 3.11 --extra dev --quiet --no-header --no-annotate \
		--output-file requirements.lock pyproject.toml

bench: $(VENV)/.bench  ## Measure speed, memory and what decoders do to learning, beside the peers, into benchmarks/results (two hours)
	$(BIN)/python benchmarks/input_pipeline.py --save $(RESULTS)/input_pipeline_cpu.md
	$(BIN)/python benchmarks/training_step.py --device $(DEVICE) --save $(RESULTS)/training_step_$(DEVICE).md
	$(BIN)/python benchmarks/lightning_overhead.py --device $(DEVICE) --save $(RESULTS)/lightning_overhead_$(DEVICE).md
	$(BIN)/python benchmarks/memory.py --save $(RESULTS)/memory_cpu.md
	$(BIN)/python benchmarks/storage.py --save $(RESULTS)/storage_cpu.md
	$(BIN)/python benchmarks/evaluation.py --device $(DEVICE) --save $(RESULTS)/evaluation_$(DEVICE).md
	$(BIN)/python benchmarks/transfer.py --save $(RESULTS)/transfer_cpu.md
	$(BIN)/python benchmarks/merging.py --save $(RESULTS)/merging_cpu.md
	$(BIN)/python benchmarks/sweep_overhead.py --save $(RESULTS)/sweep_overhead_cpu.md
	$(BIN)/python benchmarks/decoders.py --save $(RESULTS)/decoders_cpu.md

$(VENV)/.bench: $(READY)
	$(BIN)/python -m pip install --quiet --constraint requirements.lock --editable '.[bench]'
	@touch $@

fuzz: $(READY)  ## Give 100,000 damaged files to everything that reads files, and tell what is found (half an hour)
	$(BIN)/python tests/fuzz.py --save $(RESULTS)/fuzz.md

unpack-imagenet: $(READY)  ## Unpack ILSVRC-2012's tar files in ROOT into train/ and val/ class folders there
	$(BIN)/python -m vggsuite.data.unpack_imagenet $(ROOT)
