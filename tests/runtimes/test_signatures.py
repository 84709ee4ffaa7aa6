"""Makers' exports run without a YAML, and their labels are those of an independent computation in numpy."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

pytest.importorskip("onnx")

from tests.runtimes.signatures import SIGNATURES, picture
from vidseg.cli.console import RunConsole
from vidseg.config import RunConfig
from vidseg.frames import Frame, VideoInfo
from vidseg.runtimes.registry import installed_engines
from vidseg.timing import StageTimers
from vidseg.wiring.engine import load_engine


@pytest.mark.parametrize("engine_name", ["openvino", "onnxruntime"])
@pytest.mark.parametrize("signature", SIGNATURES, ids=lambda signature: signature.name)
def test_labels_are_those_that_numpy_computes(signature, engine_name, tmp_path):
    if engine_name not in installed_engines() or "openvino" not in installed_engines():
        pytest.skip(f"{engine_name} is not installed")
    if engine_name not in signature.engines:
        pytest.skip("of another engine")
    path = signature.write(tmp_path)
    config = RunConfig(model=str(path), label_set=signature.label_set, threads=1, runtime=engine_name)
    engine = load_engine(config, RunConsole(quiet=True))
    segmenter = engine.segmenter(config, VideoInfo(1, 1, Fraction(1), still=True), StageTimers())
    image = picture(signature.size_hw)
    [found] = segmenter.segment([Frame(image, 0, 0, Fraction(1, 25))])
    expected = signature.labels(image)
    assert len(np.unique(expected)) >= 3  # a picture of one class would be right by chance
    wrong = found.label_map != expected
    assert wrong.mean() <= signature.rounding, f"{wrong.mean():.4f} of the pixels differ"
