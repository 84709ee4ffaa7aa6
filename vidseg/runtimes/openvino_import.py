"""Gets the module openvino."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any


def import_openvino() -> Any:
    """The module openvino, without its telemetry: imported plainly it reports its use to a server.

    It does without when openvino_telemetry is not installed, which is what it is told here.

    Raises:
        ImportError: openvino is not installed, or its libraries do not load here.
    """
    hidden = "openvino" not in sys.modules and "openvino_telemetry" not in sys.modules
    if hidden:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    try:
        return import_module("openvino")
    finally:
        if hidden:
            del sys.modules["openvino_telemetry"]
