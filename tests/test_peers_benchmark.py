"""How `benchmarks/peers.py` names who is missing, and compares those who are not. It times nothing here."""

import argparse
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "peers.py"


@pytest.fixture
def peers(monkeypatch):
    spec = importlib.util.spec_from_file_location("peers_benchmark", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    return module


def test_a_peer_that_is_not_installed_is_named_and_left_out(peers, monkeypatch, capsys):
    monkeypatch.setattr(peers, "find_spec", lambda name: None if name == "supervision" else object())
    found = [side.name for side in peers.SIDES if peers.takes_part(side, argparse.Namespace(own=False))]
    assert "onnxruntime, supervision" not in found and {"onnxruntime", "openvino queue", "vidseg"} <= set(found)
    assert "onnxruntime, supervision: left out, supervision is not installed" in capsys.readouterr().err


def test_ratios_are_those_of_the_same_turn(peers, capsys):
    turns = ((1.0, 2.0), (4.0, 2.0), (2.0, 3.0))  # seconds of ours and theirs
    ours, theirs = ([{"frames": 10, "seconds": turn[side], "cpu_seconds": 1.0} for turn in turns] for side in (0, 1))
    task = argparse.Namespace(clip="clip.mp4", model="net.onnx", repeat=3)
    peers.show(task, {"vidseg": ours, "openvino queue": theirs})
    line = capsys.readouterr().out.splitlines()[-1]
    assert "openvino queue:    5.0 frames/s,  100.0 ms of CPU a frame; vidseg is 1.50x as fast (0.50 to 2.00)" in line


def test_colours_are_blended_over_the_frame_by_label(peers):
    labels = np.array([[0, 7]], dtype=np.uint8)
    picture = peers.painter("plain")(np.full((1, 2, 3), 100, dtype=np.uint8), labels)
    assert np.abs(picture - (50 + peers.palette()[labels] / 2)).max() <= 0.5
