# Everything runs in .venv, which each target sets up by itself. PYTHON=python3.12 make setup chooses the interpreter.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help setup demo reproduce test lint slow schema assets clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP)  ## install everything into .venv

# torch goes first: a torch that is already there is kept, and nothing later can pull in a second build of it.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --upgrade pip
	$(BIN)/pip install torch==2.13.0 -c constraints.txt
	$(BIN)/pip install -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(STAMP)  ## round-trip RL on the bundled tiny model: before and after, in minutes on two cores
	$(BIN)/rtrl-chem train configs/quickstart.yaml --overwrite

reproduce: $(STAMP)  ## the longer run behind the README's numbers: three seeds and the yardsticks
	$(BIN)/python scripts/experiment.py eval/experiments/reproduce.yaml
	$(BIN)/python scripts/yardsticks.py configs/quickstart.yaml --model bundled:tiny --set evaluation.size=1000 --out eval/yardsticks.json

test: lint  ## ruff, mypy and the tests
	$(BIN)/pytest

lint: $(STAMP)  ## ruff and mypy alone
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

slow: $(STAMP)  ## the tests that take minutes
	$(BIN)/pytest -m 'slow and not gpu'

schema: $(STAMP)  ## write configs/schema.json from the config's classes
	$(BIN)/rtrl-chem schema > configs/schema.json.new
	mv configs/schema.json.new configs/schema.json

assets: $(STAMP)  ## build the bundled data and tokenizer again (Java, Python 3.11); the models: scripts/train_tiny.py
	$(BIN)/pip install -c constraints.txt -e '.[assets]'
	$(BIN)/python scripts/build_naming_data.py --out rtrl_chem/assets/naming
	$(BIN)/python scripts/build_reaction_data.py --out rtrl_chem/assets/reaction
	$(BIN)/python scripts/build_tokenizer.py --data rtrl_chem/assets/naming --out rtrl_chem/assets/tiny

clean:  ## remove .venv and caches; runs/ stays
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info build dist
	find rtrl_chem scripts tests -name __pycache__ -type d -prune -exec rm -rf {} +
