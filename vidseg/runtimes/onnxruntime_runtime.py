"""ONNX Runtime on the CPU. Importing this file does not import onnxruntime; using it does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from vidseg.runtimes.convert import OUTPUT_NAMES, to_onnx
from vidseg.runtimes.engine_cache import EngineKey, Parts, cached_parts
from vidseg.runtimes.network import PictureNetwork, code_sha256, weights_sha256
from vidseg.runtimes.onnxruntime_import import import_onnxruntime
from vidseg.version import __version__

NAME = "onnxruntime"


class OnnxRuntime:
    """Satisfies `Runtime` with ONNX Runtime's CPU provider, in float32.

    Args:
        model: has `forward_queries`; not used after construction.
        model_name: for the cache file and for people.
        threads: of the network; None leaves the choice to ONNX Runtime.
        cache_folder: instead of the one in the user's cache.
        announce: told when a conversion starts.
    Raises:
        ImportError: onnxruntime is not installed, or onnx, which the conversion needs.
    """

    def __init__(
        self,
        model: nn.Module,
        model_name: str,
        *,
        threads: int | None = None,
        cache_folder: Path | None = None,
        announce: Callable[[str], None] = lambda text: None,
    ) -> None:
        onnxruntime = import_onnxruntime()
        key = EngineKey(
            model_name,
            NAME,
            weights_sha256(model),
            {
                "onnxruntime": onnxruntime.__version__,
                "torch": torch.__version__,
                "vidseg": __version__,
                "code": code_sha256(),
            },
        )
        parts = cached_parts(key, lambda: convert(model), folder=cache_folder, announce=announce)
        options = onnxruntime.SessionOptions()
        if threads is not None:
            options.intra_op_num_threads = threads
        # waiting threads that spin take the cores from decoding and encoding: 116 -> 85 ms a batch beside other work
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(parts["model.onnx"], options, providers=["CPUExecutionProvider"])
        self.name = f"onnxruntime {onnxruntime.__version__}, cpu, float32"
        self.device = torch.device("cpu")

    def run(self, images: Tensor) -> tuple[Tensor, Tensor]:
        class_logits, mask_logits = self._session.run(
            ["class_logits", "mask_logits"], {"images": images.contiguous().numpy()}
        )
        return torch.from_numpy(class_logits), torch.from_numpy(mask_logits)


def convert(model: nn.Module) -> Parts:
    """ "model.onnx": the network in float32, for any size and batch. Needs the package onnx."""
    return {"model.onnx": to_onnx(PictureNetwork(model), OUTPUT_NAMES["queries"])}
