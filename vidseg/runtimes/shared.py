"""One network for several parallel runs."""

from __future__ import annotations

import threading
from typing import Any

from torch import Tensor

from vidseg.runtimes.base import Queued, Running, Runtime, Sized


class SharedRuntime:
    """Satisfies `Runtime` with another one, and may be called by several threads: one after the other gets through.

    A network on a CPU uses all cores and one on a GPU all of the GPU, so nothing is lost by waiting, and one copy of
    the weights serves all. `Queued`, if the other one is: pictures of several callers are worked on at once then.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.name, self.device = runtime.name, runtime.device
        self._lock = threading.Lock()

    def expect(self, size_hw: tuple[int, int]) -> None:
        """See `Sized`."""
        if isinstance(self._runtime, Sized):
            with self._lock:
                self._runtime.expect(size_hw)

    def run(self, images: Tensor) -> tuple[Tensor, Tensor]:
        with self._lock:
            return self._runtime.run(images)

    def start(self, image: Tensor) -> Running[Any]:
        """See `Queued`; of a runtime that is."""
        assert isinstance(self._runtime, Queued)
        with self._lock:
            return self._runtime.start(image)
