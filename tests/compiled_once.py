"""OpenVINO as the tests have it: what one run compiles is kept for the next, which saves half of its time."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from typing import Any


class CompiledOnce:
    """An `openvino.Core` that reads and compiles a network, given as bytes, once for the same options."""

    def __init__(self, core: Any) -> None:
        self._core = core
        self._networks: dict[str, Any] = {}
        self._compiled: dict[tuple[str, ...], Any] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._core, name)

    def read_model(self, network: Any, *weights: Any) -> Any:
        if not isinstance(network, bytes):
            return self._core.read_model(network, *weights)
        key = hashlib.sha256(b"".join((network, *weights))).hexdigest()
        if key not in self._networks:
            self._networks[key] = self._core.read_model(network, *weights)
            self._networks[key].set_friendly_name(key)  # which its clones have too
        return self._networks[key]

    def compile_model(self, network: Any, device: str, options: dict[str, str]) -> Any:
        name = network.get_friendly_name()
        if name not in self._networks:
            return self._core.compile_model(network, device, options)
        shapes = [port.get_partial_shape().to_string() for port in network.inputs]
        key = name, *shapes, device, str(sorted(options.items()))
        if key not in self._compiled:
            self._compiled[key] = self._core.compile_model(network, device, options)
        return self._compiled[key]


def compiled_once(core: Callable[[], Any]) -> Callable[[], Any]:
    """In place of `openvino_core`, which raises where there is no OpenVINO."""
    kept = functools.cache(lambda: CompiledOnce(core()))
    return lambda: kept()
