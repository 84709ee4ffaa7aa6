"""Networks turned into files that other engines read: ONNX, OpenVINO, TorchScript; with what they are inside."""

from __future__ import annotations

import io
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from vidseg.runtimes.network import PictureNetwork, example_images
from vidseg.runtimes.openvino_import import import_openvino, unreported

OPSET = 17
"""ONNX operator set; every ONNX Runtime since 1.13 (2022) reads it."""
INPUT_NAME = "images"
OUTPUT_NAMES = {"queries": ("class_logits", "mask_logits"), "semantic": ("scores",)}


class SemanticNetwork(nn.Module):
    """(B, 3, h, w) uint8 RGB -> scores (B, K, h', w') at mask stride, >= 0; the largest names the class.

    The semantic rule of `segment.postprocess.class_scores`, as part of the network.
    """

    def __init__(self, network: PictureNetwork) -> None:
        super().__init__()
        self.network = network
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """See the class."""
        class_logits, mask_logits = self.network(images)
        return torch.einsum("bqk,bqhw->bkhw", class_logits.softmax(dim=-1)[..., :-1], mask_logits.sigmoid())


def picture_network(model: nn.Module, outputs: str) -> nn.Module:
    """The network that a file holds, by one of the keys of `OUTPUT_NAMES`."""
    network = PictureNetwork(model)
    return SemanticNetwork(network) if outputs == "semantic" else network


def to_onnx(
    network: nn.Module,
    output_names: Sequence[str],
    *,
    size_hw: tuple[int, int] | None = None,
    facts: Mapping[str, str] | None = None,
) -> bytes:
    """The network as ONNX in float32. Needs the package onnx.

    Args:
        size_hw: the only size that it will take, one picture at a time; None for any size and batch.
        facts: metadata by name.
    """
    sides = {0: "batch", 2: "height", 3: "width"}
    output_sides = {
        "class_logits": {0: "batch"},
        "mask_logits": {0: "batch", 2: "mask_height", 3: "mask_width"},
        "scores": {0: "batch", 2: "score_height", 3: "score_width"},
    }
    axes = {INPUT_NAME: sides, **{name: output_sides[name] for name in output_names}} if size_hw is None else {}
    with tempfile.TemporaryDirectory() as folder, torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a tracer about sides that could become constants; tests try other sizes
        path = Path(folder, "model.onnx")
        # the tracing exporter: the newer one needs onnxscript as well
        torch.onnx.export(
            network,
            (_example(size_hw),),
            path,
            dynamo=False,
            opset_version=OPSET,
            input_names=[INPUT_NAME],
            output_names=list(output_names),
            dynamic_axes=axes,
        )
        content = path.read_bytes()
    if not facts:
        return content
    import onnx

    model = onnx.load_from_string(content)
    onnx.helper.set_model_props(model, dict(facts))
    return bytes(model.SerializeToString())


def to_openvino(
    network: nn.Module,
    output_names: Sequence[str],
    *,
    size_hw: tuple[int, int] | None = None,
    facts: Mapping[str, str] | None = None,
) -> tuple[bytes, bytes]:
    """The network as OpenVINO IR in float32: contents of the .xml and of the .bin. Arguments as `to_onnx`."""
    openvino = import_openvino()
    example = _example(size_hw)
    shape = [-1, 3, -1, -1] if size_hw is None else list(example.shape)
    with unreported():
        converted = openvino.convert_model(_traced(network, example), example_input=example, input=shape)
    for port, name in zip((*converted.inputs, *converted.outputs), (INPUT_NAME, *output_names), strict=True):
        port.get_tensor().set_names({name})
    for name, value in (facts or {}).items():
        converted.set_rt_info(value, ["model_info", name])
    with tempfile.TemporaryDirectory() as folder:
        xml, weights = Path(folder, "model.xml"), Path(folder, "model.bin")
        openvino.serialize(converted, xml, weights)
        return xml.read_bytes(), weights.read_bytes()


def to_torchscript(
    network: nn.Module, *, size_hw: tuple[int, int] | None = None, facts: Mapping[str, str] | None = None
) -> bytes:
    """The network as TorchScript in float32; the facts are its extra files. Arguments as `to_onnx`."""
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(_traced(network, _example(size_hw)), content, _extra_files=dict(facts or {}))
    return content.getvalue()


def _example(size_hw: tuple[int, int] | None) -> Tensor:
    return example_images() if size_hw is None else torch.zeros(1, 3, *size_hw, dtype=torch.uint8)


def _traced(network: nn.Module, example: Tensor) -> torch.jit.ScriptModule:
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as in `to_onnx`; and that tracing is deprecated
        traced: torch.jit.ScriptModule = torch.jit.trace(network, example, check_trace=False)  # type: ignore[no-untyped-call]
        return traced
