"""Gets the module openvino, and its one core."""

from __future__ import annotations

import sys
import threading
from importlib import import_module
from typing import Any

_lock = threading.Lock()
_core: Any = None


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


def openvino_core() -> Any:
    """The one `openvino.Core` of this process, made on first use and kept to the end.

    A core gives its thread a stack for signal handlers, and puts back the one before when it dies. Two that overlap
    (the first dies first) leave the thread with a stack that is no longer there: the next signal, such as Ctrl+C, would
    end the process with SIGSEGV.

    Raises:
        ImportError: as `import_openvino`.
    """
    global _core
    openvino = import_openvino()
    with _lock:
        if _core is None:
            _core = openvino.Core()
        return _core
