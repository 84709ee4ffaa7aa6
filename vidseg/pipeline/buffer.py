"""A bounded queue between two threads in which nothing can wait for ever."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Closed(Exception):
    """There is nothing more to take, or nobody to give to."""


class Buffer(Generic[T]):
    """Passes items in order from one producer to one consumer.

    Args:
        capacity: items held at most.
        drop_oldest: when full, throw the oldest item away and count it instead of making the producer wait.
    """

    def __init__(self, capacity: int, *, drop_oldest: bool = False) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, got {capacity}")
        self._capacity = capacity
        self._drop_oldest = drop_oldest
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._ended = False
        self._cancelled = False
        self.dropped = 0

    def put(self, item: T) -> None:
        """Hand over one item; waits while full, unless the oldest may be dropped.

        Raises:
            Closed: the buffer was closed or cancelled; the item is not taken.
        """
        with self._changed:
            if self._drop_oldest and len(self._items) >= self._capacity and not self._ended:
                self._items.popleft()
                self.dropped += 1
            while len(self._items) >= self._capacity and not self._ended:
                self._changed.wait()
            if self._ended:
                raise Closed
            self._items.append(item)
            self._changed.notify_all()

    def get(self, timeout: float | None = None) -> T:
        """Take the oldest item; waits while empty.

        Raises:
            Closed: the producer has ended and all items were taken, or the buffer was cancelled.
            TimeoutError: nothing came within `timeout` seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._items or self._ended, timeout):
                raise TimeoutError
            if not self._items:
                raise Closed
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def close(self) -> None:
        """No more items will come; those inside can still be taken."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def cancel(self) -> None:
        """End at once: items inside are thrown away, waiting producers and consumers get `Closed`."""
        with self._changed:
            self._ended = self._cancelled = True
            self._items.clear()
            self._changed.notify_all()

    @property
    def cancelled(self) -> bool:
        """True after `cancel`."""
        return self._cancelled

    @property
    def exhausted(self) -> bool:
        """True when nothing is left and nothing will come."""
        with self._changed:
            return self._ended and not self._items

    def __len__(self) -> int:
        return len(self._items)
