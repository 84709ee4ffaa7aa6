# Every target works on a fresh machine with Python 3.11 or newer and a package index.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check format bench weights clean

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

# DATA holds camvid/{train,val}, scenes and scenes_gray, each with images/ labels/ and perhaps soft/ (see README, "Train and
# measure"); two hours on one core with AVX512-BF16. Goes on after a kill. The same on a GPU: --device cuda, no --precision.
weights: .venv/installed  ## train the bundled weights: make weights DATA=folder
	test -d runs/street/labels || $(BIN)/python samples/render_dataset.py runs/street
	$(BIN)/vidseg train $(DATA)/camvid/train $(DATA)/scenes $(DATA)/scenes_gray runs/street --mix 30,55,5,10 \
		--holdout 0,25,25,0 --init pretrained -o runs/nano --resume --steps 5000 --batch 16 --lr 1e-3 --points 0 \
		--threads 1 --precision bfloat16 --val $(DATA)/camvid/val --val-mapping camvid11 --imgsz 384 --val-every 1000

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q -c constraints.txt -e '.[dev]'
	touch $@

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
