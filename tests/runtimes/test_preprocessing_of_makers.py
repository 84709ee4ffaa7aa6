"""What a network sees is what its makers' own preprocessing gives: sizes and padding exactly, levels within 1 of 255.

The numbers come from transformers 4.57.6 with Pillow 13.0.0 (`image_processing_*.py`: `Processor(**settings)(picture)`)
and from `LetterBox` of ultralytics 8.4.190 with OpenCV.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

from vidseg.runtimes.makers.huggingface import described
from vidseg.runtimes.model_file import read_model_file
from vidseg.runtimes.model_format import InputFormat
from vidseg.segmentation.preprocess import on_canvas

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
NORMAL = {"do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": MEAN, "image_std": STD}
CORNER = [1.7865, 2.0784, 1.7163]
BLACK = [-2.1179, -2.0357, -1.8044]


def picture() -> np.ndarray:
    cells = np.random.default_rng(7).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return cells.repeat(8, axis=0).repeat(8, axis=1)[:45, :61]


def seen(given: InputFormat) -> np.ndarray:
    """(3, h, w) as the network gets it."""
    image = picture()
    pixels = on_canvas(image, given.place(*image.shape[:2], given.default_imgsz()), given)[0].numpy().astype(float)
    pixels = pixels[::-1] if given.channels == "BGR" else pixels
    mean, std = (np.reshape(values, (3, 1, 1)) for values in (given.mean, given.std))
    return (pixels / given.divide_by - mean) / std


@pytest.mark.parametrize(
    ("kind", "processor", "settings", "values"),
    [
        (
            "segformer",
            "SegformerImageProcessor",
            {"size": {"height": 32, "width": 48}, "resample": 2, **NORMAL},
            [(32, 48), [1.855, 0.9405, -0.7761], [-0.1828, -1.5105, 2.5006], CORNER],
        ),
        (
            "segformer",
            "SegformerImageProcessor",
            {"size": {"height": 32, "width": 48}, "resample": 3, **NORMAL},
            [(32, 48), [1.9407, 1.0105, -0.8633], [-0.1657, -1.6331, 2.64], CORNER],
        ),
        (
            "mask2former",
            "Mask2FormerImageProcessor",
            {"size": {"shortest_edge": 40, "longest_edge": 2048}, **NORMAL},  # 40x54, up to multiples of 32
            [(64, 64), [0.2624, -0.7402, 2.1868], [-0.3541, 0.1001, -1.2641], CORNER],
        ),
        (
            "maskformer",
            "MaskFormerImageProcessor",
            {"size": {"shortest_edge": 40, "longest_edge": 50}, "size_divisor": 8, **NORMAL},
            [(40, 56), [1.3927, 0.3277, 0.3393], [-0.3369, -0.0574, -0.9156], CORNER],
        ),
        (
            "eomt",
            "EomtImageProcessor",
            {"size": {"shortest_edge": 64, "longest_edge": 64}, "do_pad": True, "do_split_image": False, **NORMAL},
            [(64, 64), [0.2624, -0.7402, 2.1868], BLACK, BLACK],  # padded before it is normalised
        ),
        (
            "mobilevit",
            "MobileViTImageProcessor",
            {"size": 40, "do_center_crop": False, "do_flip_channel_order": True},
            [(40, 54), [0.3294, 0.6196, 0.898], [0.5373, 0.302, 0.4235], [0.7922, 0.9216, 0.8941]],
        ),
    ],
    ids=["stretched", "bicubic", "mask2former", "maskformer", "eomt", "mobilevit"],
)
def test_a_network_of_hugging_face_sees_what_transformers_gives(tmp_path, kind, processor, settings, values):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": kind, "id2label": {"0": "a", "1": "b"}}))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"image_processor_type": processor, **settings}))
    found = described(tmp_path / "model.onnx")
    assert found is not None
    (tmp_path / "net.onnx").touch()
    (tmp_path / "net.onnx.yaml").write_text(json.dumps({"labels": ["a", "b"], "input": found.input}))
    given = read_model_file(str(tmp_path / "net.onnx")).input
    pixels, (size_hw, *expected) = seen(given), values
    assert pixels.shape[1:] == size_hw
    h, w = size_hw
    for (y, x), value in zip(((5, 7), (h - 9, w - 12), (h - 1, w - 1)), expected, strict=True):
        levels = np.multiply(pixels[:, y, x] - value, given.std) * 255
        assert np.abs(levels).max() <= 1.05, (y, x)


def test_a_network_of_ultralytics_sees_what_letterbox_gives():
    pixels = seen(InputFormat(fixed_hw=(64, 64), padding=(114, 114, 114), antialias=False))
    grey = [114, 114, 114]
    expected = {(7, 5): grey, (8, 5): [139, 74, 229], (30, 40): [143, 6, 60], (20, 63): [50, 161, 223], (55, 5): grey}
    assert all(np.abs(pixels[:, y, x] - value).max() <= 1 for (y, x), value in expected.items())
