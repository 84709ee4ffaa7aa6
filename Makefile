# Every target works on a fresh machine with Python 3.11 or newer and a package index.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check format bench clean

demo: .venv/installed  ## set up and segment the bundled sample
	$(BIN)/vidseg run samples/street.mp4 -o street_annotated.mp4 --legend --labels -y

test: .venv/installed  ## set up and run the tests
	$(BIN)/python -m pytest

check: .venv/installed  ## what a change has to pass: style, types, tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

format: .venv/installed  ## put the code into the house's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/installed  ## vidseg against the plain loop, side by side
	$(BIN)/python benchmarks/e2e.py

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
