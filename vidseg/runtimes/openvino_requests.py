"""A network compiled by OpenVINO, with one or more requests that run in parallel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy.typing as npt

from vidseg.runtimes.openvino_import import openvino_core

Array = npt.NDArray[Any]


class OpenVinoRequests:
    """Runs a network on the CPU, as many inputs at once as it has requests. Called by one thread.

    Two requests of one thread each keep two cores busy where the network is what takes longest, and take no more CPU
    time than one after the other (nano at 640x352, ms of CPU a frame, one thread: 28.4 by turns, 28.1 beside each
    other; int8 11.5 and 11.0). Two threads for one request take 32.0 and 12.4. What comes out is the same to the bit.

    Args:
        network: an `openvino.Model`.
        hint: "f32" or "bf16", how to compute what the network does not fix itself.
        threads: of one request; None leaves the choice to OpenVINO.
        count: requests.
        device: of OpenVINO; another than the CPU computes in its own number format.
    """

    def __init__(
        self, network: Any, hint: str, *, threads: int | None = None, count: int = 1, device: str = "CPU"
    ) -> None:
        options = {"PERFORMANCE_HINT": "LATENCY"}
        if device == "CPU":
            options["INFERENCE_PRECISION_HINT"] = hint
        if count > 1 and device == "CPU":
            # its threads are not bound to cores, where other stages of a run would be in their way
            options |= {"NUM_STREAMS": str(count), "ENABLE_CPU_PINNING": "NO"}
        if threads is not None and device == "CPU":
            options["INFERENCE_NUM_THREADS"] = str(threads * count)
        compiled = openvino_core().compile_model(network, device, options)
        self._requests = [compiled.create_infer_request() for _ in range(count)]

    @property
    def count(self) -> int:
        return len(self._requests)

    def run(self, feeds: Sequence[Mapping[Any, Array]]) -> list[Mapping[Any, Array]]:
        """The outputs, by name and number, for each of the inputs; they are copies, which no later run overwrites."""
        found: list[Mapping[Any, Array]] = []
        for start in range(0, len(feeds), self.count):
            found += self._run_together(feeds[start : start + self.count])
        return found

    def _run_together(self, feeds: Sequence[Mapping[Any, Array]]) -> list[Mapping[Any, Array]]:
        if len(feeds) == 1:
            return [self._requests[0].infer(feeds[0], share_inputs=True)]
        started = []
        try:
            for request, feed in zip(self._requests, feeds, strict=False):
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
