"""A thread for what belongs to the thread that made it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Found = TypeVar("Found")


class ThreadForAll:
    """Calls functions, one after the other, always on the same thread; it ends with the object."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(1, f"vidseg-{name}")

    def call(self, function: Callable[[], Found]) -> Found:
        """What the function returns or raises. From any thread."""
        return self._pool.submit(function).result()
