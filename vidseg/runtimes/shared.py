"""One network for several parallel runs."""

from __future__ import annotations

import threading

from torch import Tensor

from vidseg.runtimes.base import Runtime, Sized


class SharedRuntime:
    """Satisfies `Runtime` with another one, and may be called by several threads: one after the other gets through.

    A network on a CPU uses all cores and one on a GPU all of the GPU, so nothing is lost by waiting, and one copy of
    the weights serves all.
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
