"""A network compiled by OpenVINO, with one or more requests that run in parallel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from vidseg.runtimes.openvino_import import openvino_core

Array = npt.NDArray[Any]


KEPT = 8
"""Sizes of pictures with a network of their own, at most: some 20 MB each."""


class OpenVinoRequests:
    """Runs a network on the CPU, as many inputs at once as it has requests. Called by one thread.

    Two requests of one thread each keep two cores busy where the network is what takes longest, and take no more CPU
    time than one after the other (nano at 640x352, ms of CPU a frame, one thread: 28.4 by turns, 28.1 beside each
    other; int8 11.5 and 11.0). Two threads for one request take 32.0 and 12.4. What comes out is the same to the bit.

    A network that takes any size is slower than one compiled for a single size (m2f-mobile-ade at 384x216, one thread:
    5.0 and 4.2 ms in int8, 10.1 and 8.9 in float32, 6.1 and 5.3 in bfloat16), and rounds differently. Compiling takes
    0.1 to 0.3 s, so a size gets a network of its own where many such pictures are to come: see `expect`.

    Args:
        network: an `openvino.Model`.
        hint: "f32" or "bf16", how to compute what the network does not fix itself.
        threads: of one request; None leaves the choice to OpenVINO.
        count: requests.
        kept: sizes with a network of their own at most; each is a copy of the weights.
        device: of OpenVINO; another than the CPU computes in its own number format.
    """

    def __init__(
        self,
        network: Any,
        hint: str,
        *,
        threads: int | None = None,
        count: int = 1,
        kept: int = KEPT,
        device: str = "CPU",
    ) -> None:
        options = {"PERFORMANCE_HINT": "LATENCY"}
        if device == "CPU":
            options["INFERENCE_PRECISION_HINT"] = hint
        if count > 1 and device == "CPU":
            # its threads are not bound to cores, where other stages of a run would be in their way
            options |= {"NUM_STREAMS": str(count), "ENABLE_CPU_PINNING": "NO"}
        if threads is not None and device == "CPU":
            options["INFERENCE_NUM_THREADS"] = str(threads * count)
        self._network, self._device, self._options = network, device, options
        self._any_size: list[Any] = []
        self._by_size: dict[tuple[int, ...], list[Any]] = {}
        self._count, self._kept = count, kept

    def compile(self) -> None:
        """Get ready for inputs of any size, which else happens when the first one comes.

        Raises:
            RuntimeError: OpenVINO cannot run the network.
        """
        self._any_size = self._any_size or self._compiled(self._network)

    def expect(self, shape: Sequence[int]) -> None:
        """Compile the network, which has one input, for inputs of this shape alone, unless that has been done."""
        key = tuple(shape)
        if key in self._by_size:
            self._by_size[key] = self._by_size.pop(key)  # the newest
            return
        network = self._network.clone()
        network.reshape(list(key))
        self._by_size[key] = self._compiled(network)
        if len(self._by_size) > self._kept:
            del self._by_size[next(iter(self._by_size))]

    def run(self, feeds: Sequence[Mapping[Any, Array]], outputs: Sequence[int]) -> list[Array]:
        """The outputs of these numbers, those of all inputs one after the other along the first axis.

        They are nobody else's: no later run overwrites them.

        Args:
            feeds: inputs by name or number, all of one shape.
        """
        requests = self._for(feeds[0])
        found: list[Mapping[Any, Array]] = []
        for start in range(0, len(feeds), len(requests)):
            found += self._run_together(requests, feeds[start : start + len(requests)])
        return joined([[results[number] for number in outputs] for results in found])

    def _compiled(self, network: Any) -> list[Any]:
        compiled = openvino_core().compile_model(network, self._device, self._options)
        return [compiled.create_infer_request() for _ in range(self._count)]

    def _for(self, feed: Mapping[Any, Array]) -> list[Any]:
        """The requests that take it."""
        shape, *others = (array.shape for array in feed.values())
        if others or shape not in self._by_size:
            self.compile()
            return self._any_size
        return self._by_size[shape]

    def _run_together(self, requests: Sequence[Any], feeds: Sequence[Mapping[Any, Array]]) -> list[Mapping[Any, Array]]:
        if len(feeds) == 1:
            return [requests[0].infer(feeds[0], share_inputs=True)]
        started = []
        try:
            for request, feed in zip(requests, feeds, strict=False):
                request.start_async(feed, share_inputs=True)
                started.append(request)
            for request in started:
                request.wait()
        except BaseException:
            for request in started:  # the inputs are theirs until they are done
                with suppress(Exception):
                    request.wait()
            raise
        return [request.results for request in started]


def joined(each: Sequence[list[Array]]) -> list[Array]:
    """Outputs of several runs, (B, ...) each, as those of one run: (sum of B, ...)."""
    return each[0] if len(each) == 1 else [np.concatenate(parts) for parts in zip(*each, strict=True)]
