"""OpenVINO on the CPU. Importing this file does not import openvino; using it does.

One conversion serves all sizes. For one call at a time the LATENCY hint is faster than THROUGHPUT.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor, nn

from vidseg.frames import UInt8Array
from vidseg.runtimes.base import Running
from vidseg.runtimes.convert import OUTPUT_NAMES, to_openvino
from vidseg.runtimes.engine_cache import EngineKey, Parts, cached_parts
from vidseg.runtimes.network import PictureNetwork, code_sha256, weights_sha256
from vidseg.runtimes.openvino_import import import_openvino, openvino_core
from vidseg.runtimes.openvino_requests import OpenVinoRequests
from vidseg.version import __version__

NAME = "openvino"
_OUTPUTS = (0, 1)
_HINTS = {torch.float32: "f32", torch.bfloat16: "bf16", torch.int8: "f32"}
"""How to compute what the network does not fix itself: an int8 network says which of its layers are int8."""


class OpenVinoRuntime:
    """Satisfies `Runtime` with OpenVINO's CPU plugin.

    Args:
        model: has `forward_queries`; not used after construction.
        model_name: for the cache file and for people.
        precision: float32, bfloat16, or int8 with `quantized`. Left alone OpenVINO takes bfloat16 on CPUs that have
            it. That is twice as fast, but 0.2 to 1.3 % of the labels differ (nano; 7 % in the worst of 100 pictures),
            so a run that takes it says so.
        threads, requests: as threads and count of `OpenVinoRequests`.
        size_hw: expected at once, see `Sized`; None gets ready for any size.
        quantized: the network in int8, instead of a conversion of `model`.
        cache_folder: instead of the one in the user's cache.
        announce: told when a conversion starts.
    Raises:
        ImportError: openvino is not installed.
    """

    def __init__(
        self,
        model: nn.Module,
        model_name: str,
        *,
        precision: torch.dtype = torch.float32,
        threads: int | None = None,
        requests: int = 1,
        size_hw: tuple[int, int] | None = None,
        quantized: Parts | None = None,
        cache_folder: Path | None = None,
        announce: Callable[[str], None] = lambda text: None,
    ) -> None:
        openvino = import_openvino()
        assert (quantized is not None) == (precision == torch.int8)
        parts = quantized
        if parts is None:
            key = EngineKey(
                model_name,
                NAME,
                weights_sha256(model),
                {
                    "openvino": openvino.__version__,
                    "torch": torch.__version__,
                    "vidseg": __version__,
                    "code": code_sha256(),
                },
            )
            parts = cached_parts(key, lambda: convert(model), folder=cache_folder, announce=announce)
        network = openvino_core().read_model(parts["model.xml"], parts["model.bin"])
        self._requests = OpenVinoRequests(network, _HINTS[precision], threads=threads, count=requests)
        if size_hw is None:  # compiled here in any case, while another engine may still take its place
            self._requests.compile()
        else:
            self.expect(size_hw)
        self._precision = precision

    @property
    def name(self) -> str:
        return f"openvino {version('openvino')}, cpu, {str(self._precision).removeprefix('torch.')}"

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    def expect(self, size_hw: tuple[int, int]) -> None:
        """See `Sized`."""
        self._requests.expect((1, 3, *size_hw))

    def run(self, images: Tensor) -> tuple[Tensor, Tensor]:
        found = self._requests.run([_feed(image) for image in images.chunk(len(images))], _OUTPUTS)
        class_logits, mask_logits = map(torch.from_numpy, found)
        return class_logits, mask_logits

    def start(self, image: Tensor) -> Running[tuple[Tensor, Tensor]]:
        """See `Queued`."""
        return self._requests.start(_feed(image), _OUTPUTS).then(
            lambda found: (torch.from_numpy(found[0]), torch.from_numpy(found[1]))
        )


def _feed(image: Tensor) -> dict[int, UInt8Array]:
    return {0: image.contiguous().numpy()}


def convert(model: nn.Module) -> Parts:
    """ "model.xml" and "model.bin": the network as OpenVINO IR in float32, for any size and batch."""
    xml, weights = to_openvino(PictureNetwork(model), OUTPUT_NAMES["queries"])
    return {"model.xml": xml, "model.bin": weights}
