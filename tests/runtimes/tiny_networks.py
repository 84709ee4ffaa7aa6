"""ONNX networks made for a test: a pixel's class is its strongest colour channel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper

NAMES = ["red", "green", "blue"]


def write_network(
    folder: Path,
    *,
    name: str = "net.onnx",
    channels: int = 3,
    input_shape: tuple[int | str, ...] = (1, 3, "height", "width"),
    layout: str = "NCHW",
    output: str = "NCHW",
    dtype: int = TensorProto.FLOAT,
    stride: int = 4,
    only_cells: tuple[int, int] | None = None,
    scaled: bool = False,
    describe: dict | None = None,
) -> Path:
    """Write the network and, unless `describe` is None, its YAML beside it.

    Scores are means over cells of `stride` pixels. Channels: nothing (score -1000), so many that the last three are
    red, green and blue; one channel: red - 0.5 of what comes in.

    Args:
        only_cells: rows and columns of cells; the network fails on anything else, though its input looks free.
        scaled: the picture is multiplied with a second input.
        output: "NCHW" or "NHWC" scores, or "NHW" labels (the number of the best channel).
    """
    nodes, last = [], "image"

    def add(kind: str, inputs: list[str], out: str, **attributes: object) -> None:
        nonlocal last
        nodes.append(helper.make_node(kind, inputs, [out], **attributes))
        last = out

    if dtype != TensorProto.FLOAT:
        add("Cast", [last], "floats", to=TensorProto.FLOAT)
    if layout == "NHWC":
        add("Transpose", [last], "planes", perm=[0, 3, 1, 2])
    add("AveragePool", [last], "cells", kernel_shape=[stride, stride], strides=[stride, stride])
    weight = np.zeros((channels, 3, 1, 1), dtype=np.float32)
    bias = np.zeros(channels, dtype=np.float32)
    if channels == 1:
        weight[0, 0], bias[0] = 1, -0.5
    else:
        weight[-3:, :, 0, 0] = np.eye(3)
        bias[:-3] = -1000
    constants = [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(bias, "bias")]
    if only_cells is not None:
        constants.append(numpy_helper.from_array(np.zeros((1, 1, *only_cells), dtype=np.float32), "zeros"))
        add("Add", [last, "zeros"], "checked")
    if scaled:
        add("Mul", [last, "scale"], "scaled")
    add("Conv", [last, "weight", "bias"], "scores" if output == "NCHW" else "planar")
    shape = [input_shape[0], channels, "h", "w"]
    kind = TensorProto.FLOAT
    if output == "NHWC":
        add("Transpose", [last], "scores", perm=[0, 2, 3, 1])
        shape = [input_shape[0], "h", "w", channels]
    if output == "NHW":
        add("ArgMax", [last], "scores", axis=1, keepdims=0)
        shape, kind = [input_shape[0], "h", "w"], TensorProto.INT64
    graph = helper.make_graph(
        nodes,
        "tiny",
        [
            helper.make_tensor_value_info("image", dtype, input_shape),
            *([helper.make_tensor_value_info("scale", TensorProto.FLOAT, (1,))] if scaled else []),
        ],
        [helper.make_tensor_value_info("scores", kind, shape)],
        constants,
    )
    path = folder / name
    _save(graph, path)
    if describe is not None:
        path.with_suffix(".yaml").write_text(yaml.safe_dump({"labels": NAMES, **describe}))
    return path


def _save(graph: onnx.GraphProto, path: Path) -> None:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def write_query_network(folder: Path, *, classes: int, describe: dict | None = None) -> Path:
    """A network of 5 queries and its YAML: mask logits are the red channel, and every query is of class 0."""
    logits = np.zeros((1, 5, classes + 1), dtype=np.float32)
    logits[..., 0] = 9
    weight = np.zeros((5, 3, 1, 1), dtype=np.float32)
    weight[:, 0] = 1
    nodes = [
        helper.make_node("AveragePool", ["image"], ["cells"], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node("Conv", ["cells", "weight"], ["mask_logits"]),
        helper.make_node("Identity", ["logits"], ["class_logits"]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 3, "height", "width"))
    outputs = [
        helper.make_tensor_value_info("class_logits", TensorProto.FLOAT, (1, 5, classes + 1)),
        helper.make_tensor_value_info("mask_logits", TensorProto.FLOAT, (1, 5, "h", "w")),
    ]
    constants = [numpy_helper.from_array(logits, "logits"), numpy_helper.from_array(weight, "weight")]
    _save(helper.make_graph(nodes, "tiny", [image], outputs, constants), folder / "queries.onnx")
    description = {"task": "query_segmentation", "labels": NAMES, **(describe or {})}
    (folder / "queries.yaml").write_text(yaml.safe_dump(description))
    return folder / "queries.onnx"


def stripes(size_hw: tuple[int, int] = (32, 48)) -> np.ndarray:
    """(H, W, 3) uint8: a red, a green and a blue third, from left to right."""
    height, width = size_hw
    image = np.full((height, width, 3), 20, dtype=np.uint8)
    for channel in range(3):
        image[:, channel * width // 3 : (channel + 1) * width // 3, channel] = 220
    return image


def stripe_labels(size_hw: tuple[int, int] = (32, 48)) -> np.ndarray:
    """(H, W): the class of each pixel of `stripes`."""
    return stripes(size_hw).argmax(axis=2).astype(np.uint8)
