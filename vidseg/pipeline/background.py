"""Work on a thread of its own beside a run: servers, pictures for viewers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

GRACE_SECONDS = 5.0
"""How long a task may take to end; one that hangs is left behind, since its thread does not keep the program alive."""


class BackgroundTask:
    """Runs `run` while entered. On the way out `stop` is called, then the thread is waited for.

    An error of `run` is raised on the way out, unless another one is on its way already.

    Args:
        stop: makes `run` return soon; called once, from the thread that entered.
    """

    def __init__(self, name: str, run: Callable[[], None], stop: Callable[[], None]) -> None:
        self._run = run
        self._stop = stop
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._guarded, name=f"vidseg-{name}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        self._thread.join(GRACE_SECONDS)
        if error is None and self._error is not None:
            raise self._error

    def _guarded(self) -> None:
        try:
            self._run()
        except BaseException as error:
            self._error = error
