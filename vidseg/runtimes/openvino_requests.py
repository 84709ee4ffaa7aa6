"""A network compiled by OpenVINO, with one or more requests that run in parallel."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from vidseg.cores import usable_cores
from vidseg.runtimes.base import Running
from vidseg.runtimes.openvino_import import openvino_core

Array = npt.NDArray[Any]


KEPT = 4
"""Sizes of pictures with a network of their own, at most: 50 MB each with one request, 110 with eight."""


def _nothing() -> None:
    return None


class _Started:
    """An input that a request works on, until its outputs have been taken."""

    def __init__(
        self,
        request: Any,
        feed: Mapping[Any, Array],
        outputs: Sequence[int],
        *,
        failed: Callable[[], None] = _nothing,
        again: Callable[[], list[Array]] | None = None,
        beside: int = 0,
    ) -> None:
        self.seconds = 0.0
        """Its share of the time, where others are worked on `beside` it."""
        self._request, self._outputs, self._beside = request, outputs, beside
        self._failed, self._again = failed, again
        self._lock = threading.Lock()
        self._found: list[Array] = []
        self._error: Exception | None = None
        self._feed: Mapping[Any, Array] | None = None
        request.start_async(feed, share_inputs=True)
        self._feed = feed  # the request's until it is done

    @property
    def done(self) -> bool:
        """Whether the request has nothing to do for it any more. Raises nothing."""
        request = self._request
        try:
            return request is None or bool(request.wait_for(0))
        except Exception:  # it failed, which `settle` notes
            return True

    @property
    def settled(self) -> bool:
        """Whether the outputs have been taken."""
        return self._feed is None

    def settle(self) -> None:
        """Wait, and take what came out, so that the request is free."""
        with self._lock:
            if self._feed is None:
                return
            try:
                self._request.wait()
                results = self._request.results
                self._found = [results[number] for number in self._outputs]
                self.seconds = self._request.latency / 1000 / (1 + self._beside)
                self._again = None
            except Exception as error:
                self._error = error
                self._failed()
            # what stays would keep the network, and be kept by it
            self._feed = self._request = None
            self._failed = _nothing

    def result(self) -> list[Array]:
        """What came out, once: it is not kept."""
        self.settle()
        if self._error is not None:
            again, self._again = self._again, None
            if again is None:
                raise self._error
            try:
                return again()
            except Exception:
                raise self._error from None
        found, self._found = self._found, []
        return found

    def __del__(self) -> None:
        self.settle()


class OpenVinoRequests:
    """Runs a network on the CPU, as many inputs at once as it has requests. Called by one thread at a time.

    Requests of one thread each keep all cores busy where the network is what takes longest, and take no more CPU time
    than one after the other (nano at 640x352, two cores, ms of CPU a frame, one thread: 28.4 by turns, 28.1 beside each
    other; int8 11.5 and 11.0). Two threads for one request take 32.0 and 12.4. What comes out is the same to the bit.

    A network that takes any size is slower than one compiled for a single size (m2f-mobile-ade at 384x216, one thread:
    5.0 and 4.2 ms in int8, 10.1 and 8.9 in float32, 6.1 and 5.3 in bfloat16), and rounds differently. Compiling takes
    0.1 to 0.3 s, so a size gets a network of its own where many such pictures are to come: see `expect`.

    Args:
        network: an `openvino.Model`.
        hint: "f32" or "bf16", how to compute what the network does not fix itself.
        threads: where there is one request; None leaves the choice to OpenVINO.
        count: requests; several share the cores.
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
            threads = count * max(1, usable_cores() // count)
            # its threads are not bound to cores, where other stages of a run would be in their way
            options |= {"NUM_STREAMS": str(count), "ENABLE_CPU_PINNING": "NO"}
        if threads is not None and device == "CPU":
            options["INFERENCE_NUM_THREADS"] = str(threads)
        self._network, self._device, self._options = network, device, options
        self._any_size: list[Any] = []
        self._by_size: dict[tuple[int, ...], list[Any]] = {}
        self._count, self._kept = count, kept
        self._busy: list[tuple[Any, _Started]] = []
        self._spoilt: list[list[Any]] = []
        """Compiled networks that failed: OpenVINO's may refuse inputs from then on that they took before."""

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
        started = [self.start(feed, outputs) for feed in feeds]
        return joined([each.result() for each in started])

    def start(self, feed: Mapping[Any, Array], outputs: Sequence[int]) -> Running[list[Array]]:
        """The same for one input, which is worked on meanwhile; waits for the oldest one if no request is free."""
        busy = self._busy
        while len(busy) >= self._count:
            free = next((place for place, (_, other) in enumerate(busy) if other.done), 0)
            busy.pop(free)[1].settle()
        requests = self._for(feed)  # now that it is known whether those before have failed
        at_work = [request for request, _ in busy]
        request = next(request for request in requests if all(request is not other for other in at_work))
        beside = sum(not other.settled for _, other in busy)
        failed, again = partial(self._spoilt.append, requests), None
        if self._count > 1:  # perhaps another one beside it is what fails
            again = partial(_on_its_own, self._network, self._device, self._options, feed, outputs)
        started = _Started(request, feed, outputs, failed=failed, again=again, beside=beside)
        busy.append((request, started))
        return Running(started.result, lambda: started.seconds)

    def _compiled(self, network: Any) -> list[Any]:
        compiled = openvino_core().compile_model(network, self._device, self._options)
        return [compiled.create_infer_request() for _ in range(self._count)]

    def _for(self, feed: Mapping[Any, Array]) -> list[Any]:
        """The requests that take it."""
        while self._spoilt:
            spoilt = self._spoilt.pop()
            self._any_size = [] if spoilt is self._any_size else self._any_size
            self._by_size = {size: kept for size, kept in self._by_size.items() if kept is not spoilt}
        shape, *others = (array.shape for array in feed.values())
        if others or shape not in self._by_size:
            self.compile()
            return self._any_size
        return self._by_size[shape]


def _on_its_own(
    network: Any, device: str, options: Mapping[str, str], feed: Mapping[Any, Array], outputs: Sequence[int]
) -> list[Array]:
    """The outputs of an input, from a network that sees no other."""
    request = openvino_core().compile_model(network, device, dict(options)).create_infer_request()
    return _Started(request, feed, outputs).result()


def joined(each: Sequence[list[Array]]) -> list[Array]:
    """Outputs of several runs, (B, ...) each, as those of one run: (sum of B, ...)."""
    return each[0] if len(each) == 1 else [np.concatenate(parts) for parts in zip(*each, strict=True)]
