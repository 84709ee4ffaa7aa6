"""At which size a network sees frames: asked for, published, or one that a CPU keeps up with."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch

from vidseg.config import RunConfig
from vidseg.errors import ConfigError
from vidseg.frames import VideoInfo
from vidseg.presets import resolve
from vidseg.wiring.network_input import network_input, published_advice, same_everywhere

VIDEO, STILL = VideoInfo(1280, 720, Fraction(1, 25)), VideoInfo(1280, 720, Fraction(1), still=True)
PUBLISHED = "fai-m2f-m-ade"


@pytest.mark.parametrize(
    ("words", "device", "video", "pictures"),
    [
        ({}, "cpu", (288, 512), (640, 1138)),  # 640 * 1280 / 720 is 1137.8
        ({}, "cuda", (640, 1138), (640, 1138)),
        ({"preset": "published"}, "cpu", (640, 1138), (640, 1138)),
        ({"imgsz": 320}, "cpu", (176, 320), (176, 320)),
        ({"imgsz": 320}, "cuda", (176, 320), (176, 320)),
        ({"short_side": 320}, "cpu", (320, 568), (320, 568)),
        ({"model": "m2f-mobile-ade"}, "cpu", (216, 384), (216, 384)),
        ({"model": "m2f-mobile-ade", "preset": "published"}, "cpu", (216, 384), (216, 384)),
    ],
)
def test_published_models_get_their_published_size_but_for_video_on_a_cpu(words, device, video, pictures):
    size = network_input(resolve({"model": PUBLISHED, **words}), torch.device(device))
    assert size.network_hw(VIDEO, 720, 1280) == video
    assert size.network_hw(STILL, 720, 1280) == pictures


def test_of_windows_the_network_sees_one_at_its_own_size():
    size = network_input(RunConfig(tiles="2x1", imgsz=512), torch.device("cpu"))
    assert size.window_hw(720, 1280) == (720, 731)  # 1280 / 1.75: a quarter of a window is seen by both
    assert size.network_hw(VIDEO, 720, 1280) == (504, 512) and size.words(VIDEO) == "long side 512, 2x1 windows"


def test_a_strip_is_no_larger_than_focoos_makes_it():
    size = network_input(RunConfig(model=PUBLISHED), torch.device("cpu"))
    assert size.network_hw(STILL, 100, 2000) == (205, 4096) and size.network_hw(STILL, 2000, 100) == (4096, 205)


def test_a_cpu_says_how_videos_get_the_published_size():
    size = network_input(RunConfig(model=PUBLISHED), torch.device("cpu"))
    assert str(size) == "long side 512, of pictures short side 640"
    advice = published_advice(PUBLISHED, size)
    assert advice is not None and "long side 512" in advice and "--preset published" in advice
    for config, device in (
        (RunConfig(model=PUBLISHED), "cuda"),
        (RunConfig(model=PUBLISHED, imgsz=512), "cpu"),
        (RunConfig(), "cpu"),
    ):
        assert published_advice(config.model, network_input(config, torch.device(device))) is None


@pytest.mark.parametrize(("here", "there"), [("cpu", "cuda"), ("cuda", "cpu")])
@pytest.mark.parametrize("info", [VIDEO, STILL], ids=["video", "picture"])
def test_machines_with_and_without_a_gpu_agree_once_the_size_is_said(here, there, info):
    config = RunConfig(model=PUBLISHED)
    said = same_everywhere(config, torch.device(here), still=info.still)
    wanted = network_input(config, torch.device(here)).network_hw(info, 720, 1280)
    for device in (here, there):
        assert network_input(said, torch.device(device)).network_hw(info, 720, 1280) == wanted


def test_two_sizes_are_refused():
    config = RunConfig(model=PUBLISHED, imgsz=512, short_side=512)
    with pytest.raises(ConfigError, match="--imgsz and --short-side both set the size"):
        network_input(config, torch.device("cpu"))
