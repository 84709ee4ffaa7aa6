# Every target works on a fresh machine with Python 3.11 or newer and a package index.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-slow test-window test-newest test-slim drills check format bench weights weights-small docs docs-pictures clean

demo: .venv/installed  ## set up and segment the bundled sample
	$(BIN)/vidseg run samples/street.mp4 -o street_annotated.mp4 --legend --labels -y

test: .venv/installed  ## set up and run the tests
	$(BIN)/python -m pytest

test-slow: .venv/installed  ## the tests that take minutes and are left out elsewhere
	$(BIN)/python -m pytest -m slow

drills: .venv/installed  ## damaged files, kills, full disks, closed terminals: some 15 minutes, one table
	$(BIN)/python benchmarks/drills.py

test-window: .venv/installed  ## the tests of windows, with the OpenCV that opens them in place of the other
	$(BIN)/pip uninstall -q -y opencv-python-headless && $(BIN)/pip install -q -c constraints.txt opencv-python
	$(BIN)/python -m pytest -m window

test-newest:  ## the tests with the newest packages and Pythons; takes an hour, and GBs of disk for a while
	.ci/newest

test-slim:  ## the Dockerfile's commands and the first of the README in a bare Debian; needs root and debootstrap
	.ci/slim

docs: .venv/installed-docs  ## the site of docs/, in build/docs; any warning is an error
	$(BIN)/python -m sphinx -W --keep-going -q docs build/docs

# CLIPS is a folder with intel*.mp4 (Intel's "one by one person detection", CC BY 4.0) and *nasa*.mp4 (a NASA clip, public
# domain); without it only the pictures of the bundled sample are made.
docs-pictures: .venv/installed  ## all pictures of the README and docs/ anew: make docs-pictures CLIPS=folder
	$(BIN)/python docs/make_pictures.py $(if $(CLIPS),--clips $(CLIPS))

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

# DATA holds camvid/{train,val}, scenes and scenes_gray, each with images/ labels/ and perhaps soft/ (see docs/training.md);
# some 80 minutes each on two cores with AVX512-BF16. Both go on after a kill. `weights` starts from START, the bundled
# weights unless it says otherwise, and takes the mean of those and the new ones in the end. `weights-small` widens the nano: CamVid
# validation 0.616 mIoU, 0.920 accuracy, held-out photos 0.703 came out, no clear gain for four times the weights: not bundled.
# The same on a GPU: --device cuda, no --precision.
START = vidseg/zoo/weights/fai-m2f-n-ade.safetensors
NEEDS_DATA = $(if $(DATA),,$(error give DATA=folder))
TRAIN = $(NEEDS_DATA)$(BIN)/vidseg train $(DATA)/camvid/train $(DATA)/scenes $(DATA)/scenes_gray runs/street --holdout 0,25,25,0 --resume \
	--batch 16 --points 0 --semantic 8 --threads 2 --precision bfloat16 --val $(DATA)/camvid/val --val-mapping camvid11 --imgsz 384

weights: runs/street  ## train the bundled nano further: make weights DATA=folder
	$(TRAIN) --mix 28,60,4,8 --lr 8e-4 --steps 2000 --seed 1 --init $(START) -o runs/nano1
	$(TRAIN) --mix 24,64,4,8 --lr 7e-4 --steps 2400 --seed 2 --init runs/nano1/weights.safetensors -o runs/nano2
	$(BIN)/python -c "import sys; from safetensors.torch import load_file, save_file; a, b = map(load_file, sys.argv[1:3]); \
		save_file({k: ((a[k].double() + b[k].double()) / 2).to(a[k].dtype) for k in a}, sys.argv[3])" \
		$(START) runs/nano2/weights.safetensors runs/nano.safetensors

weights-small: runs/street  ## train the small model from the nano: make weights-small DATA=folder
	$(TRAIN) -m fai-m2f-s-ade --mix 20,68,4,8 --lr 3.5e-4 --steps 4500 --seed 3 --init $(START) -o runs/small

runs/street: | .venv/installed
	$(NEEDS_DATA)
	rm -rf $@.part && mkdir -p runs && $(BIN)/python samples/render_dataset.py $@.part && mv $@.part $@

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q -c constraints.txt -e '.[dev]'
	touch $@

.venv/installed-docs: .venv/installed
	$(BIN)/pip install -q -c constraints.txt -e '.[docs]'
	touch $@

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
