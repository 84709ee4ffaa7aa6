"""What the stages remember, written down and read back, gives the same results as if nothing had happened."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.fakes import frame as plain_frame
from vidseg.frames import Frame, Segmentation
from vidseg.motion.propagate import FlowPropagator
from vidseg.motion.tracker import FlowTracker
from vidseg.pipeline.policy import InferenceStride, RateLimit
from vidseg.saved_state import State, load_state, save_state
from vidseg.segmentation.temporal import ScoreSmoother

TEXTURE = cv2.resize(np.random.default_rng(0).integers(0, 256, (12, 24, 3), dtype=np.uint8), (160, 90))


def moving(index: int) -> Frame:
    """A texture that moves; another one from frame 6 on."""
    texture = TEXTURE if index < 6 else TEXTURE[::-1, :, ::-1]
    image = np.ascontiguousarray(texture[index : index + 64, 3 * index : 3 * index + 96])
    return Frame(image, index, index, plain_frame(0).time_base, 1)


def through_a_file(state: State, folder: Path) -> State:
    save_state(folder / "state", state)
    return load_state(folder / "state")


def scores(index: int) -> torch.Tensor:
    return torch.rand(5, 8, 12, generator=torch.Generator().manual_seed(index))


@pytest.mark.parametrize("cut", range(10))
def test_smoothing_goes_on_exactly(tmp_path: Path, cut: int) -> None:
    def smoother() -> ScoreSmoother:
        return ScoreSmoother(FlowTracker(), seconds=0.2)

    whole, first, second = smoother(), smoother(), smoother()
    expected = [whole.smooth(moving(i), scores(i)) for i in range(10)]
    for i in range(cut):
        first.smooth(moving(i), scores(i))
    second.restore(through_a_file(first.state(), tmp_path))
    for i in range(cut, 10):
        maps, classes = second.smooth(moving(i), scores(i))
        assert torch.equal(maps, expected[i][0]) and (classes == expected[i][1]).all()


@pytest.mark.parametrize("cut", range(10))
def test_carried_masks_go_on_exactly(tmp_path: Path, cut: int) -> None:
    labels = Segmentation(np.arange(64 * 96, dtype=np.uint8).reshape(64, 96), 0)

    def step(propagator: FlowPropagator, index: int) -> np.ndarray | None:
        carry = propagator.follow(moving(index))
        if carry is None or index == 3:
            propagator.anchor()
            return None
        return carry(labels).label_map

    whole, first, second = FlowPropagator(), FlowPropagator(), FlowPropagator()
    expected = [step(whole, i) for i in range(10)]
    assert [i for i, found in enumerate(expected) if found is None] == [0, 3, 6]
    for i in range(cut):
        step(first, i)
    second.restore(through_a_file(first.state(), tmp_path))
    for i in range(cut, 10):
        assert np.array_equal(step(second, i), expected[i])  # type: ignore[arg-type]


@pytest.mark.parametrize("cut", range(12))
def test_stride_and_rate_go_on_exactly(tmp_path: Path, cut: int) -> None:
    sizes = [(4, 4)] * 7 + [(6, 6)] * 5
    scenes = [i in (2, 3, 9) for i in range(12)]

    def steps(stride: InferenceStride, rate: RateLimit, start: int, end: int) -> list[tuple[bool, bool]]:
        return [(stride.wants(sizes[i], new_scene=scenes[i]), rate.keep(i / 30)) for i in range(start, end)]

    expected = steps(InferenceStride(4), RateLimit(20), 0, 12)
    stride, rate = InferenceStride(4), RateLimit(20)
    assert steps(stride, rate, 0, cut) == expected[:cut]
    kept = through_a_file({"stride": stride.state(), "rate": rate.state()}, tmp_path)
    stride, rate = InferenceStride(4), RateLimit(20)
    stride.restore(kept["stride"])
    rate.restore(kept["rate"])
    assert steps(stride, rate, cut, 12) == expected[cut:]
