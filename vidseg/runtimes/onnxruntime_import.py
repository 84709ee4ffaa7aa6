"""Gets the module onnxruntime, without its telemetry."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any


def import_onnxruntime() -> Any:
    """The module onnxruntime, which reports its use to no server.

    From 1.29 on its wheels tell which networks are loaded, and keep a name of the machine in the user's cache, unless
    this variable is set before the import. Where a program has imported it before, no further events are sent.

    Raises:
        ImportError: onnxruntime is not installed, or its libraries do not load here.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    onnxruntime = import_module("onnxruntime")
    onnxruntime.disable_telemetry_events()
    return onnxruntime
