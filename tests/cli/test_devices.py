"""The commands on a GPU, with torch: a pretended one always, on CUDA where there is one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

from tests.data.folders import make_dataset
from tests.pretend_gpu import pretend_gpu, require_cuda

ON_CUDA = ("--device", "cuda", "--runtime", "torch", "--imgsz", 64)


@pytest.fixture(params=["pretended", pytest.param("cuda", marks=pytest.mark.cuda)])
def on(request) -> Iterator[tuple[object, ...]]:
    """Options for a device and a small picture."""
    if request.param == "pretended":
        with pretend_gpu() as ran:
            yield *ON_CUDA, "--precision", "float32"  # the CPU takes three times as long in float16
        assert "conv2d" in ran
        return
    require_cuda()
    yield ON_CUDA


def masks(folder: str) -> list[bytes]:
    found = [cv2.imread(str(path), cv2.IMREAD_UNCHANGED).tobytes() for path in sorted(Path(folder).glob("*.png"))]
    assert len(found) == 12
    return found


def test_run_and_its_chunks_give_the_same_masks(cli, clip, on):
    result = cli("run", clip, "-o", "whole.mp4", "--save-masks", "whole", "-v", "--batch", 2, *on)
    assert result.code == 0 and f"torch, {on[1]}, " in result.err, result.err
    words = ("--resume", "--segment-seconds", 0.16, "--batch", 2)  # whole batches: a GPU may round others otherwise
    result = cli("run", clip, "-o", "pieces.mp4", "--save-masks", "pieces", *words, *on)
    assert result.code == 0, result.err
    assert masks("pieces") == masks("whole")


def test_batch(cli, clip, on):
    result = cli("batch", clip, "-o", "out", "--save-masks", "{stem}_masks", *on)
    assert result.code == 0 and len(list(Path("out").glob("*.mp4"))) == 1, result.err


def test_a_grid(cli, clip, on):
    result = cli("run", clip, clip, "--grid", "-o", "grid.mp4", *on)
    assert result.code == 0 and Path("grid.mp4").exists(), result.err


def test_bench_names_the_gpu(cli, clip, on):
    result = cli("bench", clip, "--seconds", 0.05, "--batch", 1, "--json", "bench.json", *on)
    found = json.loads(Path("bench.json").read_text()) if result.code == 0 else {}
    assert found["machine"]["gpu"] and found["bound"]["by_cores"] is None, result.err


def test_train_resume_eval_and_run(cli, clip, tmp_path, on):
    data = make_dataset(tmp_path / "set", 2, (64, 96))
    tiny = ("--batch", 2, "--crop", "64x64", "--warmup", 1, "--points", 0, *on[:2], *on[6:])
    result = cli("train", data, "-o", "run", "--steps", 2, "--save-every", 1, *tiny)
    assert result.code == 0 and f", {on[1]}, " in result.err, result.err
    result = cli("train", data, "-o", "run", "--steps", 2, "--resume", *tiny)
    assert result.code == 0, result.err
    result = cli("eval", data, "--weights", "run/weights.safetensors", *on)
    assert result.code == 0 and "pixel accuracy" in result.out, result.err
    assert cli("run", clip, "-o", "out.mp4", "--weights", "run/weights.safetensors", *on).code == 0
