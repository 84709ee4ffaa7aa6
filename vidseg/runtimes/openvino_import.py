"""Gets the module openvino, without its telemetry, and its one core."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator
from importlib import import_module
from typing import Any

_lock = threading.Lock()
_core: Any = None


@contextlib.contextmanager
def unreported() -> Iterator[None]:
    """What is imported or called in here reports its use to no server, as openvino and NNCF do by openvino_telemetry.

    They do without when that is not installed, which is what they are told here. Where the program that uses vidseg has
    imported it before, nothing leaves its sender.
    """
    sender = sys.modules.get("openvino_telemetry.utils.sender")
    with contextlib.ExitStack() as after:
        if sender is not None:
            after.callback(setattr, sender.TelemetrySender, "send", sender.TelemetrySender.send)
            sender.TelemetrySender.send = lambda *_: None
        elif "openvino_telemetry" not in sys.modules:
            sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
            after.callback(sys.modules.pop, "openvino_telemetry")
        yield


def import_openvino() -> Any:
    """The module openvino, without its telemetry.

    Raises:
        ImportError: openvino is not installed, or its libraries do not load here.
    """
    with unreported():
        return import_module("openvino")


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
