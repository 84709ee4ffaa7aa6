"""Tiny networks with the names, shapes, dtypes and metadata of makers' exports, and what they are to say, in numpy.

All are linear: a mean over cells of `stride` pixels, then weights from 3 channels to classes or queries.
`Signature.labels` computes the label map from the picture alone, by the maker's rules, with nothing of vidseg.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper

from vidseg.runtimes.openvino_import import import_openvino, unreported

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
FLOAT, UINT8, INT32, INT64 = TensorProto.FLOAT, TensorProto.UINT8, TensorProto.INT32, TensorProto.INT64


@dataclass(frozen=True)
class Signature:
    """One export: how it is written, what picture it is shown, and the labels that are right."""

    name: str
    write: Callable[[Path], Path]
    labels: Callable[[np.ndarray], np.ndarray]
    size_hw: tuple[int, int] = (48, 64)
    label_set: str | None = None
    rounding: float = 0
    """Share of the pixels that may differ, where the picture is resized: levels are rounded, and half of one may go
    either way."""
    engines: tuple[str, ...] = ("openvino", "onnxruntime")


def picture(size_hw: tuple[int, int]) -> np.ndarray:
    """(H, W, 3) uint8: coloured blocks of 8x8 pixels."""
    height, width = size_hw
    cells = np.random.default_rng(7).integers(0, 256, (-(-height // 8), -(-width // 8), 3), dtype=np.uint8)
    return cells.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]


def weights(count: int, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.normal(size=(count, 3)).astype(np.float32), random.normal(size=count).astype(np.float32) / 4


def write(
    path: Path,
    *,
    given: tuple[str, int, tuple],
    outputs: list[tuple[str, int, tuple, str]],
    count: int,
    stride: int = 4,
    nhwc: bool = False,
    notes: dict[str, str] | None = None,
    mask: bool = False,
    columns: int = 0,
    inside: bool = False,
) -> Path:
    """Write an ONNX network.

    Args:
        given: name, type and shape of the input.
        outputs: name, type, shape and kind: "scores", "nhwc", "probabilities" (NHWC), "map", "map4" (one channel),
            "aux", "classes", "masks", "softmax" (of classes, without the last), "sigmoid" (of masks).
        mask: a second input `pixel_mask` that the scores are multiplied by.
        columns: of the classes of queries.
        inside: mean and std of ImageNet are part of the network.
    """
    weight, bias = weights(count)
    constants = [numpy_helper.from_array(weight[:, :, None, None], "w"), numpy_helper.from_array(bias, "b")]
    nodes, last = [], given[0]

    def add(kind: str, inputs: list[str], out: str, **attributes: object) -> str:
        nodes.append(helper.make_node(kind, inputs, [out], **attributes))
        return out

    if given[1] != FLOAT:
        last = add("Cast", [last], "floats", to=FLOAT)
    if nhwc:
        last = add("Transpose", [last], "planes", perm=[0, 3, 1, 2])
    if mask:
        constants.append(numpy_helper.from_array(np.array([1], dtype=np.int64), "one"))
        last = add("Mul", [last, add("Unsqueeze", [add("Cast", ["pixel_mask"], "m", to=FLOAT), "one"], "m4")], "masked")
    if inside:
        for key, levels in (("mean", 255 * MEAN), ("std", 255 * STD)):
            constants.append(numpy_helper.from_array(levels.astype(np.float32)[None, :, None, None], key))
        last = add("Div", [add("Sub", [last, "mean"], "centred"), "std"], "normal")
    if stride > 1:
        last = add("AveragePool", [last], "cells", kernel_shape=[stride, stride], strides=[stride, stride])
    add("Conv", [last, "w", "b"], "planar")
    if columns:
        constants.append(numpy_helper.from_array(class_logits(count, columns), "logits_of_classes"))
    for name, dtype, _, kind in outputs:
        if kind in ("scores", "masks"):
            add("Identity", ["planar"], name)
        elif kind == "aux":
            add("Neg", ["planar"], name)
        elif kind == "sigmoid":
            add("Sigmoid", ["planar"], name)
        elif kind == "nhwc":
            add("Transpose", ["planar"], name, perm=[0, 2, 3, 1])
        elif kind == "probabilities":
            add("Softmax", [add("Transpose", ["planar"], "last", perm=[0, 2, 3, 1])], name, axis=-1)
        elif kind in ("map", "map4"):
            add("Cast", [add("ArgMax", ["planar"], "best", axis=1, keepdims=int(kind == "map4"))], name, to=dtype)
        elif kind == "classes":
            add("Identity", ["logits_of_classes"], name)
        elif kind == "softmax":
            for key, value in (("from", 0), ("to", columns - 1), ("axis", 2)):
                constants.append(numpy_helper.from_array(np.array([value], dtype=np.int64), key))
            add("Slice", [add("Softmax", ["logits_of_classes"], "p", axis=-1), "from", "to", "axis"], name)
    inputs = [helper.make_tensor_value_info(*given)]
    if mask:
        inputs.append(helper.make_tensor_value_info("pixel_mask", INT64, ("batch_size", "height", "width")))
    shapes = [helper.make_tensor_value_info(*each[:3]) for each in outputs]
    graph = helper.make_graph(nodes, "tiny", inputs, shapes, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    for key, value in (notes or {}).items():
        model.metadata_props.add(key=key, value=value)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


def class_logits(queries: int, columns: int) -> np.ndarray:
    logits = np.random.default_rng(5).normal(size=(1, queries, columns))
    logits[0, np.arange(queries), np.arange(queries) % (columns - 1)] += 6  # each query has a class of its own
    return logits.astype(np.float32)


# --- the same in numpy ---


def resized(image: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """Bilinear, pixel centres; levels are rounded as in pictures. For enlarging, where nobody smooths."""
    return np.rint(enlarged(image.transpose(2, 0, 1).astype(np.float64), size_hw).transpose(1, 2, 0))


def enlarged(maps: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    for axis, fine in ((1, size_hw[0]), (2, size_hw[1])):
        coarse = maps.shape[axis]
        place = np.maximum((np.arange(fine) + 0.5) * coarse / fine - 0.5, 0)
        low = np.minimum(place.astype(int), coarse - 1)
        high = np.minimum(low + 1, coarse - 1)
        share = np.expand_dims(place - low, (0, 2) if axis == 1 else (0, 1))
        maps = np.take(maps, low, axis) * (1 - share) + np.take(maps, high, axis) * share
    return maps


def padded(
    image: np.ndarray, size_hw: tuple[int, int], colour: np.ndarray | float, corner: tuple[int, int]
) -> np.ndarray:
    canvas = np.ones((*size_hw, 3)) * colour
    canvas[corner[0] : corner[0] + image.shape[0], corner[1] : corner[1] + image.shape[1]] = image
    return canvas


def grid(pixels: np.ndarray, count: int, stride: int = 4) -> np.ndarray:
    """(count, h, w) of normalised pixels (H, W, 3): what `write` computes."""
    weight, bias = weights(count)
    height, width = (side // stride for side in pixels.shape[:2])
    cells = pixels[: height * stride, : width * stride].reshape(height, stride, width, stride, 3).mean(axis=(1, 3))
    return np.tensordot(weight, cells, (1, 2)) + bias[:, None, None]


def best(maps: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    return enlarged(maps, size_hw).argmax(axis=0).astype(np.uint8)


def softmax(values: np.ndarray) -> np.ndarray:
    powers = np.exp(values - values.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def imagenet(image: np.ndarray) -> np.ndarray:
    return (image / 255 - MEAN) / STD


def of_queries(masks: np.ndarray, columns: int, size_hw: tuple[int, int]) -> np.ndarray:
    probability = softmax(class_logits(len(masks), columns)[0])[:, :-1]
    return best(np.einsum("qc,qhw->chw", probability, 1 / (1 + np.exp(-masks))), size_hw)


# --- the exports ---

ADE = [f"class {number}" for number in range(150)]


def _ultralytics_notes(names: list[str], size: list[int]) -> dict[str, str]:
    return {
        **{"description": "Ultralytics YOLO26n-sem", "author": "Ultralytics", "task": "semantic", "stride": "32"},
        **{"batch": "1", "imgsz": str(size), "names": str(dict(enumerate(names))), "channels": "3"},
    }


def _ultralytics_map(folder: Path) -> Path:
    return write(
        folder / "yolo26n-sem.onnx",
        given=("images", FLOAT, (1, 3, 64, 64)),
        outputs=[("output0", UINT8, (1, 64, 64), "map")],
        count=150,
        stride=1,
        notes=_ultralytics_notes(ADE, [64, 64]),
    )


def _ultralytics_map_labels(image: np.ndarray) -> np.ndarray:
    seen = grid(padded(image, (64, 64), 114, (8, 0)) / 255, 150, 1).argmax(axis=0)
    return seen[8:56].astype(np.uint8)


def _ultralytics_logits(folder: Path) -> Path:
    return write(
        folder / "yolo26s-sem.onnx",
        given=("images", FLOAT, ("batch", 3, "height", "width")),
        outputs=[("output0", FLOAT, ("batch", 19, "height", "width"), "scores")],
        count=19,
        stride=1,
        notes=_ultralytics_notes([f"c{number}" for number in range(19)], [64, 64]),
    )


def _ultralytics_logits_labels(image: np.ndarray) -> np.ndarray:
    return grid(image / 255, 19, 1).argmax(axis=0).astype(np.uint8)  # 48 rows become 64: 8 of grey above


def _ultralytics_openvino(folder: Path) -> Path:
    openvino = import_openvino()
    network = _ultralytics_map(folder)
    inner = folder / "yolo26n-sem_openvino_model"
    with unreported():
        openvino.save_model(openvino.convert_model(network), inner / "yolo26n-sem.xml", compress_to_fp16=False)
    network.unlink()
    notes = {"description": "Ultralytics", "task": "semantic", "stride": 32, "batch": 1, "imgsz": [64, 64]}
    (inner / "metadata.yaml").write_text(yaml.safe_dump({**notes, "names": dict(enumerate(ADE))}))
    return inner


def _huggingface(folder: Path, config: dict, processor: dict) -> None:
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "preprocessor_config.json").write_text(json.dumps(processor))


_PLAIN = {
    **{"do_resize": True, "do_rescale": True, "rescale_factor": 0.00392156862745098, "do_normalize": True},
    **{"image_mean": MEAN.tolist(), "image_std": STD.tolist(), "resample": 2, "do_reduce_labels": True},
}


def _id2label(names: list[str]) -> dict[str, str]:
    return {str(number): name for number, name in enumerate(names)}


def _segformer(folder: Path) -> Path:
    write(
        folder / "model.onnx",
        given=("pixel_values", FLOAT, ("batch_size", "num_channels", "height", "width")),
        outputs=[("logits", FLOAT, ("batch_size", 150, "h", "w"), "scores")],
        count=150,
    )
    size = {"size": {"height": 64, "width": 64}}
    _huggingface(folder, {"model_type": "segformer", "id2label": _id2label(ADE)}, _PLAIN | size)
    return folder


def _segformer_labels(image: np.ndarray) -> np.ndarray:
    return best(grid(imagenet(resized(image, (64, 64))), 150), image.shape[:2])


def _mask2former(folder: Path) -> Path:
    write(
        folder / "onnx" / "model.onnx",
        given=("pixel_values", FLOAT, ("batch_size", 3, "height", "width")),
        outputs=[
            ("class_queries_logits", FLOAT, (1, 10, 9), "classes"),
            ("masks_queries_logits", FLOAT, ("batch_size", 10, "h", "w"), "masks"),
        ],
        count=10,
        columns=9,
    )
    processor = _PLAIN | {"image_processor_type": "Mask2FormerImageProcessor", "size_divisor": 32, "ignore_index": 255}
    size = {"size": {"shortest_edge": 48, "longest_edge": 2048}}
    names = _id2label([f"thing {number}" for number in range(8)])
    _huggingface(folder, {"model_type": "mask2former", "id2label": names}, processor | size)
    return folder


def _mask2former_labels(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    seen = resized(image, (-(-height // 32) * 32, -(-width // 32) * 32))
    return of_queries(grid(imagenet(seen), 10), 9, (height, width))


def _eomt_labels(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    canvas = padded(image, (64, 64), 0, (0, 0))  # black, before it is normalised
    return of_queries(grid(imagenet(canvas), 10)[:, : height // 4, : width // 4], 9, (height, width))


def _maskformer(folder: Path) -> Path:
    write(
        folder / "model.onnx",
        given=("pixel_values", FLOAT, ("batch_size", 3, "height", "width")),
        outputs=[
            ("masks_queries_logits", FLOAT, ("batch_size", 10, "h", "w"), "masks"),
            ("class_queries_logits", FLOAT, (1, 10, 9), "classes"),
        ],
        count=10,
        columns=9,
        mask=True,
    )
    processor = _PLAIN | {"feature_extractor_type": "MaskFormerFeatureExtractor", "size": 48, "max_size": 2048}
    names = _id2label([f"thing {number}" for number in range(8)])
    _huggingface(folder, {"model_type": "maskformer", "id2label": names}, processor | {"size_divisibility": 32})
    return folder


def _eomt(folder: Path) -> Path:
    write(
        folder / "model.onnx",
        given=("pixel_values", FLOAT, ("batch_size", 3, 64, 64)),
        outputs=[
            ("masks_queries_logits", FLOAT, ("batch_size", 10, 16, 16), "masks"),
            ("class_queries_logits", FLOAT, (1, 10, 9), "classes"),
        ],
        count=10,
        columns=9,
    )
    size = {"size": {"shortest_edge": 64, "longest_edge": 64}, "do_pad": True, "do_split_image": False}
    processor = _PLAIN | size | {"image_processor_type": "EomtImageProcessor"}
    names = _id2label([f"thing {number}" for number in range(8)])
    _huggingface(folder, {"model_type": "eomt", "id2label": names}, processor)
    return folder


def _focoos(folder: Path) -> Path:
    # the two outputs carry each other's names
    write(
        folder / "model.onnx",
        given=("images", FLOAT, ("batch", 3, 64, 64)),
        outputs=[("logits", FLOAT, ("batch", 10, 16, 16), "sigmoid"), ("masks", FLOAT, (1, 10, 150), "softmax")],
        count=10,
        columns=151,
        inside=True,
    )
    info = {"name": "bisenetformer-m-ade", "model_family": "bisenetformer", "im_size": 64, "task": "semseg"}
    (folder / "model_info.json").write_text(json.dumps({**info, "classes": ADE, "config": {"num_classes": 150}}))
    return folder


def _focoos_labels(image: np.ndarray) -> np.ndarray:
    return of_queries(grid(imagenet(resized(image, (64, 64))), 10), 151, image.shape[:2])


def _paddle(folder: Path, *, argmax: bool) -> Path:
    output = ("save_infer_model/scale_0.tmp_0", INT32, (1, 48, 64), "map")
    if not argmax:
        output = ("bilinear_interp_v2_13.tmp_0", FLOAT, (1, 19, 48, 64), "scores")
    path = write(folder / "pp_liteseg.onnx", given=("x", FLOAT, (1, 3, 48, 64)), outputs=[output], count=19, stride=1)
    steps = [{"type": "Normalize", "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}]
    deploy = {"input_shape": [1, 3, 48, 64], "model": "model.pdmodel", "params": "model.pdiparams"}
    deploy |= {"output_dtype": "int32" if argmax else "float32", "output_op": "argmax" if argmax else "none"}
    (folder / "deploy.yaml").write_text(yaml.safe_dump({"Deploy": {**deploy, "transforms": steps}}))
    return path


def _paddle_labels(image: np.ndarray) -> np.ndarray:
    return grid((image / 255 - 0.5) / 0.5, 19, 1).argmax(axis=0).astype(np.uint8)


def _mmdeploy(folder: Path) -> Path:
    path = write(
        folder / "end2end.onnx",
        given=("input", FLOAT, (1, 3, 64, 64)),
        outputs=[("output", INT64, (1, 1, 64, 64), "map4")],
        count=19,
        stride=1,
    )
    steps = [
        {"type": "LoadImageFromFile"},
        {"type": "Resize", "keep_ratio": False, "size": [64, 64]},
        {"type": "Normalize", "to_rgb": True, "mean": [123.675, 116.28, 103.53], "std": [58.395, 57.12, 57.375]},
        {"type": "ImageToTensor", "keys": ["img"]},
    ]
    tasks = [{"type": "Task", "module": "Transform", "name": "Preprocess", "transforms": steps}]
    (folder / "pipeline.json").write_text(json.dumps({"pipeline": {"input": ["img"], "tasks": tasks}}))
    return path


def _mmdeploy_labels(image: np.ndarray) -> np.ndarray:
    seen = (resized(image, (64, 64)) - [123.675, 116.28, 103.53]) / [58.395, 57.12, 57.375]
    labels = grid(seen, 19, 1).argmax(axis=0)
    rows = ((np.arange(image.shape[0]) + 0.5) * 64 / image.shape[0]).astype(int)
    return labels[rows].astype(np.uint8)


def _torchvision(folder: Path) -> Path:
    sides = ("batch", 21, "height", "width")
    return write(
        folder / "deeplabv3.onnx",
        given=("input", FLOAT, ("batch", 3, "height", "width")),
        outputs=[("out", FLOAT, sides, "scores"), ("aux", FLOAT, sides, "aux")],
        count=21,
        stride=1,
    )


def _keras(folder: Path) -> Path:
    return write(
        folder / "keras.onnx",
        given=("input_1", FLOAT, ("unk__1", 48, 64, 3)),
        outputs=[("activation", FLOAT, ("unk__2", 48, 64, 21), "probabilities")],
        count=21,
        stride=1,
        nhwc=True,
    )


def _generic(folder: Path) -> Path:
    return write(
        folder / "topformer.onnx",
        given=("input", FLOAT, (1, 3, "h", "w")),
        outputs=[("output", FLOAT, (1, 19, "h4", "w4"), "scores")],
        count=19,
    )


def _plain(count: int, stride: int) -> Callable[[np.ndarray], np.ndarray]:
    """What is assumed where nothing is said: RGB, mean and std of ImageNet, the frame's aspect."""
    mean, std = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
    return lambda image: best(grid((image - mean) / std, count, stride), image.shape[:2])


