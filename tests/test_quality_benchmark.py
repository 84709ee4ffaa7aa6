"""A part of what `benchmarks/quality.py` measures on the bundled sample, with room to spare."""

from __future__ import annotations

import importlib.util
import itertools
import re
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "quality.py"


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> dict[str, list[float]]:
    """Row -> flicker, its ratio, accuracy, mIoU, its ratio; of 40 frames in which street and camera move."""
    spec = importlib.util.spec_from_file_location("quality_benchmark", SCRIPT)
    assert spec is not None and spec.loader is not None
    quality = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = quality  # dataclasses look their module up
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPT.parent))  # as a script finds what lies beside it
        spec.loader.exec_module(quality)
    frames = quality.video
    printed: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quality, "video", lambda *paths: itertools.islice(frames(*paths), 60, None))
        patch.setattr(quality, "print", printed.append, raising=False)
        patch.setattr(quality.torch, "set_num_threads", lambda count: None)
        patch.setattr(quality.cv2, "setNumThreads", lambda count: None)
        patch.setattr(sys, "argv", ["quality.py", "--limit", "40", "--imgsz", "384"])
        quality.main()
    rows = (re.fullmatch(r"  (.{32})((?: *[\d.]+){2,5})(?:   .*)?", line) for line in printed)
    return {row[1].strip(): [float(number) for number in row[2].split()] for row in rows if row}


def test_the_bundled_weights_know_the_sample(table):
    _, _, accuracy, miou, _ = table["frame by frame"]
    assert accuracy > 0.88 and miou > 0.4  # of 11 classes; the network has never seen a rendered street


def test_smoothed_video_is_much_calmer_and_as_right(table):
    _, flicker_ratio, _, _, miou_ratio = table["smoothed"]
    assert flicker_ratio < 0.65 and miou_ratio > 0.98


def test_masks_carried_along_are_nearly_as_right_as_those_of_every_frame_and_better_than_held_ones(table):
    carried, held = table["every 4th, flow"], table["every 4th, hold"]
    assert carried[4] > 0.95 and carried[4] > held[4] and carried[0] < held[0]
