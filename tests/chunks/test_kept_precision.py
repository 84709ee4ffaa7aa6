"""What a run that is gone on with keeps from how it was begun: the number format, and not the number of cores."""

from fractions import Fraction
from types import SimpleNamespace

import pytest
import torch

from tests.video.clips import make_clip
from vidseg.chunks.resume import run_facts, with_kept_precision
from vidseg.config import RunConfig
from vidseg.frames import VideoInfo
from vidseg.wiring.engine import Engine
from vidseg.wiring.network_input import NetworkInput
from vidseg.wiring.work_folder import WorkFolder


@pytest.mark.parametrize(
    ("given", "kept", "expected"),
    [("auto", "bfloat16", "bfloat16"), ("float32", "bfloat16", "float32"), ("auto", None, "auto")],
)
def test_the_number_format_of_the_first_process_is_kept(tmp_path, given, kept, expected):
    folder = WorkFolder(tmp_path / "out.mp4")
    if kept is not None:
        folder.claim()
        folder.commit({"pieces": 0, "facts": {"settings": {"precision": kept}}})
    assert with_kept_precision(RunConfig(precision=given), folder).precision == expected


@pytest.mark.parametrize(("runtime", "same"), [("openvino 2026.4.1, cpu, int8", True), ("torch, cuda, float16", False)])
def test_a_run_is_gone_on_with_on_other_cores_where_they_do_not_matter(tmp_path, runtime, same):
    clip = make_clip(tmp_path / "clip.mp4", frames=2)
    engine = Engine("m2f-mobile-ade", SimpleNamespace(name=runtime), NetworkInput(64), torch.device("cpu"))
    config, info = RunConfig(source=str(clip), output="out.mp4"), VideoInfo(64, 48, Fraction(1, 25))
    two, eight = (run_facts(config, engine, info, batch) for batch in (2, 8))
    assert (two == eight) is same
