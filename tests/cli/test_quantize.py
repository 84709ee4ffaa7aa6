"""`vidseg quantize` as a user sees it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from vidseg import zoo
from vidseg.models import create_model
from vidseg.runtimes.loading import load_model

NANO = "m2f-mobile-ade"
SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "street.mp4"


def test_the_command_makes_a_version_that_runs_find(cli, tmp_path, monkeypatch):
    monkeypatch.setattr("vidseg.runtimes.quantized.engines_folder", lambda: tmp_path / "engines")
    mine, weights = create_model(NANO), tmp_path / "mine.safetensors"
    mine.load_state_dict(load_model(NANO).state_dict())
    with torch.no_grad():
        next(mine.parameters()).mul_(1.01)
    zoo.export_weights(weights, mine.state_dict())
    made = cli("quantize", SAMPLE, "--weights", weights, "--pictures", 20, "--imgsz", 96)
    assert made.code == 0 and "calibrated on 18 images" in made.err, made.err
    assert made.out == "" and "runs look" not in made.err
    run = cli("run", SAMPLE, "--limit", 2, "--weights", weights, "--precision", "int8", "-o", "out.mp4", "-v")
    assert run.code == 0 and "int8" in run.err, run.err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--pictures", 5), "--pictures is 5; accepted: 20 or more"),
        (("-o", "{there}"), "exists; overwrite it with -y"),
        (("-m", "nope"), "unknown model 'nope'"),
        (("-o", "nowhere/x.zip"), "nowhere does not exist; create it first"),
        (("-o", "notazip.txt"), "notazip.txt: an int8 version is a .zip file; give -o NAME.int8.zip"),
        (("--imgsz", 5), "imgsz is 5; accepted: a whole number from 32 to 4096"),
    ],
)
def test_what_cannot_be_quantised_is_told_in_one_line(cli, tmp_path, words, text):
    there = tmp_path / "there.zip"
    there.touch()
    result = cli("quantize", SAMPLE, *(there if word == "{there}" else word for word in words))
    assert result.code == 2 and text in result.err, result.err
    assert len(result.err.strip().splitlines()) == 1


def test_the_help_names_the_extra_in_brackets(cli):
    assert "pip install 'vidseg[int8]'" in cli("quantize", "--help").out
