# Every target works on a fresh machine with Python 3.11 or newer and a package index.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-slow test-window test-newest test-slim test-processors drills check format bench weights docs docs-pictures clean

demo: .venv/installed  ## set up and segment the bundled sample
	$(BIN)/vidseg run samples/street.mp4 -o street_annotated.mp4 --legend --labels -y

test: .venv/installed  ## set up and run the tests
	$(BIN)/python -m pytest

test-slow: .venv/installed  ## the tests that take minutes and are left out elsewhere
	$(BIN)/python -m pytest -m slow

drills: .venv/installed  ## damaged files, kills, full disks, closed terminals: some 10 minutes, one table
	$(BIN)/python benchmarks/drills.py

test-window: .venv/installed  ## the tests of windows, with the OpenCV that opens them in place of the other
	$(BIN)/pip uninstall -q -y opencv-python-headless && $(BIN)/pip install -q -c constraints.txt opencv-python
	$(BIN)/python -m pytest -m window

test-newest:  ## the tests with the newest packages and Pythons; takes an hour, and GBs of disk for a while
	.ci/newest

test-slim:  ## the Dockerfile's commands and the first of the README in a bare Debian; needs root and debootstrap
	.ci/slim

test-processors: .venv/installed  ## the tests that float32 decides, with the instructions of older processors too; takes an hour
	.ci/processors

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

# DATA holds camvid, idd and coco, each with train and val, and people, scenes and photos: folders of images/, labels/ and perhaps
# sets.csv and soft/ (see docs/training.md). The four runs together take some five hours on one core with AVX512-BF16; after a kill
# the same command continues. Starts from START, the bundled weights unless it says otherwise. The same on a GPU: --device cuda, no --precision.
START = vidseg/zoo/weights/m2f-mobile-ade.safetensors
NEEDS_DATA = $(if $(DATA),,$(error give DATA=folder))
FOLDERS = $(addprefix $(DATA)/,camvid/train idd/train coco/train people scenes photos)

TRAIN = $(BIN)/vidseg train $(FOLDERS) -m m2f-mobile-ade --resume --batch 16 --crop 288x384 --points 0 --semantic 8 \
	--freeze 3 --threads 1 --workers 1 --precision bfloat16 --val $(DATA)/coco/val_dense --val-every 600

# FIRST SECOND SHARE OUT: weights that are SHARE of the second file and the rest of the first.
MEAN = $(BIN)/python -c "import sys; from safetensors.torch import load_file, save_file; a, b = map(load_file, sys.argv[1:3]); \
	t = float(sys.argv[3]); save_file({k: ((1 - t) * a[k].double() + t * b[k].double()).to(a[k].dtype) for k in a}, sys.argv[4])"

weights: .venv/installed  ## train the bundled network further and put it into the package: make weights DATA=folder
	$(NEEDS_DATA)
	$(TRAIN) --mix 14,15,13,7,17,34 --balance 0.1 --steps 3700 --warmup 250 --lr 7e-4 --ema 0.9985 --seed 11 --init $(START) -o runs/mobile1
	$(TRAIN) --mix 18,27,16,6,11,22 --balance 0.1 --steps 1150 --warmup 60 --lr 3e-4 --ema 0.998 --seed 12 --init runs/mobile1/weights.safetensors -o runs/mobile2
	$(MEAN) runs/mobile1/weights.safetensors runs/mobile2/weights.safetensors 0.5 runs/mobile12.safetensors
	$(BIN)/python samples/render_dataset.py runs/street --pictures 168 --streets 14
	$(TRAIN) runs/street --mix 12,28,15,7,13,20,5 --balance 0.1 --steps 4000 --warmup 100 --lr 7e-4 --ema 0.9985 --seed 13 --init runs/mobile12.safetensors -o runs/mobile3
	$(MEAN) runs/mobile12.safetensors runs/mobile3/weights.safetensors 0.7 runs/mobile123.safetensors
	$(TRAIN) runs/street --mix 9,26,22,7,12,20,4 --balance 0.2 --steps 4550 --warmup 100 --lr 7e-4 --ema 0.9985 --seed 14 --init runs/mobile123.safetensors -o runs/mobile4
	$(MEAN) runs/mobile123.safetensors runs/mobile4/weights.safetensors 0.5 runs/mobile1234.safetensors
	$(TRAIN) runs/street --mix 8,22,16,6,18,28,2 --balance 0.4 --steps 4000 --warmup 100 --lr 7e-4 --ema 0.9985 --seed 16 --init runs/mobile1234.safetensors -o runs/mobile5
	$(MEAN) runs/mobile1234.safetensors runs/mobile5/weights.safetensors 0.85 runs/mobile12345.safetensors
	$(BIN)/python samples/paste_lights.py $(DATA)/photos runs/lights --pictures 900
	$(TRAIN) runs/street runs/lights --mix 8,21,18,5,17,24,2,5 --balance 0.4 --steps 3400 --warmup 100 --lr 7e-4 --ema 0.9985 --seed 17 --init runs/mobile12345.safetensors -o runs/mobile6
	$(MEAN) runs/mobile12345.safetensors runs/mobile6/weights.safetensors 0.5 runs/mobile123456.safetensors
	$(TRAIN) runs/street runs/lights --mix 8,18,21,8,18,24,1,2 --balance 0.3 --steps 950 --warmup 40 --lr 3e-4 --ema 0.996 --seed 18 --init runs/mobile123456.safetensors -o runs/mobile7
	$(MEAN) runs/mobile12345.safetensors runs/mobile7/weights.safetensors 0.35 runs/mobile.safetensors
	$(BIN)/python benchmarks/package.py runs/mobile.safetensors --data $(DATA) --rare 0.25
	$(BIN)/python benchmarks/confidence.py --model m2f-mobile-ade $(addprefix --data $(DATA)/,idd/val coco/val coco/val_dense) --write

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install -q -c constraints.txt -e '.[dev]'
	touch $@

.venv/installed-docs: .venv/installed
	$(BIN)/pip install -q -c constraints.txt -e '.[docs]'
	touch $@

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