LONG = (288, 512)
"""A frame whose long side is the default, so that nobody resizes it."""
SIGNATURES = (
    Signature("ultralytics map", _ultralytics_map, _ultralytics_map_labels),
    Signature("ultralytics logits", _ultralytics_logits, _ultralytics_logits_labels),
    Signature("ultralytics openvino", _ultralytics_openvino, _ultralytics_map_labels, engines=("openvino",)),
    Signature("segformer", _segformer, _segformer_labels, rounding=0.003),
    Signature("mask2former", _mask2former, _mask2former_labels, rounding=0.003),
    Signature("maskformer", _maskformer, _mask2former_labels, rounding=0.003),
    Signature("eomt", _eomt, _eomt_labels),
    Signature("focoos", _focoos, _focoos_labels, rounding=0.003),
    Signature("paddle map", lambda f: _paddle(f, argmax=True), _paddle_labels, label_set="cityscapes"),
    Signature("paddle logits", lambda f: _paddle(f, argmax=False), _paddle_labels),
    Signature("mmdeploy", _mmdeploy, _mmdeploy_labels, label_set="cityscapes"),
    Signature("torchvision", _torchvision, _plain(21, 1), size_hw=LONG),
    Signature("keras", _keras, _plain(21, 1)),
    Signature("plain 19 channels", _generic, _plain(19, 4), size_hw=LONG),
)
